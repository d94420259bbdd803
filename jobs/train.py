"""Train a challenger as of a day: fit, judge on the last days, refit with the same settings, register.

With h = judge_days and g = rank_days (``jobs/features/cutoffs.py``), a retraining of day D
1. fits a transformer up to D - h - g and a ranker on what followed until D - h; the number of epochs is
   chosen there, by the same days' outcomes;
2. fits a transformer up to D - h and judges it with that ranker on D - h + 1 … D, against the champion
   given the same histories and against recent popularity, EASE and ALS;
3. does the same again h days later: a ranker on what followed D - g, over a transformer fitted up to there, and a
   transformer fitted up to D. That model is registered; what was judged is its twin.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
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
from jobs.io.model_files import load_model, save_model
from jobs.io.registry import model_folder, open_registry
from jobs.io.state import PROMOTIONS, RETRAININGS
from jobs.judge import as_record, judge
from jobs.ranking.next_item import NextItemModel
from jobs.ranking.world import load_world
from jobs.runs import StepContext, manifest_of, settings_in
from jobs.stale import refuse_mixed
from jobs.training.evaluation import evaluate
from jobs.training.impressions import read_impressions
from jobs.training.sequences import read_sequences
from jobs.training.trainer import Trainer


def run(day: date, context: StepContext) -> dict[str, Any]:
    """Train, judge and register a challenger; promotes nothing."""
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
    checkpoints = Checkpoints(settings.home / "checkpoints")
    trainer = Trainer(chosen, repeats_allowed, checkpoints)

    rank_outcomes = sequences.between(early.cutoff, late.cutoff)
    champion = _champion_model(context, manifest["champion"])
    # Days that the champion was trained on judge nobody.
    unseen_after = max(late.cutoff, champion[1]) if champion else late.cutoff
    refit_outcomes = sequences.between(recent.cutoff, day)
    trainer.refuse_unless_wanted(early, rank_outcomes, until=late.cutoff)
    trainer.refuse_unless_wanted(recent, refit_outcomes, until=day)
    fitted, curve = trainer.fit_transformer(early, sequences, validate_on=rank_outcomes)
    shown = impressions.between(early.cutoff, late.cutoff)
    ranker, preparation = trainer.fit_ranker(fitted, early, rank_outcomes, shown)
    twin, _ = trainer.fit_transformer(late, sequences, num_epochs=curve.best_epoch)

    ndcg, metrics, num_users = evaluate(
        NextItemModel(twin.item_ids, twin.sasrec, ranker, preparation),
        champion[0] if champion else None,
        late,
        sequences,
        sequences.between(unseen_after, day),
        impressions.between(unseen_after, day),
        trainer,
    )
    rng = np.random.default_rng(chosen["seed"])
    verdict = judge(ndcg, margin=settings.promote_margin, min_users=settings.promote_min_users, rng=rng)

    if recent is not late:
        twin, _ = trainer.fit_transformer(recent, sequences, num_epochs=curve.best_epoch)
    shown = impressions.between(recent.cutoff, day)
    ranker, preparation = trainer.fit_ranker(twin, recent, refit_outcomes, shown)
    final, _ = trainer.fit_transformer(load_world(lake, day), sequences, num_epochs=curve.best_epoch)
    model = NextItemModel(final.item_ids, final.sasrec, ranker, preparation)
    facts = {
        "day": day.isoformat(),
        "data": _data_digest(context, ends),
        "settings": chosen,
        "repeats_allowed": repeats_allowed,
    }
    folder, digest = save_model(model, facts, settings.home / "models")
    flat = {
        f"judge.{name}.{metric}": value
        for name, values in metrics.items()
        for metric, value in values.items()
    }
    with open_registry(settings) as registry:
        version, page = registry.log_challenger(
            folder,
            digest,
            day=day.isoformat(),
            params={"day": day, "data": facts["data"], "best_epoch": curve.best_epoch, **chosen},
            metrics={**flat, "judge.num_users": num_users},
            curves={"fit.loss": curve.losses, "validation.ndcg_at_10": curve.ndcg},
        )
        registry.log_verdict(version, as_record(verdict))
    record = dict(context.state.get(RETRAININGS, day.isoformat()) or {})
    record |= {
        "day": day.isoformat(),
        "judged_from": (unseen_after + timedelta(days=1)).isoformat(),
        "champion": manifest["champion"],
        "challenger": version,
        "sha256": digest,
        "mlflow_url": page,
        "num_users": num_users,
        "metrics": metrics,
        "verdict": as_record(verdict),
    }
    context.state.put(RETRAININGS, day.isoformat(), record)
    checkpoints.clear()  # not before: until here a kill means that all of this is done again
    return {
        "version": version,
        "is_promotable": verdict.is_promoted,
        "reasons": list(verdict.reasons),
        "users": num_users,
        "impressions": len(shown),
        "mlflow_url": page,
    }


def _event_days(lake: Lake, day: date, history_days: int) -> dict[str, Sequence[date]]:
    """The partitions that the training set of a day was put together from."""
    first = day - timedelta(days=history_days - 1)
    return {table: lake.days(table, first=first, until=day) for table in names.BY_EVENT_DAY}


def _champion_model(context: StepContext, version: str | None) -> tuple[NextItemModel, date] | None:
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
