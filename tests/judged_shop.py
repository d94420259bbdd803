"""A shop in which people have a taste, and models that know it more or less: for tests of judging.

Two hundred and forty people, a favourite among six categories each; sixty items, of which some are everybody's.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
from scipy.sparse import csr_matrix

from contracts.lists import REASONS_PER_PLACE
from contracts.tables import TRAINING_IMPRESSIONS
from jobs.io.schemas import arrow_schema
from jobs.judge import Verdict, judge
from jobs.judging.bounds import Bounds, load_bounds
from jobs.judging.evidence import Evaluation, Facts
from jobs.ranking.next_item import RankedLists
from jobs.ranking.world import ITEM_FEATURES, World
from jobs.training.evaluation import Ranks, evaluate
from jobs.training.impressions import Impressions
from jobs.training.sequences import Sequences
from jobs.training.trainer import Trainer
from models.topk import top_k
from tests.tiny_world import tiny_world

DAY = date(2011, 3, 8)
CUTOFF = DAY - timedelta(days=7)
NUM_USERS, NUM_ITEMS, NUM_CATEGORIES = 240, 60, 6
TRAINER = Trainer({"seed": 7, "list_length": 20, "num_candidates": 20}, repeats_allowed=True)
FACTS = Facts(
    day=DAY, last_event=DAY, trained_to=CUTOFF, judged_from=CUTOFF + timedelta(days=1), num_bytes=10_000, num_unconsented=0
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Shop:
    """What is known at the cut-off, what led to it, and what people wanted then."""

    world: World
    sequences: Sequences
    favourite_U: np.ndarray
    outcomes: dict[str, np.ndarray]

    def evaluation(self, challenger: Ranks, champion: Ranks | None = None, **more: Any) -> Evaluation:
        nothing = Impressions(pa.Table.from_pylist([], schema=arrow_schema(TRAINING_IMPRESSIONS)))
        return evaluate(
            challenger, champion, self.world, self.sequences, self.outcomes, nothing, TRAINER, **more
        )

    def verdict(
        self,
        challenger: Ranks,
        champion: Ranks | None = None,
        facts: Facts = FACTS,
        bounds: Bounds | None = None,
        **more: Any,
    ) -> Verdict:
        """What the gate says of a challenger."""
        found = self.evaluation(challenger, champion, **more)
        return judge(found, facts, bounds or load_bounds(), min_users=100, rng=np.random.default_rng(7))

    def model(self, knows: float = 1.0, seed: int = 0) -> Scores:
        """A model that knows people's favourite categories so well, with a hunch of its own about everything else."""
        hunch_UN = np.random.default_rng(seed).normal(size=(NUM_USERS, NUM_ITEMS))
        return Scores(knows * 3.0 * (self.world.category_N[None, :] == self.favourite_U[:, None]) + hunch_UN)


@dataclasses.dataclass(frozen=True)
class Scores:
    """A model that is a matrix of scores."""

    scores_UN: np.ndarray
    takes: Callable[[], None] = lambda: None  # what ranking costs

    def rank(
        self, world: World, users: np.ndarray, *, length: int, num_candidates: int, repeats_allowed: bool
    ) -> RankedLists:
        self.takes()
        items_UK, scores_UK = top_k(np.where(world.is_available_N, self.scores_UN[users], -np.inf), length)
        no_reasons = np.empty((len(users), 0, REASONS_PER_PLACE), np.int64)
        return RankedLists(users, items_UK, scores_UK, np.ones(len(users), bool), no_reasons)


def judged_shop(seed: int = 5) -> Shop:
    rng = np.random.default_rng(seed)
    category_N = np.arange(NUM_ITEMS) % NUM_CATEGORIES
    favourite_U = rng.integers(0, NUM_CATEGORIES, NUM_USERS)
    liking_UN = 6.0 * (category_N[None, :] == favourite_U[:, None]) + 1.0 + 8.0 * (np.arange(NUM_ITEMS) < 2)

    def taken(user: int, number: int) -> np.ndarray:
        return rng.choice(NUM_ITEMS, number, replace=False, p=liking_UN[user] / liking_UN[user].sum())

    histories = [taken(user, 2 + user % 9) for user in range(NUM_USERS)]
    item_ids = np.array([f"item-{number:02d}" for number in range(NUM_ITEMS)], dtype=object)
    user_ids = np.array([f"user-{number:03d}" for number in range(NUM_USERS)], dtype=object)
    features_NF = np.zeros((NUM_ITEMS, len(ITEM_FEATURES)), np.float32)
    features_NF[:, ITEM_FEATURES.index("age_days")] = np.log1p(np.where(np.arange(NUM_ITEMS) % 5 == 0, 7, 90))
    world = dataclasses.replace(
        tiny_world(),
        cutoff=CUTOFF,
        item_ids=item_ids,
        is_available_N=np.ones(NUM_ITEMS, bool),
        category_N=category_N,
        item_features_NF=features_NF,
        popularity_N=np.bincount(np.concatenate(histories), minlength=NUM_ITEMS).astype(np.float32),
        neighbours_NN=csr_matrix((NUM_ITEMS, NUM_ITEMS)),
        user_ids=user_ids,
        histories=histories,
        seen=[np.unique(history) for history in histories],
    )
    lengths = [len(history) for history in histories]
    sequences = Sequences(
        user_ids,
        np.repeat(np.arange(NUM_USERS), lengths),
        item_ids[np.concatenate(histories)],
        np.ones(sum(lengths), np.int32),
        np.full(sum(lengths), CUTOFF, "datetime64[D]"),
    )
    outcomes = {user_ids[user]: item_ids[taken(user, 3)] for user in range(NUM_USERS)}
    return Shop(world, sequences, favourite_U, outcomes)
