"""Co-visitation: what others took together with what a user took lately.

U users · N items · T deleted items · W last events, newest first · M items asked about
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix

from models.deletions import last_events
from models.recommender import Histories, State, checked_items, checked_state, fitted, recency_matrix


class CoVisitation:
    """Scores a history through a neighbour matrix, later items counting more.

    score(u, j) = Σ over the last ``num_recent`` items i of u of 2^(-age(i) / half_life) · w(i, j) / Σ w(i, ·),
    where age counts items from the end: the last one has age 0.
    """

    def __init__(self, num_recent: int = 20, half_life: float = 5.0) -> None:
        self.num_recent = num_recent
        self.half_life = half_life
        self._neighbours_NN: csr_matrix | None = None

    def fit(self, evidence_XN: csr_matrix) -> Self:
        """Take neighbour weights (row: an item; column: its neighbour; nothing negative) and share out each row."""
        neighbours_NN = csr_matrix(evidence_XN, dtype=np.float64)
        num_items = neighbours_NN.shape[1]
        if neighbours_NN.shape[0] != num_items:
            raise ValueError(
                f"neighbours have shape {neighbours_NN.shape}; expected a row and a column for each item"
            )
        if not (neighbours_NN.data >= 0).all():
            raise ValueError("a neighbour's weight is negative or NaN; weights are counts")
        neighbours_NN.sum_duplicates()
        total_N = np.asarray(neighbours_NN.sum(axis=1)).ravel()
        share = neighbours_NN.data / np.repeat(
            np.where(total_N > 0, total_N, 1.0), np.diff(neighbours_NN.indptr)
        )
        self._neighbours_NN = csr_matrix(
            (share, neighbours_NN.indices, neighbours_NN.indptr), shape=neighbours_NN.shape
        )
        return self

    def score(self, histories: Histories) -> npt.NDArray[np.float32]:
        return np.asarray(self.score_neighbours(histories).toarray(), np.float32)

    def score_neighbours(self, histories: Histories) -> csr_matrix:
        """One row for each history; what it does not hold has no score."""
        neighbours_NN = self._checked_neighbours()
        num_items = neighbours_NN.shape[0]
        return recency_matrix(histories, num_items, self.num_recent, self.half_life) @ neighbours_NN

    def score_without(
        self,
        histories: Histories,
        deleted_UT: npt.NDArray[np.int64],
        items_UM: npt.NDArray[np.int64],
    ) -> npt.NDArray[np.float64]:
        """What some items of each history would score had it not each of the deleted items among its last T events.

        The sum is linear in events, so this is exact: later events keep their age, earlier ones become younger by one
        for each event that goes. -1 deletes nothing.
        """
        neighbours_NN = self._checked_neighbours()
        num_deleted = deleted_UT.shape[1]
        events_UW = last_events(histories, self.num_recent + num_deleted)
        is_kept_UTW = np.repeat((events_UW >= 0)[:, None, :], num_deleted, axis=1)
        is_kept_UTW[:, :, :num_deleted] &= events_UW[:, None, :num_deleted] != deleted_UT[:, :, None]
        age_UTW = np.cumsum(is_kept_UTW, axis=2) - 1
        weights_UTW = np.where(
            is_kept_UTW & (age_UTW < self.num_recent), 0.5 ** (age_UTW / self.half_life), 0.0
        )
        pairs_UWM = np.broadcast_arrays(np.maximum(events_UW, 0)[:, :, None], items_UM[:, None, :])
        shares_UWM = np.asarray(neighbours_NN[pairs_UWM[0].ravel(), pairs_UWM[1].ravel()]).reshape(
            pairs_UWM[0].shape
        )
        return np.asarray(weights_UTW @ shares_UWM, np.float64)

    def state(self) -> dict[str, npt.NDArray[Any]]:
        neighbours_NN = self._checked_neighbours()
        return {
            "shares": neighbours_NN.data,
            "columns": neighbours_NN.indices.astype(np.int64),
            "row_ends": neighbours_NN.indptr.astype(np.int64),
            "recency": np.array([self.num_recent, self.half_life], np.float64),
        }

    @classmethod
    def from_state(cls, state: State) -> Self:
        arrays = checked_state(
            state, {"shares": (None,), "columns": (None,), "row_ends": (None,), "recency": (2,)}
        )
        num_items = len(arrays["row_ends"]) - 1
        model = cls(int(arrays["recency"][0]), float(arrays["recency"][1]))
        model._neighbours_NN = csr_matrix(
            (arrays["shares"], checked_items(arrays["columns"], num_items), arrays["row_ends"]),
            shape=(num_items, num_items),
        )
        return model

    def _checked_neighbours(self) -> csr_matrix:
        fitted(None if self._neighbours_NN is None else self._neighbours_NN.data)
        return self._neighbours_NN
