"""The next-item model: a transformer and co-visitation propose, a ranker over features puts in order.

B users of a block · N items of the catalogue · R rows (user and candidate) · F features · K places
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

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
    "sasrec_rank",  # logarithm
    "covisitation_score",
    "category_affinity",
    "is_seen",
    "is_last_item",
    "price_gap",  # the item's price over the user's mean price, as a difference of logarithms
)
FEATURES = (
    PAIR_FEATURES
    + tuple(f"item.{name}" for name in ITEM_FEATURES)
    + tuple(f"user.{name}" for name in USER_FEATURES)
)

_BLOCK = 256  # users at once: bounds memory at _BLOCK × N scores


@dataclass(frozen=True)
class Candidates:
    """The candidates of a block of users, row by row, users in order."""

    users_R: IntArray  # index into the world's users
    rows_R: IntArray  # index into the block
    items_R: IntArray
    features_RF: npt.NDArray[np.float32]
    is_personal_B: npt.NDArray[np.bool_]  # does anything about this user speak for some item?


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
        for candidates in propose(
            self.sasrec,
            self.item_ids,
            world,
            users,
            num_candidates=num_candidates,
            length=length,
            repeats_allowed=repeats_allowed,
        ):
            scores_R = self.ranker.score(candidates.features_RF, FEATURES)
            scores_BN = np.full((len(candidates.is_personal_B), world.num_items), -np.inf)
            scores_BN[candidates.rows_R, candidates.items_R] = scores_R
            items_BK, best_BK = top_k(scores_BN, length)
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
    covisitation = CoVisitation().fit(world.neighbours_NN)
    for start in range(0, len(users), _BLOCK):
        block = users[start : start + _BLOCK]
        histories = [world.histories[user] for user in block]
        allowed_BN = allowed_items(world, block, repeats_allowed)
        known = [to_vocabulary_N[history] for history in histories]
        known = [items[items >= 0] for items in known]
        sasrec_BN = np.full((len(block), world.num_items), -np.inf, np.float32)
        sasrec_BN[:, to_vocabulary_N >= 0] = sasrec.score(known)[:, to_vocabulary_N[to_vocabulary_N >= 0]]
        sasrec_BN[~allowed_BN] = -np.inf
        neighbours_BN = covisitation.score(histories)
        chosen_BN = _best(sasrec_BN, num_candidates)
        chosen_BN |= _best(np.where(allowed_BN & (neighbours_BN > 0), neighbours_BN, -np.inf), num_candidates)
        popular_BN = np.where(allowed_BN, world.popularity_N[None, :], -np.inf)
        chosen_BN |= _best(popular_BN, length)
        rows, items_R = np.nonzero(chosen_BN)
        yield Candidates(
            users_R=block[rows],
            rows_R=rows,
            items_R=items_R.astype(np.int64),
            features_RF=_features(world, block, rows, items_R, sasrec_BN, neighbours_BN, histories),
            is_personal_B=np.array([len(items) > 0 for items in known]) | (neighbours_BN > 0).any(axis=1),
        )


def allowed_items(world: World, users: IntArray, repeats_allowed: bool) -> npt.NDArray[np.bool_]:
    """What may be shown to each user: items for sale and, unless repeats are allowed, not yet acted upon."""
    allowed_BN = np.tile(world.is_available_N, (len(users), 1))
    if not repeats_allowed:
        for row, user in enumerate(users):
            allowed_BN[row, world.seen[user]] = False
    return allowed_BN


def _best(scores_BN: npt.NDArray[np.float32], k: int) -> npt.NDArray[np.bool_]:
    items_BK, _ = top_k(scores_BN, min(k, scores_BN.shape[1]))
    chosen_BN = np.zeros(scores_BN.shape, bool)
    rows, places = np.nonzero(items_BK >= 0)
    chosen_BN[rows, items_BK[rows, places]] = True
    return chosen_BN


def _features(
    world: World,
    block: IntArray,
    rows_R: IntArray,
    items_R: IntArray,
    sasrec_BN: npt.NDArray[np.float32],
    neighbours_BN: npt.NDArray[np.float32],
    histories: list[IntArray],
) -> npt.NDArray[np.float32]:
    """One row of FEATURES for each candidate."""
    score_R, rank_R = _standardised(sasrec_BN, rows_R, items_R)
    seen_BN = np.zeros(sasrec_BN.shape, bool)
    last_B = np.full(len(block), -1, np.int64)
    for row, user in enumerate(block):
        seen_BN[row, world.seen[user]] = True
        if len(histories[row]):
            last_B[row] = histories[row][-1]
    affinity_BC = world.affinity_UC[block].toarray()
    item_NF = world.item_features_NF[items_R]
    user_RF = world.user_features_UF[block[rows_R]]
    price_gap_R = (
        item_NF[:, ITEM_FEATURES.index("price_cents")]
        - user_RF[:, USER_FEATURES.index("mean_price_cents_90d")]
    )
    pair_RF = np.column_stack(
        [
            score_R,
            rank_R,
            np.log1p(1000 * neighbours_BN[rows_R, items_R]),
            affinity_BC[rows_R, world.category_N[items_R]],
            seen_BN[rows_R, items_R],
            last_B[rows_R] == items_R,
            np.where(user_RF[:, USER_FEATURES.index("mean_price_cents_90d")] > 0, price_gap_R, 0),
        ]
    ).astype(np.float32)
    return np.concatenate([pair_RF, item_NF, user_RF], axis=1)


def _standardised(
    sasrec_BN: npt.NDArray[np.float32], rows_R: IntArray, items_R: IntArray
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Score minus the user's mean over allowed items, by their spread; and the logarithm of the rank.

    An item outside the vocabulary gets the lowest score of the user.
    """
    is_scored_BN = np.isfinite(sasrec_BN)
    count_B1 = np.maximum(is_scored_BN.sum(axis=1, keepdims=True), 1)
    plain_BN = np.where(is_scored_BN, sasrec_BN, 0)
    mean_B1 = plain_BN.sum(axis=1, keepdims=True) / count_B1
    spread_B1 = np.sqrt(
        np.where(is_scored_BN, (plain_BN - mean_B1) ** 2, 0).sum(axis=1, keepdims=True) / count_B1
    )
    standard_BN = (plain_BN - mean_B1) / np.maximum(spread_B1, 1e-6)
    lowest_B1 = np.where(is_scored_BN, standard_BN, np.inf).min(axis=1, keepdims=True, initial=0)
    standard_BN = np.where(is_scored_BN, standard_BN, lowest_B1)
    order_BN = np.argsort(-standard_BN, axis=1, kind="stable")
    rank_BN = np.empty(order_BN.shape, np.float32)
    np.put_along_axis(rank_BN, order_BN, np.arange(order_BN.shape[1], dtype=np.float32)[None, :], axis=1)
    return standard_BN[rows_R, items_R].astype(np.float32), np.log1p(rank_BN[rows_R, items_R])
