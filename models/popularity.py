"""Recent popularity: everybody gets what everybody takes. The baseline that a model has to beat.

N items · U users
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix

from models.recommender import Histories, State, checked_items, checked_state, fitted


class Popularity:
    """Scores an item by its weight; what counts as recent, the caller's weights decide."""

    def __init__(self) -> None:
        self._weights_N: npt.NDArray[np.float32] | None = None

    @classmethod
    def from_weights(cls, weights_N: npt.NDArray[Any]) -> Self:
        """From one weight an item, such as the weighted events of the last seven days."""
        return cls.from_state({"weights": np.asarray(weights_N, np.float32)})

    def fit(self, evidence_XN: csr_matrix) -> Self:
        """Add up the rows, whatever they are: users, days or a single row of weights."""
        self._weights_N = np.asarray(evidence_XN.sum(axis=0), np.float32).ravel()
        return self

    def score(self, histories: Histories) -> npt.NDArray[np.float32]:
        """The same row for everybody."""
        weights_N = fitted(self._weights_N)
        for history in histories:
            checked_items(history, len(weights_N))
        return np.tile(weights_N, (len(histories), 1))

    def state(self) -> dict[str, npt.NDArray[Any]]:
        return {"weights": fitted(self._weights_N)}

    @classmethod
    def from_state(cls, state: State) -> Self:
        model = cls()
        model._weights_N = checked_state(state, {"weights": (None,)})["weights"].astype(np.float32)
        return model
