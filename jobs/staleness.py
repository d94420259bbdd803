"""Train as of a past day, and judge the same model on each day after it: how old may a champion grow?

Every day is judged by what was known when it began: the world of the day before gives histories, features and popularity. What
people took after it had been shown to them is left out, as in the judgement of a challenger.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import numpy as np
import torch

from contracts import names
from contracts.errors import PartitionMissing
from contracts.settings import Settings
from jobs.features.cutoffs import Cutoffs, rank_days_of
from jobs.features.training_impressions import NEEDED, training_impressions
from jobs.feed_reader import read_description
from jobs.io.lake import Lake
from jobs.io.state import STALENESS, State
from jobs.judging.bounds import load_bounds
from jobs.ranking.proposer import allowed_items
from jobs.ranking.score_model import Model
from jobs.ranking.world import World, load_world
from jobs.stale import refuse_mixed
from jobs.training.ageing import WINDOW, AgedDay, ageing
from jobs.training.contest import Contest
from jobs.training.evaluation import K, Prompted
from jobs.training.impressions import Impressions
from jobs.training.recommenders import load_recommenders
from jobs.training.sequences import Sequences, read_user_days, targets_of
from jobs.training.trainer import Trainer
from models.metrics import ndcg_at
from models.topk import top_k

#: People that a day is judged by.
_MOST_USERS = 1000
_OF_A_WORLD = (*names.BY_FEATURE_DAY, *names.LOOKING_BACK)


def staleness(
    settings: Settings, day: date, *, days: int, listener: Callable[[str], None] = lambda line: None
) -> dict[str, Any]:
    """Measure how a model ages over the ``days`` up to ``day``; returns the record, which the state keeps as well.

    It trains with the settings in force as of ``day`` less ``days``, or of the first day after that of which the lake has all.

    Raises:
        PartitionMissing: fewer days have been run than an age can be told from.
        GateRefused: nobody wanted anything that the model could have learnt from.
    """
    lake, rank = Lake.of(settings), rank_days_of(settings.judge_days)
    fitted_on, judged = _days(lake, day, days, rank)
    end_of_fit = fitted_on - timedelta(days=rank)
    read = (end_of_fit, fitted_on, *judged)
    refuse_mixed(lake, dict.fromkeys(names.BY_FEATURE_DAY, read))
    chosen = settings.run_settings() | {"rank_days": rank}
    torch.set_num_threads(chosen["threads"])
    trainer = Trainer(chosen, read_description(settings).repeats_allowed)
    sequences = read_user_days(lake, fitted_on - timedelta(days=chosen["history_days"] - 1), day)
    listener(f"training as of {fitted_on}, to be judged on {len(judged)} days up to {day}")
    recommender, model = _fit(lake, trainer, sequences, end_of_fit, fitted_on)
    shown = _impressions(lake, fitted_on, day, known_until=day)
    aged = []
    for before in judged:
        found = judge_day(model, load_world(lake, before), sequences, shown, trainer)
        if found is not None:
            age = (before - fitted_on).days + 1
            aged.append(AgedDay(age, before + timedelta(days=1), *found))
            listener(f"age {age:>2}: {len(found[0])} people, ndcg@10 {found[1].mean():.4f}")
    if len(aged) < 2 * WINDOW:
        raise PartitionMissing(_too_few(len(aged), day))
    found_ageing = ageing(aged, margin=load_bounds().difference.margin, seed=chosen["seed"])
    record = {
        "day": day.isoformat(),
        "fitted_on": fitted_on.isoformat(),
        "recommender": recommender,
    } | found_ageing.as_record()
    State.of(settings).put(STALENESS, day.isoformat(), record)
    return record


def judge_day(
    model: Model, world: World, sequences: Sequences, shown: Impressions, trainer: Trainer
) -> tuple[Any, Any, Any] | None:
    """People who wanted something on the day after the world's, NDCG@10 of the model and of popularity; None without any."""
    next_day = world.cutoff + timedelta(days=1)
    prompted = Prompted.of(shown.between(world.cutoff, next_day), world)
    outcomes = sequences.between(world.cutoff, next_day)
    users, targets = prompted.without(*targets_of(world, outcomes, trainer.repeats_allowed))
    users, targets = trainer.sample(users, targets, _MOST_USERS)
    if not len(users):
        return None
    length = max(K, trainer.chosen["list_length"]) + prompted.most(users)
    ranked = model.rank(
        world,
        users,
        length=length,
        num_candidates=trainer.chosen["num_candidates"],
        repeats_allowed=trainer.repeats_allowed,
    )
    allowed_UN = allowed_items(world, users, trainer.repeats_allowed)
    popular_UX, _ = top_k(np.where(allowed_UN, world.popularity_N, np.float32(-np.inf)), length)
    wanted = [set(items.tolist()) for items in targets]
    ndcg, popularity = (
        ndcg_at(prompted.condensed(users, items_UX)[:, :K], wanted, K)
        for items_UX in (ranked.items_UK, popular_UX)
    )
    return world.user_ids[users], ndcg, popularity


def _fit(
    lake: Lake, trainer: Trainer, sequences: Sequences, end_of_fit: date, fitted_on: date
) -> tuple[str, Model]:
    """As a retraining does: the last days choose who is the challenger and teach it, and it is fitted up to the end of them."""
    early, outcomes = load_world(lake, end_of_fit), sequences.between(end_of_fit, fitted_on)
    trainer.refuse_unless_wanted(early, outcomes, until=fitted_on)
    contest = Contest(trainer, sequences, load_recommenders())
    shown = _impressions(lake, end_of_fit, fitted_on, known_until=fitted_on)
    choice = contest.choose(early, outcomes, shown)
    lesson = contest.learn(choice.name, choice.fits, early, outcomes, shown)
    fits = contest.refit(choice, load_world(lake, fitted_on))
    return choice.name, contest.model(choice.name, fits, lesson)


def _days(lake: Lake, day: date, days: int, rank: int) -> tuple[date, list[date]]:
    """The day to train as of, and the days whose worlds judge the days after them."""
    has_world = set.intersection(*(set(lake.days(table)) for table in _OF_A_WORLD))
    starts = [day - timedelta(days=back) for back in range(days, 0, -1)]
    start = next((each for each in starts if {each, each - timedelta(days=rank)} <= has_world), None)
    judged = [] if start is None else [each for each in starts if each >= start and each in has_world]
    if start is None or len(judged) < 2 * WINDOW:
        raise PartitionMissing(_too_few(len(judged), day))
    return start, judged


def _too_few(num_days: int, day: date) -> str:
    return (
        f"{num_days} days up to {day} can be judged, {2 * WINDOW} are needed to tell an age: each needs a world of the day before "
        f"it, which its own run builds. Run more days (a load alone builds none): foretaste run --day {day - timedelta(days=28)} --to {day}"
    )


def _impressions(lake: Lake, after: date, until: date, *, known_until: date) -> Impressions:
    """What was shown on some days, with what came of it as a day knew it."""
    import pyarrow as pa

    from contracts.tables import TRAINING_IMPRESSIONS
    from jobs.io.schemas import arrow_schema

    days = lake.days(names.FCT_IMPRESSIONS, first=after + timedelta(days=1), until=until)
    splits = Cutoffs(known_until, known_until, known_until, known_until)  # of no concern here
    rows = [
        training_impressions(lake.read(names.FCT_IMPRESSIONS, each, list(NEEDED)), splits) for each in days
    ]
    return Impressions(pa.concat_tables([*rows, arrow_schema(TRAINING_IMPRESSIONS).empty_table()]))


def render(record: dict[str, Any]) -> str:
    """The curve as a table, and the advice, for people."""
    lines = [
        f"One model ({record['recommender']}), trained as of {record['fitted_on']}, on each day after it. Popularity is counted anew each day.",
        f"lead: NDCG@10 over popularity's. lost: lead on the first {record['window']} days less the lead on {record['window']} days from that age on.",
        "",
        f"{'age':>3}  {'day':<10}  {'people':>6}  {'ndcg@10':>7}  {'popular':>7}  {'lead':<26}  lost",
    ]
    for aged in record["ages"]:
        lines.append(
            f"{aged['age']:>3}  {aged['day']}  {aged['num_users']:>6}  {aged['ndcg']['mean']:>7.4f}  "
            f"{aged['popularity']:>7.4f}  {_shown(aged['lead']):<26}  {_shown(aged['loss'])}"
            + ("  surely too much" if aged["is_surely_stale"] else "")
        )
    return "\n".join([*lines, "", f"Advice: {record['advice']}."])


def _shown(found: dict[str, float] | None) -> str:
    return "–" if found is None else f"{found['mean']:+.4f} [{found['low']:+.4f}, {found['high']:+.4f}]"
