"""What a ranker learns from: candidates of users, how much each was wanted, and how often it was offered and left.

R rows (user and candidate, a user's next to each other) · F pair features · P columns as the ranker gets them
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from jobs.ranking.preparation import Preparation
from jobs.ranking.proposer import PAIR_FEATURES, Candidates
from jobs.ranking.world import FloatArray, IntArray, World
from jobs.training.impressions import Evidence
from models.mlp_ranker import MLPRanker, MLPRankerConfig


@dataclass(frozen=True)
class Lessons:
    """Candidates and what came of them, in one world."""

    world: World
    pair_RF: FloatArray  # PAIR_FEATURES
    users_R: IntArray
    items_R: IntArray
    mass_R: FloatArray  # how much it was wanted
    weight_R: FloatArray  # as how many candidates it counts

    @classmethod
    def of(
        cls, world: World, blocks: Iterable[Candidates], wanted: Mapping[int, IntArray], evidence: Evidence
    ) -> Self:
        """The candidates of users who wanted these items, and of whom there is this evidence."""
        parts: list[tuple[npt.NDArray[Any], ...]] = []
        for candidates in blocks:
            users_R = candidates.block[candidates.rows_R]
            starts = np.flatnonzero(np.diff(users_R, prepend=-1))
            is_wanted = [
                np.isin(candidates.items_R[start:stop], wanted[int(users_R[start])])
                for start, stop in zip(starts, np.append(starts[1:], len(users_R)), strict=True)
            ]
            mass_R, weight_R = evidence.on(users_R, candidates.items_R, np.concatenate(is_wanted))
            parts.append((candidates.pair_RF, users_R, candidates.items_R, mass_R, weight_R))
        return cls(world, *(np.concatenate(each) for each in zip(*parts, strict=True)))

    @property
    def offsets(self) -> IntArray:
        """Where each user's candidates begin, and where the last one's end."""
        return np.append(np.flatnonzero(np.diff(self.users_R, prepend=-1)), len(self.users_R))

    def prepare(self, seed: int) -> tuple[Preparation, FloatArray]:
        """How the features are prepared, learnt from these candidates, and the prepared columns of each."""
        return Preparation.fit(self.world, self.users_R, self.items_R, self.mass_R > 0, seed)

    def fit(
        self, preparation: Preparation, prepared_RP: FloatArray, seed: int
    ) -> tuple[MLPRanker, list[float]]:
        """A ranker of the pair features and of the prepared columns, and its loss after each epoch."""
        return MLPRanker.fit(
            MLPRankerConfig(seed=seed),
            PAIR_FEATURES + preparation.columns,
            np.concatenate([self.pair_RF, prepared_RP], axis=1),
            self.offsets,
            self.mass_R,
            self.weight_R,
            scaled=preparation.columns,
        )
