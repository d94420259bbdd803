"""The candidates of users: the best of a transformer, of co-visitation, of co-purchase and of recent popularity, with features.

B users of a block · N items of the catalogue · R rows (user and candidate) · F features · K places
T last events of a history, by age
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix

from contracts.tables import BOUGHT, IN_CART
from jobs.ranking.states import Encode
from jobs.ranking.world import ITEM_FEATURES, USER_FEATURES, IntArray, World, index_of
from models.deletions import deletable, last_events
from models.events import known_of
from models.neighbours import Neighbours
from models.sasrec import SASRec
from models.tails import encode_without
from models.topk import top_k, top_k_sparse

#: What the ranker knows about a user and a candidate beside the features of each, in the order of its columns.
PAIR_FEATURES = (
    "sasrec_score",  # standardised over the user's allowed items
    "sasrec_candidate_rank",  # logarithm
    "covisitation_score",
    "category_affinity",
    "brand_affinity",
    "is_seen",
    "is_last_item",
    "price_gap",  # the item's price over the user's mean price, as a difference of logarithms; 0 where one is missing
    "copurchase_score",
    "seen_freshness",  # 1 / (1 + days since the user last acted upon the item), 0 where the user never did
    "is_left_in_cart",  # the user put it into the cart and has not bought it
    "is_bought",  # the user has bought it
)

_BLOCK = 256  # users at once: bounds memory at _BLOCK × N scores


@dataclass(frozen=True)
class Encoded:
    """What the transformer makes of the histories of a block."""

    states_BD: npt.NDArray[np.float32]
    mean_B: npt.NDArray[np.float64]  # of the scores of all that may be shown
    spread_B: npt.NDArray[np.float64]


@dataclass(frozen=True)
class Deleted:
    """The last items of each user's history, and what the transformer makes of the history without each of them."""

    items_BT: IntArray  # see models.deletions.deletable
    without_BTD: npt.NDArray[np.float32]


@dataclass(frozen=True)
class Candidates:
    """The candidates of a block of users, row by row, users in order."""

    block: IntArray  # the users of the block, as indices into the world's
    rows_R: IntArray  # index into the block
    items_R: IntArray
    pair_RF: npt.NDArray[np.float32]  # PAIR_FEATURES
    is_personal_B: npt.NDArray[np.bool_]  # does the transformer know an item of this user's history?
    encoded: Encoded
    deleted: Deleted | None = None  # where reasons are asked for


class Proposer:
    """Candidates in one world: the best of the transformer, of co-visitation, of co-purchase and of recent popularity.

    Popularity proposes as many as a list is long, so that nobody's list is short while the catalogue is not; co-purchase as
    many too, as most of what it would propose beyond is proposed already, and each candidate costs time.

    M items that the transformer knows and that are for sale: only they are scored.
    """

    def __init__(
        self,
        sasrec: SASRec,
        vocabulary: npt.NDArray[np.object_],
        world: World,
        *,
        num_candidates: int,
        length: int,
        repeats_allowed: bool,
        num_events: int = 0,
        encode: Encode | None = None,
    ) -> None:
        """Args of which the names do not tell all:

        num_events: how many of a user's last events are deleted, one after the other, to tell reasons.
        encode: gives what :func:`encoder_of` would, from kept states.
        """
        self.world = world
        self.length = length
        self._max_length, self._width = sasrec.config.max_length, sasrec.config.width
        self._reads_events = sasrec.reads_events
        self._encode = encode or encoder_of(sasrec, num_events)
        self._num_candidates = num_candidates
        self._repeats_allowed = repeats_allowed
        self._num_events = num_events
        neighbours = Neighbours.fit(world.neighbours_NN, world.bought_with_NN)
        self.covisitation, self.copurchase = neighbours.covisitation, neighbours.copurchase
        self._to_vocabulary_N = index_of(world.item_ids, vocabulary)
        self._scored_M = np.flatnonzero((self._to_vocabulary_N >= 0) & world.is_available_N)
        self._place_N = np.full(world.num_items, -1, np.int64)  # of an item among the scored ones
        self._place_N[self._scored_M] = np.arange(len(self._scored_M))
        weights_VD = sasrec.item_embeddings.detach().numpy()
        self._items_DM = np.ascontiguousarray(weights_VD[self._to_vocabulary_N[self._scored_M]].T)
        items_DM = self._items_DM.astype(np.float64)
        self._sum_D, self._square_DD = items_DM.sum(axis=1), items_DM @ items_DM.T
        (most_popular,), _ = top_k(
            np.where(world.is_available_N, world.popularity_N, np.float32(-np.inf))[None, :], world.num_items
        )
        self._most_popular = most_popular[most_popular >= 0]

    def propose(self, users: IntArray, also: Sequence[IntArray] | None = None) -> Iterator[Candidates]:
        """Candidates of the users, block by block; with ``also``, further items of each that are to be among them."""
        # Read together, histories of like length share a batch; ranked in blocks, their scores fit in memory.
        known_U = known_histories(
            self.world, users, self._to_vocabulary_N, self._max_length, self._reads_events
        )
        encoded_UQD = self._encode(known_U).reshape(len(users), 1 + self._num_events, self._width)
        states_UD, without_UTD = encoded_UQD[:, 0], encoded_UQD[:, 1:] if self._num_events else None
        for start in range(0, len(users), _BLOCK):
            block = slice(start, start + _BLOCK)
            has_history_B = np.array([len(items) > 0 for items in known_U[block]])
            more = also[block] if also is not None else []
            candidates = self._of_block(users[block], states_UD[block], has_history_B, more)
            if without_UTD is not None:
                deleted = self._deleted(candidates, known_U[block], without_UTD[block])
                candidates = replace(candidates, deleted=deleted)
            yield candidates

    def _deleted(
        self, candidates: Candidates, known: Sequence[IntArray], without_BTD: npt.NDArray[np.float32]
    ) -> Deleted:
        """The states by the ages of all events: they come by those of the events that the transformer knows."""
        histories = [self.world.histories[user] for user in candidates.block]
        items_BT, of_known_BT = (
            deletable(last_events(each, self._num_events)) for each in (histories, known)
        )
        wanted_BT = np.where(items_BT >= 0, self._to_vocabulary_N[items_BT], -1)
        is_it_BTT = (wanted_BT[:, :, None] == of_known_BT[:, None, :]) & (wanted_BT >= 0)[:, :, None]
        found_BTD = np.take_along_axis(without_BTD, is_it_BTT.argmax(axis=2)[:, :, None], axis=1)
        is_known_BT1 = is_it_BTT.any(axis=2)[:, :, None]
        return Deleted(items_BT, np.where(is_known_BT1, found_BTD, candidates.encoded.states_BD[:, None, :]))

    def standardised_without(
        self, encoded: Encoded, deleted: Deleted, items_BK: IntArray
    ) -> npt.NDArray[np.float64]:
        """``sasrec_score`` of some items had the user not taken each deleted item; NaN where the transformer knows it not.

        What is taken off the moments for what may not be shown stays what it was.
        """
        (B, T), without_BTD = deleted.items_BT.shape, deleted.without_BTD
        places_BK = self._place_N[items_BK]
        if not len(self._scored_M):
            return np.full((B, T, items_BK.shape[1]), np.nan)
        items_BKD = self._items_DM.T[places_BK]
        scores_BTK = without_BTD @ items_BKD.transpose(0, 2, 1)
        mean_B, spread_B = self._moments_of_all(encoded.states_BD)
        mean_T, spread_T = self._moments_of_all(without_BTD.reshape(B * T, -1))
        mean_BT = mean_T.reshape(B, T) + (encoded.mean_B - mean_B)[:, None]
        spread_BT = spread_T.reshape(B, T) * (encoded.spread_B / spread_B)[:, None]
        standard_BTK = (scores_BTK - mean_BT[:, :, None]) / spread_BT[:, :, None]
        return np.where(places_BK[:, None, :] >= 0, standard_BTK, np.nan)

    def _of_block(
        self,
        block: IntArray,
        states_BD: npt.NDArray[np.float32],
        has_history_B: npt.NDArray[np.bool_],
        also: Sequence[IntArray],
    ) -> Candidates:
        histories = [self.world.histories[user] for user in block]
        seen_BN = self._seen(block)
        scores_BM = states_BD @ self._items_DM
        mean_B, spread_B = self._moments(states_BD, scores_BM, seen_BN)
        neighbours_BN = self.covisitation.score_neighbours(histories)
        bought_with_BN = self.copurchase.score_neighbours(histories)
        chosen_BN = np.zeros((len(block), self.world.num_items), bool)
        for rows, items in (
            self._best_scored(scores_BM, seen_BN),
            self._best_neighbours(neighbours_BN, seen_BN, self._num_candidates),
            self._best_neighbours(bought_with_BN, seen_BN, min(self.length, self._num_candidates)),
            self._popular(seen_BN),
        ):
            chosen_BN[rows, items] = True
        for row, items in enumerate(also):
            chosen_BN[row, items] = True
        flat_R = np.flatnonzero(chosen_BN)
        rows_R, items_R = np.divmod(flat_R, self.world.num_items)
        pair_RF = np.empty((len(rows_R), len(PAIR_FEATURES)), np.float32)
        scores_R = self._scores_of(scores_BM, rows_R, items_R)
        pair_RF[:, 0] = (scores_R - mean_B[rows_R]) / spread_B[rows_R]
        pair_RF[:, 1] = np.log1p(_ranks(scores_R, rows_R, len(block)))
        pair_RF[:, 2] = np.log1p(1000 * _dense(neighbours_BN).take(flat_R))
        pair_RF[:, 3] = self.world.affinity_UC[block].toarray()[rows_R, self.world.category_N[items_R]]
        pair_RF[:, 4] = self.world.brand_affinity_UB[block].toarray()[rows_R, self.world.brand_N[items_R]]
        pair_RF[:, 5] = seen_BN.take(flat_R)
        last_B = np.array([history[-1] if len(history) else -1 for history in histories])
        pair_RF[:, 6] = last_B[rows_R] == items_R
        price_N = self.world.item_features_NF[:, ITEM_FEATURES.index("price_cents")]
        mean_price_B = self.world.user_features_UF[block, USER_FEATURES.index("mean_price_cents_90d")]
        mean_price_R = mean_price_B[rows_R]
        gap_R = np.where(mean_price_R > 0, price_N[items_R] - mean_price_R, 0)
        pair_RF[:, 7] = np.nan_to_num(gap_R)
        pair_RF[:, 8] = np.log1p(1000 * _dense(bought_with_BN).take(flat_R))
        pair_RF[:, 9:] = self._deeds(block, flat_R, seen_BN.take(flat_R))
        encoded = Encoded(states_BD, mean_B, spread_B)
        return Candidates(block, rows_R, items_R, pair_RF, has_history_B, encoded)

    def _seen(self, block: IntArray) -> npt.NDArray[np.bool_]:
        seen = [self.world.seen[user] for user in block]
        seen_BN = np.zeros((len(block), self.world.num_items), bool)
        rows = np.repeat(np.arange(len(block)), [len(items) for items in seen])
        seen_BN[rows, np.concatenate([*seen, np.empty(0, np.int64)])] = True
        return seen_BN

    def _deeds(
        self, block: IntArray, flat_R: IntArray, is_seen_R: npt.NDArray[np.bool_]
    ) -> npt.NDArray[np.float32]:
        """What the users did with their candidates: how fresh it is, is it left in the cart, is it bought?

        Args:
            flat_R: place in the block · number of items + item, rising.
        """
        deeds, seen = self.world.deeds, [self.world.seen[user] for user in block]
        lengths_B = np.array([len(items) for items in seen])
        rows = np.repeat(np.arange(len(block)), lengths_B)
        # Both rise: what a candidate is among the seen is found by its place.
        flat_seen = rows * self.world.num_items + np.concatenate([*seen, np.empty(0, np.int64)])
        found = np.searchsorted(flat_seen, flat_R[is_seen_R])
        places = deeds.starts_U[block][rows[found]] + found - (np.cumsum(lengths_B) - lengths_B)[rows[found]]
        depths, deeds_RF = deeds.depths_D[places], np.zeros((len(flat_R), 3), np.float32)
        fresh = 1 / (1 + deeds.days_ago_D[places])
        deeds_RF[is_seen_R] = np.stack([fresh, depths == IN_CART, depths == BOUGHT], axis=1)
        return deeds_RF

    def _moments(
        self,
        states_BD: npt.NDArray[np.float32],
        scores_BM: npt.NDArray[np.float32],
        seen_BN: npt.NDArray[np.bool_],
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Mean and spread of each user's scores over all items that may be shown.

        A score is linear in the item, so that both follow from sums over the items; what the user has seen is
        taken off where it may not be shown again.
        """
        count_B = np.full(len(states_BD), len(self._scored_M))
        total_B, square_B = self._sums(states_BD)
        if not self._repeats_allowed:
            rows, places = np.nonzero(seen_BN[:, self._scored_M])
            off = scores_BM[rows, places].astype(np.float64)
            count_B = count_B - np.bincount(rows, minlength=len(states_BD))
            total_B -= np.bincount(rows, off, minlength=len(states_BD))
            square_B -= np.bincount(rows, off**2, minlength=len(states_BD))
        return _mean_and_spread(count_B, total_B, square_B)

    def _moments_of_all(
        self, states_BD: npt.NDArray[np.float32]
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        return _mean_and_spread(np.full(len(states_BD), len(self._scored_M)), *self._sums(states_BD))

    def _sums(
        self, states_BD: npt.NDArray[np.float32]
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """The sum of each user's scores over all scored items, and of their squares."""
        states = states_BD.astype(np.float64)
        return states @ self._sum_D, np.einsum("bd,bd->b", states @ self._square_DD, states)

    def _best_scored(
        self, scores_BM: npt.NDArray[np.float32], seen_BN: npt.NDArray[np.bool_]
    ) -> tuple[IntArray, IntArray]:
        if not self._repeats_allowed:
            scores_BM = np.where(seen_BN[:, self._scored_M], np.float32(-np.inf), scores_BM)
        places_BK, _ = top_k(scores_BM, self._num_candidates)
        rows, ranks = np.nonzero(places_BK >= 0)
        return rows, self._scored_M[places_BK[rows, ranks]]

    def _best_neighbours(
        self, neighbours_BN: csr_matrix, seen_BN: npt.NDArray[np.bool_], num_candidates: int
    ) -> tuple[IntArray, IntArray]:
        rows = np.repeat(np.arange(len(seen_BN)), np.diff(neighbours_BN.indptr))
        is_allowed = self.world.is_available_N[neighbours_BN.indices]
        if not self._repeats_allowed:
            is_allowed &= ~seen_BN[rows, neighbours_BN.indices]
        ends = np.concatenate([[0], np.cumsum(np.bincount(rows[is_allowed], minlength=len(seen_BN)))])
        allowed_BN = csr_matrix(
            (neighbours_BN.data[is_allowed], neighbours_BN.indices[is_allowed], ends),
            shape=neighbours_BN.shape,
        )
        items_BK, _ = top_k_sparse(allowed_BN, num_candidates)
        rows, ranks = np.nonzero(items_BK >= 0)
        return rows, items_BK[rows, ranks]

    def _popular(self, seen_BN: npt.NDArray[np.bool_]) -> tuple[IntArray, IntArray]:
        """The most popular items of each user: the first that the user has not seen, where that counts."""
        if self._repeats_allowed:
            rows = np.repeat(np.arange(len(seen_BN)), min(self.length, len(self._most_popular)))
            return rows, np.tile(self._most_popular[: self.length], len(seen_BN))
        most = self._most_popular[: self.length + int(seen_BN.sum(axis=1).max(initial=0))]
        is_new_BP = ~seen_BN[:, most]
        is_new_BP &= np.cumsum(is_new_BP, axis=1) <= self.length
        rows, places = np.nonzero(is_new_BP)
        return rows, most[places]

    def _scores_of(
        self, scores_BM: npt.NDArray[np.float32], rows_R: IntArray, items_R: IntArray
    ) -> npt.NDArray[np.float32]:
        """The transformer's scores of candidates; what it does not know gets the lowest score of the user."""
        places_R = self._place_N[items_R]
        if not len(self._scored_M):
            return np.zeros(len(rows_R), np.float32)
        scores_R = scores_BM.take(rows_R * len(self._scored_M) + places_R)
        unknown = np.flatnonzero(places_R < 0)
        if len(unknown):
            scores_R[unknown] = scores_BM.min(axis=1)[rows_R[unknown]]
        return scores_R


def encoder_of(sasrec: SASRec, num_events: int) -> Encode:
    """What reads histories for a proposer: one row each, the state and after it those without each of the last events."""

    def encode(histories: Sequence[IntArray]) -> npt.NDArray[np.float32]:
        states_UD, without_UTD = encode_without(sasrec, histories, num_events)
        return np.concatenate(
            [states_UD, without_UTD.reshape(len(histories), num_events * sasrec.config.width)], axis=1
        )

    return encode if num_events else sasrec.encode


def known_histories(
    world: World, users: IntArray, to_vocabulary_N: IntArray, max_length: int, reads_events: bool
) -> list[IntArray]:
    """What the transformer reads of each user: the last items, or events, of the history that are in its vocabulary, by this."""
    histories_U = (world.events(user) if reads_events else world.histories[user] for user in users)
    return [known_of(history, to_vocabulary_N)[-max_length:] for history in histories_U]


def allowed_items(world: World, users: IntArray, repeats_allowed: bool) -> npt.NDArray[np.bool_]:
    """What may be shown to each user: items for sale and, unless repeats are allowed, not yet acted upon."""
    allowed_BN = np.tile(world.is_available_N, (len(users), 1))
    if not repeats_allowed:
        for row, user in enumerate(users):
            allowed_BN[row, world.seen[user]] = False
    return allowed_BN


def _mean_and_spread(
    count_B: IntArray, total_B: npt.NDArray[np.float64], square_B: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    count_B = np.maximum(count_B, 1)
    mean_B = total_B / count_B
    return mean_B, np.maximum(np.sqrt(np.maximum(square_B / count_B - mean_B**2, 0)), 1e-6)


def _dense(sparse_BN: csr_matrix) -> npt.NDArray[np.float32]:
    dense_BN = np.zeros(sparse_BN.shape, np.float32)
    rows = np.repeat(np.arange(len(dense_BN)), np.diff(sparse_BN.indptr))
    dense_BN[rows, sparse_BN.indices] = sparse_BN.data
    return dense_BN


def _ranks(scores_R: npt.NDArray[np.float32], rows_R: IntArray, num_rows: int) -> IntArray:
    """The rank of each candidate among its user's by score, from 0; among equals the first is the better."""
    # One integer holds the score, as bits in descending order, and the place: integers are sorted fastest.
    bits_R = scores_R.view(np.int32).astype(np.int64)
    descending_R = -np.where(bits_R < 0, -(bits_R & 0x7FFFFFFF), bits_R)
    places_R = places_in_rows(rows_R, num_rows)
    width = max(1, int(places_R.max(initial=0)).bit_length())
    keys_BC = np.full((num_rows, int(places_R.max(initial=0)) + 1), np.iinfo(np.int64).max)
    keys_BC[rows_R, places_R] = (descending_R << width) | places_R
    order_BC = np.sort(keys_BC, axis=1) & ((1 << width) - 1)
    ranks_BC = np.empty(order_BC.shape, np.int64)
    lengths_B = np.bincount(rows_R, minlength=num_rows)
    rows, ranks = np.nonzero(np.arange(order_BC.shape[1]) < lengths_B[:, None])
    ranks_BC[rows, order_BC[rows, ranks]] = ranks
    return ranks_BC[rows_R, places_R]


def places_in_rows(rows_R: IntArray, num_rows: int) -> IntArray:
    """The place of each value within its row; values come row by row."""
    lengths_B = np.bincount(rows_R, minlength=num_rows)
    return np.arange(len(rows_R)) - np.repeat(np.cumsum(lengths_B) - lengths_B, lengths_B)
