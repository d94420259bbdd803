"""What each part of the preparation is worth to the ranker: NDCG@10 on days after those that it has learnt from.

A simulated shop of four weeks, and one transformer, so that rankers alone differ. ``ranking.preparation`` has all parts,
``ranking.preparation.<part>`` scaled numbers and that part alone. The reference is the ranker on features as they are, with
gaps as zeros and a scale of its own: the same candidates, the same seeds, in the same run.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from datetime import date
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch

from benchmarks.figure import Figure, figure
from benchmarks.small_shop import shop_with_training_set
from contracts import names
from contracts.settings import Settings
from jobs.features.cutoffs import cutoffs_of
from jobs.io.lake import Lake
from jobs.io.state import State
from jobs.ranking.next_item import FEATURES
from jobs.ranking.preparation import Preparation
from jobs.ranking.proposer import PAIR_FEATURES
from jobs.ranking.world import ITEM_WORDS, FloatArray, load_world
from jobs.runs import manifest_of, settings_in
from jobs.training.evaluation import K
from jobs.training.impressions import evidence_of, read_impressions
from jobs.training.lessons import Lessons
from jobs.training.sequences import read_sequences, targets_of
from jobs.training.trainer import Trainer
from models.metrics import ndcg_at
from models.mlp_ranker import MLPRanker, MLPRankerConfig

SEEDS = (1, 2, 3)
_EPOCHS = 4  # of the transformer: it need not be good, but it is the same for all
_JUDGED = 1500
PARTS = ("missing", "outlying", "one_hots", "means")


def preparation(folder: Path) -> Iterator[Figure]:
    """Each part alone and all of them, over the seeds."""
    settings, last = shop_with_training_set(folder, num_users=2_400, num_items=1_000)
    yield from measure(Trial.of(settings, last))


def measure(trial: Trial) -> Iterator[Figure]:
    """The figures of a trial, in thousandths."""
    reference = np.mean([trial.ndcg(None, seed) for seed in SEEDS])
    told = "features as they are, scaled by the ranker"
    for name, parts in {"": PARTS, ".numbers": (), **{f".{part}": (part,) for part in PARTS}}.items():
        found = [trial.ndcg(parts, seed) for seed in SEEDS]
        yield figure(
            f"ranking.preparation{name}", 1000 * float(np.mean(found)), f"NDCG@10 in thousandths, ± {1000 * np.std(found):.1f}",
            1000 * float(reference), told,
        )  # fmt: skip


@dataclass(frozen=True)
class Trial:
    """Candidates of one world to learn from, those of a later one to judge by, and what their users wanted."""

    lessons: Lessons
    exam: Lessons
    wanted: list[set[int]]

    @classmethod
    def of(cls, settings: Settings, day: date, epochs: int = _EPOCHS) -> Trial:
        """From the training set of a day."""
        lake = Lake.of(settings)
        manifest = manifest_of(State.of(settings), names.RETRAIN, day)
        trainer = Trainer(chosen := settings_in(manifest), bool(manifest["feed"]["repeats_allowed"]))
        torch.set_num_threads(chosen["threads"])
        ends, sequences = cutoffs_of(day, chosen), read_sequences(lake, day)
        early, late = (load_world(lake, end) for end in (ends.end_of_fit, ends.end_of_rank))
        fitted, _ = trainer.fit_transformer(early, sequences, num_epochs=epochs)
        shown = read_impressions(lake, day, early.cutoff)
        lessons = trainer.lessons(
            fitted,
            early,
            sequences.between(early.cutoff, late.cutoff),
            shown.between(early.cutoff, late.cutoff),
        )
        users, targets = trainer.sample(
            *targets_of(late, sequences.between(late.cutoff, day), trainer.repeats_allowed), _JUDGED
        )
        wanted = dict(zip(users.tolist(), targets, strict=True))
        nothing = evidence_of(shown.between(day, day), late, trainer.repeats_allowed)
        exam = Lessons.of(late, trainer.propose(fitted, late, users), wanted, nothing)
        return cls(lessons, exam, [set(items.tolist()) for items in targets])

    def ndcg(self, parts: Collection[str] | None, seed: int) -> float:
        """Of a ranker whose features are prepared in these parts; None: of one that is given them as they are."""
        if parts is None:
            prepared = Preparation.as_they_are(
                [name for name in FEATURES if name.split(".")[-1] not in ITEM_WORDS]
            )
            rows_RP = _rows(prepared, self.lessons)
        else:
            whole, rows_RP = self.lessons.prepare(seed)
            prepared = _only(whole, parts)
            rows_RP = rows_RP[:, [whole.columns.index(name) for name in prepared.columns]]
        columns = PAIR_FEATURES + prepared.columns
        ranker, _ = MLPRanker.fit(
            MLPRankerConfig(seed=seed),
            columns,
            np.concatenate([self.lessons.pair_RF, rows_RP], axis=1),
            self.lessons.offsets,
            self.lessons.mass_R,
            self.lessons.weight_R,
            scaled=prepared.columns if parts is not None else (),
        )
        rows_RP = np.concatenate([self.exam.pair_RF, _rows(prepared, self.exam)], axis=1)
        scores_R, offsets = ranker.score(rows_RP, columns), self.exam.offsets
        lists_UK = np.full((len(offsets) - 1, K), -1)
        for place, (start, stop) in enumerate(pairwise(offsets.tolist())):
            best = np.argsort(-scores_R[start:stop], kind="stable")[:K]
            lists_UK[place, : len(best)] = self.exam.items_R[start:stop][best]
        return float(ndcg_at(lists_UK, self.wanted, K).mean())


def _only(whole: Preparation, parts: Collection[str]) -> Preparation:
    """A preparation without the parts that are not named."""
    without = {part: () for part in PARTS if part not in parts}
    of_numbers = {part: none for part, none in without.items() if part in ("missing", "outlying")}
    of_words = {part: none for part, none in without.items() if part not in of_numbers}
    items, users = (replace(numbers, **of_numbers) for numbers in (whole.items, whole.users))
    return replace(whole, items=items, users=users, **of_words)


def _rows(prepared: Preparation, lessons: Lessons) -> FloatArray:
    """The prepared columns of candidates, as lists have them."""
    of_item_RP = prepared.of_items(lessons.world)[lessons.items_R]
    return np.concatenate([of_item_RP, prepared.of_users(lessons.world)[lessons.users_R]], axis=1)
