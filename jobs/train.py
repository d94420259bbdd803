"""Train a challenger as of a day: choose a recommender, fit, judge on the last days, refit with the same settings, register.

With h = judge_days and g = rank_days (``jobs/features/cutoffs.py``), a retraining of day D
1. fits every configured recommender up to D - h - g and compares them by what people did until D - h; half of these people
   teach the number of epochs, the ranker and a blend's weights, the others compare (``jobs/training/contest.py``);
2. has everybody of these days teach the best one's ranker or weights, fits its recommenders up to D - h and judges them with
   that ranker or these weights on D - h + 1 … D, against the champion given the same histories and against recent
   popularity, EASE and ALS;
3. does the same again h days later: a ranker or weights by what followed D - g, over recommenders fitted up to there, and
   recommenders fitted up to D. That model is registered; what was judged is its twin. Read back from its bytes it is tried
   on the days that judge as well: it has seen them, and has to know what its twin foretold.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from functools import partial
from typing import Any

import numpy as np
import torch

from contracts import names
from contracts.errors import GateRefused
from jobs.features.cutoffs import Cutoffs, cutoffs_of
from jobs.io.checkpoints import Checkpoints
from jobs.io.commit import digest_of
from jobs.io.lake import Lake
from jobs.io.memory import keep_freed_memory
from jobs.io.model_files import load_model, save_model, size_of_folder
from jobs.io.registry import model_folder, open_registry
from jobs.io.state import PROMOTIONS, RETRAININGS
from jobs.judge import as_record, judge
from jobs.judging.bounds import load_bounds
from jobs.judging.evidence import Facts
from jobs.model_card import artifacts_of
from jobs.ranking.score_model import Model
from jobs.ranking.world import load_world
from jobs.runs import StepContext, manifest_of, settings_in
from jobs.stale import refuse_mixed
from jobs.training.consent import num_unconsented
from jobs.training.contest import Contest
from jobs.training.evaluation import evaluate
from jobs.training.impressions import read_impressions
from jobs.training.overfitting import Gap, overfitting_reasons
from jobs.training.recommenders import load_recommenders
from jobs.training.sequences import read_sequences
from jobs.training.slices import read_groups
from jobs.training.trainer import Trainer


def run(day: date, context: StepContext) -> dict[str, Any]:
    """Train, judge and register a challenger; promotes nothing.

    Raises:
        GateRefused: there is no challenger to judge; the champion stays.
    """
    checkpoints = Checkpoints(context.settings.home / "checkpoints")
    try:
        told = _train_and_judge(day, context, checkpoints)
    except GateRefused:
        checkpoints.clear()  # a verdict as well: who tries again does so with other data or settings
        raise
    checkpoints.clear()  # not before: until here a kill means that all of this is done again
    return told


def _train_and_judge(day: date, context: StepContext, checkpoints: Checkpoints) -> dict[str, Any]:
    settings, lake = context.settings, context.lake
    manifest = manifest_of(context.state, names.RETRAIN, day)
    chosen = settings_in(manifest)
    torch.set_num_threads(chosen["threads"])
    keep_freed_memory()
    repeats_allowed = bool(manifest["feed"]["repeats_allowed"])
    sequences = read_sequences(lake, day)
    ends = cutoffs_of(day, chosen)
    impressions = read_impressions(lake, day, ends.end_of_fit)
    for table in (*names.BY_FEATURE_DAY, *names.LOOKING_BACK):
        lake.files(table, ends)  # hours of training end at no missing partition
    read: dict[str, Sequence[date]] = dict.fromkeys(names.BY_FEATURE_DAY, ends)
    refuse_mixed(lake, read | _event_days(lake, day, chosen["history_days"]))
    early, late = load_world(lake, ends.end_of_fit), load_world(lake, ends.end_of_rank)
    recent = late if ends.end_of_refit == ends.end_of_rank else load_world(lake, ends.end_of_refit)
    trainer = Trainer(chosen, repeats_allowed, checkpoints)
    contest = Contest(trainer, sequences, load_recommenders())

    rank_outcomes = sequences.between(early.cutoff, late.cutoff)
    champion = _champion_model(context, manifest["champion"])
    # Days that the champion was trained on judge nobody.
    unseen_after = max(late.cutoff, champion[1]) if champion else late.cutoff
    refit_outcomes = sequences.between(recent.cutoff, day)
    trainer.refuse_unless_wanted(early, rank_outcomes, until=late.cutoff)
    trainer.refuse_unless_wanted(recent, refit_outcomes, until=day)
    shown = impressions.between(early.cutoff, late.cutoff)
    choice = contest.choose(early, rank_outcomes, shown)
    lesson = contest.learn(choice.name, choice.fits, early, rank_outcomes, shown)
    twin = contest.refit(choice, late)

    judged = contest.model(choice.name, twin, lesson)

    if recent is not late:
        twin = contest.refit(choice, recent)
    shown = impressions.between(recent.cutoff, day)
    lesson = contest.learn(choice.name, twin, recent, refit_outcomes, shown)
    model = contest.model(choice.name, contest.refit(choice, load_world(lake, day)), lesson)
    facts = {
        "day": day.isoformat(),
        "data": _data_digest(context, ends),
        "settings": chosen,
        "recommenders": contest.chosen.model_dump(mode="json"),
        "repeats_allowed": repeats_allowed,
    }
    folder, digest = save_model(model, facts, settings.home / "models")
    bounds = load_bounds()
    evaluation = evaluate(
        judged,
        champion[0] if champion else None,
        late,
        sequences,
        sequences.between(unseen_after, day),
        impressions.between(unseen_after, day),
        trainer,
        registered=load_model(folder, digest),
        groups_of=partial(
            read_groups, lake, day, min_users=bounds.slices.min_users, threads=settings.threads
        ),
    )
    origin = Facts(
        day=day,
        last_event=sequences.last_day,
        trained_to=late.cutoff,
        judged_from=unseen_after + timedelta(days=1),
        num_bytes=size_of_folder(folder),
        num_unconsented=num_unconsented(context, day, sequences.user_ids, manifest["feed"]),
    )
    verdict = judge(
        evaluation,
        origin,
        bounds,
        min_users=settings.promote_min_users,
        rng=np.random.default_rng(chosen["seed"]),
    )
    # What a network knows by heart is held against a challenger that is made of it.
    gap = choice.widest_gap(lesson.weights, contest.chosen.parts(choice.name))
    verdict = verdict.refused_for(overfitting_reasons(gap)).with_caution(choice.caution)
    flat = {
        f"judge.{name}.{metric}": value
        for name, values in evaluation.metrics.items()
        for metric, value in values.items()
    }
    with open_registry(settings) as registry:
        version, page = registry.log_challenger(
            folder,
            digest,
            day=day.isoformat(),
            params={"day": day, "data": facts["data"], **choice.as_params(), **chosen},
            metrics={
                **flat,
                "judge.num_users": evaluation.num_users,
                **choice.as_metrics(),
                **_gap_metrics(gap),
            },
            curves=choice.curves,
        )
        record = dict(context.state.get(RETRAININGS, day.isoformat()) or {})
        record |= {
            "day": day.isoformat(),
            "judged_from": origin.judged_from.isoformat(),
            "champion": manifest["champion"],
            "challenger": version,
            "recommender": choice.name,
            "validation": choice.as_record(),
            "weights": lesson.weights,
            "sha256": digest,
            "mlflow_url": page,
            "num_users": evaluation.num_users,
            "metrics": evaluation.metrics,
            "verdict": as_record(verdict),
            "gap": gap and gap.as_record(),
            "curves": choice.curves,
        }
        registry.log_verdict(version, record["verdict"], artifacts_of(record | {"manifest": manifest}))
    context.state.put(RETRAININGS, day.isoformat(), record)
    return {
        "version": version,
        "recommender": choice.name,
        "is_promotable": verdict.is_promoted,
        "reasons": list(verdict.reasons),
        "users": evaluation.num_users,
        "impressions": len(shown),
        "mlflow_url": page,
    }


def _gap_metrics(gap: Gap | None) -> dict[str, float]:
    """What is known by heart, as MLflow has it: NDCG@10 on days seen and not seen, and what is kept."""
    return (
        {}
        if gap is None
        else {
            "gap.trained_ndcg_at_10": gap.trained,
            "gap.validation_ndcg_at_10": gap.validation,
            "gap.kept": gap.kept,
            "gap.popularity_kept": gap.popularity_kept,
        }
    )


def _event_days(lake: Lake, day: date, history_days: int) -> dict[str, Sequence[date]]:
    """The partitions that the training set of a day was put together from."""
    first = day - timedelta(days=history_days - 1)
    return {table: lake.days(table, first=first, until=day) for table in names.LEARNT_FROM}


def _champion_model(context: StepContext, version: str | None) -> tuple[Model, date] | None:
    """The champion and the day it was trained to."""
    if version is None:
        return None
    promoted = context.state.get(PROMOTIONS, version)
    if promoted is None:
        raise GateRefused(
            f"champion version {version} has no record of its promotion; roll back or promote again"
        )
    folder = model_folder(context.settings, version, promoted["sha256"])
    return load_model(folder, promoted["sha256"]), date.fromisoformat(promoted["day"])


def _data_digest(context: StepContext, ends: Cutoffs) -> str:
    """What the model was trained on, as one digest: the training set, and the worlds of its cut-offs."""
    tables = [(table, ends.day) for table in (names.SEQUENCES, names.TRAINING_IMPRESSIONS)]
    tables += [(table, end) for end in ends for table in (*names.BY_FEATURE_DAY, *names.LOOKING_BACK)]
    manifests = [context.lake.manifest(table, day) for table, day in tables]
    return digest_of([manifest.digest for manifest in manifests if manifest])
