"""ALS: weighted matrix factorisation of implicit feedback (Hu, Koren and Volinsky, ICDM 2008).

U users · N items · F factors
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from implicit.cpu.als import AlternatingLeastSquares
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped, unused-ignore]

from models.recommender import Histories, State, checked_state, fitted, history_matrix


@dataclass(frozen=True)
class ALSConfig:
    """What ALS learns with; ``confidence`` is the weight of a taken item where an untaken one has 1."""

    factors: int = 64
    regularisation: float = 0.1
    confidence: float = 10.0
    iterations: int = 15
    seed: int = 0


class ALS:
    """Wraps implicit's solver; a history is folded in by solving for its user, so new users need no refit."""

    def __init__(self, config: ALSConfig | None = None) -> None:
        self.config = config or ALSConfig()
        self._items_NF: npt.NDArray[np.float32] | None = None

    def fit(self, evidence_XN: csr_matrix) -> Self:
        """Learn from a users × items matrix; anything above zero is one."""
        taken_UN = csr_matrix(evidence_XN > 0, dtype=np.float32)
        # A fresh solver each time: implicit's own continues from the factors of the last fit.
        with threadpool_limits(1, "blas"):
            solver = self._solver()
            solver.fit(taken_UN, show_progress=False)
        self._items_NF = np.asarray(solver.item_factors, np.float32)
        return self

    def score(self, histories: Histories) -> npt.NDArray[np.float32]:
        items_NF = fitted(self._items_NF)
        taken_UN = history_matrix(histories, len(items_NF))
        with threadpool_limits(1, "blas"):
            solver = self._solver()
            solver.item_factors = items_NF
            users_UF = solver.recalculate_user(np.arange(len(histories)), taken_UN)
            return np.asarray(users_UF @ items_NF.T, np.float32)

    def state(self) -> dict[str, npt.NDArray[Any]]:
        solving = np.array([self.config.regularisation, self.config.confidence])
        return {"items": fitted(self._items_NF), "solving": solving}

    @classmethod
    def from_state(cls, state: State) -> Self:
        arrays = checked_state(state, {"items": (None, None), "solving": (2,)})
        regularisation, confidence = map(float, arrays["solving"])
        model = cls(ALSConfig(arrays["items"].shape[1], regularisation, confidence))
        model._items_NF = arrays["items"].astype(np.float32)
        return model

    def _solver(self) -> Any:
        # One thread: with several, the order of additions differs from run to run.
        return AlternatingLeastSquares(
            factors=self.config.factors,
            regularization=self.config.regularisation,
            alpha=self.config.confidence,
            iterations=self.config.iterations,
            num_threads=1,
            random_state=self.config.seed,
        )
