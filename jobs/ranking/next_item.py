"""The next-item model: a transformer and co-visitation propose, a ranker over features puts in order.

B users of a block · N items of the catalogue · R rows (user and candidate) · K places
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from jobs.ranking.preparation import Preparation
from jobs.ranking.proposer import PAIR_FEATURES, Proposer, known_histories, places_in_rows
from jobs.ranking.states import Encode
from jobs.ranking.world import (
    ITEM_FEATURES,
    ITEM_WORDS,
    USER_FEATURES,
    FloatArray,
    IntArray,
    World,
    index_of,
)
from models.mlp_ranker import MLPRanker
from models.sasrec import SASRec
from models.topk import top_k

#: What there is to know about a user and a candidate; a preparation makes columns of it.
FEATURES = (
    *PAIR_FEATURES,
    *(f"item.{name}" for name in (*ITEM_FEATURES, *ITEM_WORDS)),
    *(f"user.{name}" for name in USER_FEATURES),
)


@dataclass(frozen=True)
class RankedLists:
    """One list a user: catalogue indices (-1: none) and scores, best first."""

    users: IntArray
    items_UK: IntArray
    scores_UK: npt.NDArray[np.float64]
    is_personal_U: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class NextItemModel:
    """A trained transformer with its vocabulary, the ranker on top, and how the ranker's features are prepared."""

    item_ids: npt.NDArray[np.object_]  # the vocabulary, sorted: what the transformer's indices mean
    sasrec: SASRec
    ranker: MLPRanker
    preparation: Preparation

    def __post_init__(self) -> None:
        prepared, learnt = set(self.preparation.columns), set(self.ranker.feature_names) - set(PAIR_FEATURES)
        if strange := sorted(prepared ^ learnt):
            lack = "not learnt by the ranker" if strange[0] in prepared else "not prepared for the ranker"
            raise ValueError(f"{strange[0]} is {lack}: the two are not of one model")

    def rank(
        self, world: World, users: IntArray, *, length: int, num_candidates: int, repeats_allowed: bool
    ) -> RankedLists:
        """The ``length`` best items for each of the users, who are indices into the world's."""
        ranking = self.ranking(
            world, length=length, num_candidates=num_candidates, repeats_allowed=repeats_allowed
        )
        return ranking.rank(users)

    def histories(self, world: World) -> list[IntArray]:
        """What the transformer reads of each user of a world."""
        to_vocabulary_N = index_of(world.item_ids, self.item_ids)
        users = np.arange(len(world.user_ids))
        return known_histories(world, users, to_vocabulary_N, self.sasrec.config.max_length)

    def ranking(
        self,
        world: World,
        *,
        length: int,
        num_candidates: int,
        repeats_allowed: bool,
        encode: Encode | None = None,
    ) -> Ranking:
        """This model in a world, ready to rank users: what is true of all of them is computed once.

        Args:
            encode: gives the states of histories instead of the transformer, the same as this would.
        """
        proposer = Proposer(
            self.sasrec,
            self.item_ids,
            world,
            num_candidates=num_candidates,
            length=length,
            repeats_allowed=repeats_allowed,
            encode=encode,
        )
        of_item_NS = self.ranker.project(self.preparation.of_items(world), self.preparation.item_columns)
        # A pair feature that came after the ranker was trained is one that it has not learnt.
        of_pair = [place for place, name in enumerate(PAIR_FEATURES) if name in self.ranker.feature_names]
        return Ranking(self, proposer, of_item_NS, self.preparation.of_users(world), of_pair)

    @property
    def reads(self) -> tuple[str, ...]:
        """What of FEATURES it has learnt from: what was declared later it does without."""
        pair = tuple(name for name in self.ranker.feature_names if name in PAIR_FEATURES)
        return pair + self.preparation.reads


@dataclass(frozen=True)
class Ranking:
    """A model in one world."""

    model: NextItemModel
    proposer: Proposer
    of_item_NS: FloatArray  # what an item's own features add to a candidate's sums
    user_UP: FloatArray  # the prepared features of users
    of_pair: list[int]  # the places of the pair features that the ranker has learnt

    def rank(self, users: IntArray) -> RankedLists:
        """The best items for each of the users, who are indices into the world's."""
        ranker, length = self.model.ranker, self.proposer.length
        user_names = self.model.preparation.user_columns
        pair_names = [PAIR_FEATURES[place] for place in self.of_pair]
        parts = []
        for candidates in self.proposer.propose(users):
            num_rows = len(candidates.is_personal_B)
            sums_RS = ranker.project(candidates.pair_RF[:, self.of_pair], pair_names)
            sums_RS += self.of_item_NS.take(candidates.items_R, axis=0)
            of_user_BS = ranker.project(self.user_UP[candidates.block], user_names)
            sums_RS += of_user_BS.take(candidates.rows_R, axis=0)
            scores_R = ranker.score_sums(sums_RS)
            # A user's candidates side by side, in the order of their items: equals go to the lesser item.
            scores_BC = _side_by_side(scores_R, candidates.rows_R, num_rows, -np.inf)
            items_BC = _side_by_side(candidates.items_R, candidates.rows_R, num_rows, -1)
            places_BK, best_BK = top_k(scores_BC, length)
            items_BK = np.where(places_BK >= 0, np.take_along_axis(items_BC, places_BK, axis=1), -1)
            parts.append((items_BK, best_BK, candidates.is_personal_B))
        if not parts:
            return RankedLists(
                users, np.empty((0, length), np.int64), np.empty((0, length)), np.empty(0, bool)
            )
        return RankedLists(
            users,
            np.concatenate([items for items, _, _ in parts]),
            np.concatenate([scores for _, scores, _ in parts]),
            np.concatenate([personal for _, _, personal in parts]),
        )


def _side_by_side(
    values_R: npt.NDArray[Any], rows_R: IntArray, num_rows: int, filler: float
) -> npt.NDArray[Any]:
    """What belongs to one row in one row, in its order; the filler where a row has less than another."""
    places_R = places_in_rows(rows_R, num_rows)
    values_BC = np.full((num_rows, int(places_R.max(initial=0)) + 1), filler, values_R.dtype)
    values_BC[rows_R, places_R] = values_R
    return values_BC
