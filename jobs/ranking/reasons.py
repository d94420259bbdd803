"""Why this item: the past events without which it would score less, for the first places of every list.

Each of a user's last items is deleted, one after the other, and the first places are scored again: by what the transformer,
co-visitation and co-purchase say of the history without it, and by the ranker over all of that. What falls the most is the
reason. So a reason is a statement about the score itself, and deleting the events that it names checks it.

What features count over weeks (tastes, mean prices, totals) stays as it was, and so do the other candidates.

B users of a block · R rows (user and candidate) · K places · T last events, by age · V pairs of user and deleted item
C candidates of a user · E reasons of a place · F pair features · S sums of the ranker
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from contracts.lists import REASONS_PER_PLACE
from jobs.ranking.proposer import PAIR_FEATURES, Candidates, Deleted, Proposer, places_in_rows
from jobs.ranking.world import IntArray
from models.deletions import last_events

if TYPE_CHECKING:
    import pyarrow as pa

    from jobs.ranking.next_item import Ranking

#: Events that may be reasons: each more has the transformer read every history at as many places more as there are
#: younger ones, and the ranker score the first places once more. Older events seldom speak up.
EXPLAINED_EVENTS = 5
#: A score has to fall by so much: a hundredth moves the odds of being wanted by a hundredth, less is noise.
_LEAST_FALL = 0.01

_FAR = 1e3  # no standardised score is so far out

_COLUMN = {name: place for place, name in enumerate(PAIR_FEATURES)}
#: What a user did with an item: gone with its events.
_DEEDS = [_COLUMN[name] for name in ("is_seen", "seen_freshness", "is_left_in_cart", "is_bought")]


@dataclass(frozen=True)
class Explained:
    """How an item stands with a user, whether it would be a candidate by itself or not."""

    score: float
    rank: int  # from 1, among the candidates and itself
    num_candidates: int  # among them itself
    is_candidate: bool  # does a source propose it?
    features: dict[str, float]  # PAIR_FEATURES
    falls: list[tuple[int, float]]  # of each of the last items, the farthest first


def strongest(falls_BTK: npt.NDArray[np.float64], items_BT: IntArray) -> IntArray:
    """The items that speak most for each place, reasons_BKE: strongest first, the younger of equals; -1 where none does.

    Args:
        falls_BTK: how far the score of a place falls without each item; what no item stands for is -inf.
    """
    falls_BKT = falls_BTK.transpose(0, 2, 1)
    ages_BKE = np.argsort(-falls_BKT, axis=2, kind="stable")[:, :, :REASONS_PER_PLACE]
    items_BKE = np.take_along_axis(items_BT[:, None, :], ages_BKE, axis=2)
    reasons_BKE = np.where(np.take_along_axis(falls_BKT, ages_BKE, axis=2) >= _LEAST_FALL, items_BKE, -1)
    missing = REASONS_PER_PLACE - reasons_BKE.shape[2]
    return np.pad(reasons_BKE, ((0, 0), (0, 0), (0, missing)), constant_values=-1)


def falls_of(
    ranking: Ranking,
    candidates: Candidates,
    deleted: Deleted,
    rows_BK: IntArray,
    scores_R: npt.NDArray[np.float64],
) -> npt.NDArray[np.float64]:
    """How far the scores of some candidates fall without each of the user's last items, falls_BTK.

    Args:
        rows_BK: which rows of the candidates, -1 for none.
        scores_R: the scores of all candidates as they are.
    """
    falls_BTK = np.full((*deleted.items_BT.shape, rows_BK.shape[1]), -np.inf)
    users_V, ages_V = np.nonzero(deleted.items_BT >= 0)
    is_place_BK, rows_BK = rows_BK >= 0, np.maximum(rows_BK, 0)
    after_VKF = _without(ranking.proposer, candidates, deleted, rows_BK, users_V, ages_V)
    rest_BKS = ranking.of_item_NS[candidates.items_R[rows_BK]] + ranking.of_user(candidates)[:, None, :]
    falls_VK = scores_R[rows_BK[users_V]] - ranking.score_pairs(after_VKF, rest_BKS[users_V])
    falls_BTK[users_V, ages_V] = np.where(is_place_BK[users_V], falls_VK, -np.inf)
    return falls_BTK


def reason_columns(reasons_UKE: IntArray, item_ids: npt.NDArray[np.object_]) -> dict[str, pa.Array]:
    """The columns of ``contracts.tables.LISTS`` that tell reasons."""
    import pyarrow as pa

    users_X, places_X, _ = np.nonzero(reasons_UKE >= 0)
    ends_U = np.cumsum(np.bincount(users_X, minlength=len(reasons_UKE)))
    offsets = pa.array(np.concatenate([[0], ends_U]).astype(np.int32))
    named = pa.array(item_ids, pa.string()).take(pa.array(reasons_UKE[reasons_UKE >= 0]))
    return {
        "reason_places": pa.ListArray.from_arrays(offsets, pa.array((places_X + 1).astype(np.int32))),
        "reason_item_ids": pa.ListArray.from_arrays(offsets, named),
    }


def _without(
    proposer: Proposer,
    candidates: Candidates,
    deleted: Deleted,
    rows_BK: IntArray,
    users_V: IntArray,
    ages_V: IntArray,
) -> npt.NDArray[np.float32]:
    """PAIR_FEATURES of the rows as they would be without each deleted item."""
    before_BKF, items_BK = candidates.pair_RF[rows_BK], candidates.items_R[rows_BK]
    after_VKF, items_VK = before_BKF[users_V], items_BK[users_V]
    histories = [proposer.world.histories[user] for user in candidates.block]
    for name, model in (
        ("covisitation_score", proposer.covisitation),
        ("copurchase_score", proposer.copurchase),
    ):
        scores_BTK = model.score_without(histories, deleted.items_BT, items_BK)
        after_VKF[:, :, _COLUMN[name]] = np.log1p(1000 * scores_BTK[users_V, ages_V])
    standard_BTK = proposer.standardised_without(candidates.encoded, deleted, items_BK)
    standard_VK = standard_BTK[users_V, ages_V]
    is_known_VK = ~np.isnan(standard_VK)
    before_VK = before_BKF[users_V, :, _COLUMN["sasrec_score"]]
    standard_VK = np.where(is_known_VK, standard_VK, before_VK)
    after_VKF[:, :, _COLUMN["sasrec_score"]] = standard_VK
    ranks_VK = np.log1p(_ranks(candidates, standard_VK, before_VK, users_V))
    rank = after_VKF[:, :, _COLUMN["sasrec_candidate_rank"]]
    after_VKF[:, :, _COLUMN["sasrec_candidate_rank"]] = np.where(is_known_VK, ranks_VK, rank)
    items_V = deleted.items_BT[users_V, ages_V]
    last_V, is_gone_V = _history_without(histories, items_V, users_V, deleted.items_BT.shape[1])
    after_VKF[:, :, _COLUMN["is_last_item"]] = items_VK == last_V[:, None]
    is_gone_VK = (items_VK == items_V[:, None]) & is_gone_V[:, None]
    after_VKF[:, :, _DEEDS] *= ~is_gone_VK[:, :, None]
    return after_VKF


def _ranks(
    candidates: Candidates,
    standard_VK: npt.NDArray[np.float64],
    before_VK: npt.NDArray[np.float32],
    users_V: IntArray,
) -> IntArray:
    """The transformer's ranks of candidates whose scores have changed, among the others as they are."""
    # Users far apart in one rising array: all of them are looked up at once.
    rising_R = np.sort(_apart(candidates.pair_RF[:, _COLUMN["sasrec_score"]], candidates.rows_R))
    ends_B = np.searchsorted(candidates.rows_R, np.arange(len(candidates.is_personal_B)), side="right")
    sought_VK = _apart(standard_VK, users_V[:, None])
    num_better_VK = ends_B[users_V][:, None] - np.searchsorted(rising_R, sought_VK, side="right")
    # Nobody is better than himself; by how far is asked as the others were, or what rounding has made equal counts once too few.
    return np.asarray(num_better_VK - (_apart(before_VK, users_V[:, None]) > sought_VK), np.int64)


def _apart(scores: npt.NDArray[np.floating[Any]], rows: IntArray) -> npt.NDArray[np.float64]:
    """Scores of users, so that none of one reaches those of another."""
    return np.clip(scores.astype(np.float64), -_FAR, _FAR) + 3 * _FAR * rows


def _history_without(
    histories: list[IntArray], items_V: IntArray, users_V: IntArray, num_events: int
) -> tuple[IntArray, npt.NDArray[np.bool_]]:
    """The last item of each history without one, -1 for none; and has the one no earlier event than those deleted?"""
    events_BL = last_events(histories, max(num_events + 1, *map(len, histories)))
    is_it_VL = events_BL[users_V] == items_V[:, None]
    is_gone_V = ~is_it_VL[:, num_events:].any(axis=1)
    is_it_VL[:, num_events:] = False
    return events_BL[users_V, (~is_it_VL).argmax(axis=1)], is_gone_V


def side_by_side(
    values_R: npt.NDArray[Any], rows_R: IntArray, num_rows: int, filler: float
) -> npt.NDArray[Any]:
    """What belongs to one row in one row, in its order; the filler where a row has less than another."""
    places_R = places_in_rows(rows_R, num_rows)
    values_BC = np.full((num_rows, int(places_R.max(initial=0)) + 1), filler, values_R.dtype)
    values_BC[rows_R, places_R] = values_R
    return values_BC
