"""What it is worth that the transformer reads more of a history than ids: gaps and types of events, and words of items.

``ranking.inputs.movielens_100k`` and ``ranking.inputs.online_retail``: real events, split in time as the quality benchmarks
split them, with their shapes and settings; the transformer learns from what lies before validation, and is asked both
validation and the test. They tell of days, and of one type of event only: with gaps, beside items alone.

``ranking.inputs.shop``: a simulated shop of four weeks, into which new items come as a shop's do, and whose people look, put
into the cart and buy. A challenger is fitted and judged as a retraining does it, with item words, gaps, types and all of
them, beside ids alone. Validation is here the transformer's own, where a retraining stops it.

NDCG@10 in thousandths: the mean over seeds, all of them with the same days in the same run. What is gained is told with a
95 % interval over resampled users, of the mean over seeds; of the shop's validation as the least and the most of a seed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.answers import gains, places_of
from benchmarks.contests import CONTESTS
from benchmarks.data_sets import DAY_SECONDS, Events
from benchmarks.figure import Figure, figure
from benchmarks.small_shop import shop_with_training_set
from benchmarks.standing import by_user
from contracts import names
from jobs.features.cutoffs import cutoffs_of
from jobs.io.lake import Lake
from jobs.io.state import State
from jobs.ranking.next_item import NextItemModel
from jobs.ranking.world import load_world
from jobs.runs import manifest_of, settings_in
from jobs.training.evaluation import evaluate
from jobs.training.impressions import read_impressions
from jobs.training.sequences import read_sequences
from jobs.training.trainer import Trainer
from models.events import events_of
from models.metrics import paired_bootstrap
from models.sasrec import SASRec, SASRecConfig
from models.splits import Questions, Split
from models.training import fit

SEEDS = (1, 2)
#: What is read in the shop beside ids, as settings.
_OF_SHOP = {
    "ids alone": {},
    "item words": {"sasrec_item_words": True},
    "gaps": {"sasrec_inputs": "gaps"},
    "types": {"sasrec_inputs": "types"},
    "gaps and types": {"sasrec_inputs": "gaps,types"},
    "words, gaps, types": {"sasrec_item_words": True, "sasrec_inputs": "gaps,types"},
}
FloatArray = npt.NDArray[np.float64]


def of_real_events(name: str) -> Callable[[Path], Iterator[Figure]]:
    """The benchmark of one data set of the quality benchmarks."""
    return lambda _: _with_gaps(name)


#: So long both learn, with gaps and without.
_EPOCHS = {"movielens_100k": 18, "online_retail": 8}


def _with_gaps(name: str) -> Iterator[Figure]:
    held = CONTESTS[f"quality.time_split.{name}"]
    events = held.events()
    assert events.times_E is not None
    days_E = events.times_E // DAY_SECONDS
    told = replace(events, items_E=events_of(events.items_E, np.ones(len(days_E)), days_E))
    splits = {False: held.split(events), True: held.split(told)}
    asked = (splits[False].validation, splits[False].test)
    gain_SQ: dict[bool, list[tuple[FloatArray, ...]]] = {False: [], True: []}
    for reads_gaps, seed in ((reads_gaps, seed) for seed in SEEDS for reads_gaps in (False, True)):
        config = SASRecConfig(events.num_items, **held.shape.model, reads_gaps=reads_gaps)
        model, split = SASRec(config, seed=seed), splits[reads_gaps]
        for _ in fit(model, split.fit, replace(held.shape.train, epochs=_EPOCHS[name], seed=seed)):
            pass
        gain_SQ[reads_gaps].append(tuple(_gains(model, part, events) for part in _questions(split)))
    means = {
        reads_gaps: [np.mean([of_seed[part] for of_seed in found], axis=0) for part in range(2)]
        for reads_gaps, found in gain_SQ.items()
    }
    gained = [
        paired_bootstrap(*by_user(with_Q, without_Q, part.users_Q), 2_000, np.random.default_rng(7))
        for with_Q, without_Q, part in zip(means[True], means[False], asked, strict=True)
    ]
    told_of = [
        f"{what} {1000 * means[False][part].mean():.1f} → {1000 * means[True][part].mean():.1f}, {_told(gained[part])}"
        for part, what in enumerate(("validation", "test"))
    ]
    yield figure(
        f"ranking.inputs.{name}", 1000 * float(means[True][1].mean()), f"NDCG@10 in thousandths with gaps; {'; '.join(told_of)}",
        1000 * float(means[False][1].mean()), f"items alone, {len(SEEDS)} seeds",
    )  # fmt: skip


def _questions(split: Split) -> tuple[Questions, Questions]:
    return split.validation, split.test


def _gains(model: SASRec, questions: Questions, events: Events) -> FloatArray:
    return gains(places_of(model, questions, repeats_allowed=events.repeats_allowed))


def of_shop(folder: Path) -> Iterator[Figure]:
    """Challengers that read more, beside the one that knows ids alone."""
    settings, last = shop_with_training_set(folder, num_users=1_200, num_items=600)
    lake = Lake.of(settings)
    chosen = settings_in(manifest_of(State.of(settings), names.RETRAIN, last))
    judged = partial(_judged, lake, last)
    found = {
        what: [judged(chosen | changes | {"seed": seed}) for seed in SEEDS]
        for what, changes in _OF_SHOP.items()
    }
    alone = found.pop("ids alone")
    for what, of_seeds in found.items():
        validation = [1000 * (one[0] - other[0]) for one, other in zip(of_seeds, alone, strict=True)]
        mean_U, alone_U = (np.mean([ndcg_U for _, ndcg_U in each], axis=0) for each in (of_seeds, alone))
        gained = paired_bootstrap(mean_U, alone_U, 2_000, np.random.default_rng(7))
        yield figure(
            "ranking.inputs.shop", 1000 * float(mean_U.mean()),
            f"NDCG@10 in thousandths with {what}; validation {min(validation):+.1f} … {max(validation):+.1f}; test {_told(gained)}",
            1000 * float(alone_U.mean()), f"ids alone, {len(SEEDS)} seeds",
        )  # fmt: skip


def _told(gained: object) -> str:
    mean, low, high = (1000 * float(getattr(gained, name)) for name in ("mean", "low", "high"))
    return f"{mean:+.1f} [{low:+.1f}, {high:+.1f}]"


def _judged(lake: Lake, day: date, chosen: dict[str, object]) -> tuple[float, FloatArray]:
    """A challenger that is fitted and judged as jobs/train.py does it: its transformer's validation, and what each user is given."""
    ends, trainer = cutoffs_of(day, chosen), Trainer(chosen, repeats_allowed=True)
    sequences, impressions = read_sequences(lake, day), read_impressions(lake, day, ends.end_of_fit)
    early, late = load_world(lake, ends.end_of_fit), load_world(lake, ends.end_of_rank)
    outcomes = sequences.between(early.cutoff, late.cutoff)
    fitted, curve = trainer.fit_transformer(early, sequences, validate_on=outcomes)
    shown = impressions.between(early.cutoff, late.cutoff)
    ranker, preparation = trainer.fit_ranker(fitted, early, outcomes, shown)
    twin, _ = trainer.fit_transformer(late, sequences, num_epochs=curve.best_epoch)
    judged = evaluate(
        NextItemModel(twin.item_ids, twin.sasrec, ranker, preparation),
        None,
        late,
        sequences,
        sequences.between(late.cutoff, day),
        impressions.between(late.cutoff, day),
        trainer,
    )
    return max(curve.ndcg), judged.ndcg["challenger"]
