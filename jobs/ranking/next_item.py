"""The next-item model: a transformer and co-visitation propose, a ranker over features puts in order.

B users of a block · N items of the catalogue · R rows (user and candidate) · K places
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from jobs.ranking.proposer import PAIR_FEATURES, Proposer, places_in_rows
from jobs.ranking.world import ITEM_FEATURES, USER_FEATURES, IntArray, World
from models.mlp_ranker import MLPRanker
from models.sasrec import SASRec
from models.topk import top_k

_OF_ITEM = tuple(f"item.{name}" for name in ITEM_FEATURES)
_OF_USER = tuple(f"user.{name}" for name in USER_FEATURES)
#: What the ranker knows about a user and a candidate, in the order of its columns.
FEATURES = PAIR_FEATURES + _OF_ITEM + _OF_USER


@dataclass(frozen=True)
class RankedLists:
    """One list a user: catalogue indices (-1: none) and scores, best first."""

    users: IntArray
    items_UK: IntArray
    scores_UK: npt.NDArray[np.float64]
    is_personal_U: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class NextItemModel:
    """A trained transformer with its vocabulary, and the ranker on top."""

    item_ids: npt.NDArray[np.object_]  # the vocabulary, sorted: what the transformer's indices mean
    sasrec: SASRec
    ranker: MLPRanker

    def rank(
        self, world: World, users: IntArray, *, length: int, num_candidates: int, repeats_allowed: bool
    ) -> RankedLists:
        """The ``length`` best items for each of the users, who are indices into the world's."""
        ranking = self.ranking(
            world, length=length, num_candidates=num_candidates, repeats_allowed=repeats_allowed
        )
        return ranking.rank(users)

    def ranking(self, world: World, *, length: int, num_candidates: int, repeats_allowed: bool) -> Ranking:
        """This model in a world, ready to rank users: what is true of all of them is computed once."""
        proposer = Proposer(
            self.sasrec,
            self.item_ids,
            world,
            num_candidates=num_candidates,
            length=length,
            repeats_allowed=repeats_allowed,
        )
        known = self._known(_OF_ITEM)
        of_item_NS = self.ranker.project(
            world.item_features_NF[:, known], [_OF_ITEM[place] for place in known]
        )
        return Ranking(self.ranker, proposer, of_item_NS, self._known(_OF_USER), self._known(PAIR_FEATURES))

    def _known(self, features: tuple[str, ...]) -> list[int]:
        """The places of those that the ranker has learnt: others were declared after it was trained."""
        learnt = set(self.ranker.feature_names)
        return [place for place, name in enumerate(features) if name in learnt]


@dataclass(frozen=True)
class Ranking:
    """A model in one world."""

    ranker: MLPRanker
    proposer: Proposer
    of_item_NS: npt.NDArray[np.float32]  # what an item's own features add to a candidate's sums
    of_user: list[int]  # the places of the users' features that the ranker has learnt
    of_pair: list[int]  # likewise

    def rank(self, users: IntArray) -> RankedLists:
        """The best items for each of the users, who are indices into the world's."""
        world, length = self.proposer.world, self.proposer.length
        user_names, pair_names = (
            [_OF_USER[place] for place in self.of_user],
            [PAIR_FEATURES[place] for place in self.of_pair],
        )
        parts = []
        for candidates in self.proposer.propose(users):
            num_rows = len(candidates.is_personal_B)
            sums_RS = self.ranker.project(candidates.pair_RF[:, self.of_pair], pair_names)
            sums_RS += self.of_item_NS.take(candidates.items_R, axis=0)
            user_BF = world.user_features_UF[candidates.block][:, self.of_user]
            of_user_BS = self.ranker.project(user_BF, user_names)
            sums_RS += of_user_BS.take(candidates.rows_R, axis=0)
            scores_R = self.ranker.score_sums(sums_RS)
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
