"""What others took together with a user's last items, whatever a champion has learnt.

U users · N items
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy.typing as npt
from scipy.sparse import csr_matrix

from models.covisitation import CoVisitation
from models.recommender import Histories, State

#: Items of a history that co-purchase goes by: what older ones would add is seldom anything new, and takes time.
COPURCHASE_RECENT = 10


@dataclass(frozen=True)
class Neighbours:
    """Adds up what was acted upon within one day, and what was bought by the same people."""

    covisitation: CoVisitation
    copurchase: CoVisitation

    @classmethod
    def fit(cls, neighbours_NN: csr_matrix, bought_with_NN: csr_matrix) -> Self:
        """From the weights of co-visitation and of co-purchase."""
        return cls(
            CoVisitation().fit(neighbours_NN), CoVisitation(num_recent=COPURCHASE_RECENT).fit(bought_with_NN)
        )

    def score_neighbours(self, histories: Histories) -> csr_matrix:
        """One row for each history of items, scores_UN; what it does not hold has no score."""
        return self.covisitation.score_neighbours(histories) + self.copurchase.score_neighbours(histories)

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """What ``from_state`` needs, as named arrays."""
        parts = {"covisitation": self.covisitation, "copurchase": self.copurchase}
        return {f"{of}.{name}": array for of, part in parts.items() for name, array in part.state().items()}

    @classmethod
    def from_state(cls, state: State) -> Self:
        """The inverse of :meth:`state`.

        Raises:
            ValueError: an array is missing or has another shape.
        """
        parts: dict[str, dict[str, npt.NDArray[Any]]] = {"covisitation": {}, "copurchase": {}}
        for name, array in state.items():
            of, _, part = name.partition(".")
            parts.setdefault(of, {})[part] = array
        return cls(*(CoVisitation.from_state(parts[of]) for of in ("covisitation", "copurchase")))
