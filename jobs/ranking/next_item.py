"""The next-item model: a transformer and co-visitation propose, a ranker over features puts in order.

B users of a block · N items of the catalogue · R rows (user and candidate) · F features · K places
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from jobs.ranking.world import ITEM_FEATURES, USER_FEATURES, IntArray, World, index_of
from models.covisitation import CoVisitation
from models.mlp_ranker import MLPRanker
from models.sasrec import SASRec
from models.topk import top_k

#: What the ranker knows about a user and a candidate, in the order of its columns.
PAIR_FEATURES = (
    "sasrec_score",  # standardised over the user's allowed items
    "sasrec_candidate_rank",  # logarithm
    "covisitation_score",
    "category_affinity",
    "is_seen",
    "is_last_item",
    "price_gap",  # the item's price over the user's mean price, as a difference of logarithms
)
_OF_ITEM = tuple(f"item.{name}" for name in ITEM_FEATURES)
_OF_USER = tuple(f"user.{name}" for name in USER_FEATURES)
FEATURES = PAIR_FEATURES + _OF_ITEM + _OF_USER

_BLOCK = 256  # users at once: bounds memory at _BLOCK × N scores


@dataclass(frozen=True)
class Candidates:
    """The candidates of a block of users, row by row, users in order."""

    block: IntArray  # the users of the block, as indices into the world's
    rows_R: IntArray  # index into the block
    items_R: IntArray
    pair_RF: npt.NDArray[np.float32]  # PAIR_FEATURES
    is_personal_B: npt.NDArray[np.bool_]  # does anything about this user speak for some item?

    def features(self, world: World) -> npt.NDArray[np.float32]:
        """One row of FEATURES for each candidate."""
        of_item_RF, of_user_RF = (
            world.item_features_NF[self.items_R],
            world.user_features_UF[self.block[self.rows_R]],
        )
        return np.concatenate([self.pair_RF, of_item_RF, of_user_RF], axis=1)


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
        parts = []
        of_item_NS = self.ranker.project(world.item_features_NF, _OF_ITEM)
        for candidates in propose(
            self.sasrec,
            self.item_ids,
            world,
            users,
            num_candidates=num_candidates,
            length=length,
            repeats_allowed=repeats_allowed,
        ):
            num_rows = len(candidates.is_personal_B)
            sums_RS = self.ranker.project(candidates.pair_RF, PAIR_FEATURES)
            sums_RS += of_item_NS[candidates.items_R]
            sums_RS += self.ranker.project(world.user_features_UF[candidates.block], _OF_USER)[
                candidates.rows_R
            ]
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


def propose(
    sasrec: SASRec,
    vocabulary: npt.NDArray[np.object_],
    world: World,
    users: IntArray,
    *,
    num_candidates: int,
    length: int,
    repeats_allowed: bool,
) -> Iterator[Candidates]:
    """Candidates of the users in blocks: the best of the transformer, of co-visitation and of recent popularity.

    Popularity proposes as many as a list is long, so that nobody's list is short while the catalogue is not.
    """
    to_vocabulary_N = index_of(world.item_ids, vocabulary)
    known_items = np.flatnonzero(to_vocabulary_N >= 0)
    popular_1N = _popular(world, world.is_available_N[None, :], length)
    covisitation = CoVisitation().fit(world.neighbours_NN)
    # Read together, histories of like length share a batch; ranked in blocks, their scores fit in memory.
    known_U = [to_vocabulary_N[world.histories[user]] for user in users]
    known_U = [items[items >= 0] for items in known_U]
    states_UD = sasrec.encode(known_U)
    for start in range(0, len(users), _BLOCK):
        block = users[start : start + _BLOCK]
        histories = [world.histories[user] for user in block]
        allowed_BN = allowed_items(world, block, repeats_allowed)
        sasrec_BN = np.full((len(block), world.num_items), -np.inf, np.float32)
        sasrec_BN[:, known_items] = sasrec.score_states(states_UD[start : start + _BLOCK])[
            :, to_vocabulary_N[known_items]
        ]
        sasrec_BN[~allowed_BN] = -np.inf
        neighbours_BN = covisitation.score(histories)
        chosen_BN = _best(sasrec_BN, num_candidates)
        chosen_BN |= _best(np.where(allowed_BN & (neighbours_BN > 0), neighbours_BN, -np.inf), num_candidates)
        chosen_BN |= popular_1N if repeats_allowed else _popular(world, allowed_BN, length)
        rows, items_R = np.divmod(np.flatnonzero(chosen_BN), world.num_items)
        yield Candidates(
            block=block,
            rows_R=rows,
            items_R=items_R,
            pair_RF=_pair_features(world, block, rows, items_R, sasrec_BN, neighbours_BN, histories),
            is_personal_B=np.array([len(items) > 0 for items in known_U[start : start + _BLOCK]])
            | (neighbours_BN > 0).any(axis=1),
        )


def allowed_items(world: World, users: IntArray, repeats_allowed: bool) -> npt.NDArray[np.bool_]:
    """What may be shown to each user: items for sale and, unless repeats are allowed, not yet acted upon."""
    allowed_BN = np.tile(world.is_available_N, (len(users), 1))
    if not repeats_allowed:
        for row, user in enumerate(users):
            allowed_BN[row, world.seen[user]] = False
    return allowed_BN


def _popular(world: World, allowed_BN: npt.NDArray[np.bool_], length: int) -> npt.NDArray[np.bool_]:
    return _best(np.where(allowed_BN, world.popularity_N[None, :], np.float32(-np.inf)), length)


def _best(scores_BN: npt.NDArray[np.float32], k: int) -> npt.NDArray[np.bool_]:
    items_BK, _ = top_k(scores_BN, min(k, scores_BN.shape[1]))
    chosen_BN = np.zeros(scores_BN.shape, bool)
    rows, places = np.nonzero(items_BK >= 0)
    chosen_BN[rows, items_BK[rows, places]] = True
    return chosen_BN


def _pair_features(
    world: World,
    block: IntArray,
    rows_R: IntArray,
    items_R: IntArray,
    sasrec_BN: npt.NDArray[np.float32],
    neighbours_BN: npt.NDArray[np.float32],
    histories: list[IntArray],
) -> npt.NDArray[np.float32]:
    """One row of PAIR_FEATURES for each candidate."""
    score_R, rank_R = _standardised(sasrec_BN, rows_R, items_R)
    seen_BN = np.zeros(sasrec_BN.shape, bool)
    last_B = np.full(len(block), -1, np.int64)
    for row, user in enumerate(block):
        seen_BN[row, world.seen[user]] = True
        if len(histories[row]):
            last_B[row] = histories[row][-1]
    affinity_BC = world.affinity_UC[block].toarray()
    price_N = world.item_features_NF[:, ITEM_FEATURES.index("price_cents")]
    mean_price_R = world.user_features_UF[block, USER_FEATURES.index("mean_price_cents_90d")][rows_R]
    return np.column_stack(
        [
            score_R,
            rank_R,
            np.log1p(1000 * neighbours_BN[rows_R, items_R]),
            affinity_BC[rows_R, world.category_N[items_R]],
            seen_BN[rows_R, items_R],
            last_B[rows_R] == items_R,
            np.where(mean_price_R > 0, price_N[items_R] - mean_price_R, 0),
        ]
    ).astype(np.float32)


def _standardised(
    sasrec_BN: npt.NDArray[np.float32], rows_R: IntArray, items_R: IntArray
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Score minus the user's mean over allowed items, by their spread; and the logarithm of the rank among candidates.

    An item outside the vocabulary gets the lowest score of the user.
    """
    is_scored_BN = np.isfinite(sasrec_BN)
    count_B = np.maximum(is_scored_BN.sum(axis=1), 1)
    plain_BN = np.where(is_scored_BN, sasrec_BN, np.float32(0))
    mean_B = plain_BN.sum(axis=1, dtype=np.float64) / count_B
    square_B = np.einsum("bn,bn->b", plain_BN, plain_BN, dtype=np.float64, casting="same_kind") / count_B
    spread_B = np.maximum(np.sqrt(np.maximum(square_B - mean_B**2, 0)), 1e-6)
    lowest_B = np.where(is_scored_BN, sasrec_BN, np.float32(np.inf)).min(axis=1, initial=np.inf)
    scores_R = sasrec_BN[rows_R, items_R]
    scores_R = np.where(np.isfinite(scores_R), scores_R, lowest_B[rows_R])
    scores_R = np.where(
        np.isfinite(scores_R), scores_R, 0
    )  # of a user who may be shown nothing that is known
    standard_R = (scores_R - mean_B[rows_R]) / spread_B[rows_R]
    standard_BC = _side_by_side(standard_R, rows_R, len(sasrec_BN), -np.inf)
    order_BC = np.argsort(-standard_BC, axis=1, kind="stable")
    rank_BC = np.empty(order_BC.shape)
    np.put_along_axis(rank_BC, order_BC, np.arange(order_BC.shape[1], dtype=np.float64)[None, :], axis=1)
    return standard_R, np.log1p(rank_BC[rows_R, _places(rows_R, len(sasrec_BN))])


def _side_by_side(
    values_R: npt.NDArray[Any], rows_R: IntArray, num_rows: int, filler: float
) -> npt.NDArray[Any]:
    """What belongs to one row in one row, in its order; the filler where a row has less than another."""
    places_R = _places(rows_R, num_rows)
    values_BC = np.full((num_rows, int(places_R.max(initial=0)) + 1), filler, values_R.dtype)
    values_BC[rows_R, places_R] = values_R
    return values_BC


def _places(rows_R: IntArray, num_rows: int) -> IntArray:
    """The place of each value within its row; values come row by row."""
    lengths_B = np.bincount(rows_R, minlength=num_rows)
    return np.arange(len(rows_R)) - np.repeat(np.cumsum(lengths_B) - lengths_B, lengths_B)
