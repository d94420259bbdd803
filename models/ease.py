"""EASE: a linear autoencoder over items, solved in one step (Steck, WWW 2019).

U users · N items
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy.linalg import lapack
from scipy.sparse import csr_matrix

from models.recommender import Histories, State, checked_state, fitted, history_matrix


class EASE:
    """Scores a history by X·B, where B predicts each item from all others and never from itself.

    With G = XᵀX + λI and P = G⁻¹: B = I - P · diag(1 / diag P). Memory and time grow with N² and N³.
    """

    def __init__(self, regularisation: float = 200.0) -> None:
        if regularisation <= 0:
            raise ValueError(
                f"regularisation is {regularisation}; it has to be above 0, or XᵀX may be singular"
            )
        self.regularisation = regularisation
        self._weights_NN: npt.NDArray[np.float32] | None = None

    def fit(self, evidence_XN: csr_matrix) -> Self:
        """Learn from a users × items matrix; anything above zero is one."""
        taken_UN = csr_matrix(evidence_XN > 0, dtype=np.float64)
        gram_NN = (taken_UN.T @ taken_UN).toarray()
        gram_NN[np.diag_indices_from(gram_NN)] += self.regularisation
        # Cholesky and its inverse: half the work of a general inverse, for a matrix that is always definite.
        factor, failed = lapack.dpotrf(gram_NN, lower=True)
        inverse, failed_too = lapack.dpotri(factor, lower=True)
        if failed or failed_too:
            raise ValueError(f"XᵀX + {self.regularisation}·I cannot be inverted; raise the regularisation")
        inverse = np.tril(inverse) + np.tril(inverse, -1).T
        weights_NN = -inverse / np.diag(inverse)
        weights_NN[np.diag_indices_from(weights_NN)] = 0.0
        self._weights_NN = weights_NN.astype(np.float32)
        return self

    def score(self, histories: Histories) -> npt.NDArray[np.float32]:
        weights_NN = fitted(self._weights_NN)
        return np.asarray(history_matrix(histories, len(weights_NN)) @ weights_NN, np.float32)

    def state(self) -> dict[str, npt.NDArray[Any]]:
        return {"weights": fitted(self._weights_NN), "regularisation": np.array(self.regularisation)}

    @classmethod
    def from_state(cls, state: State) -> Self:
        arrays = checked_state(state, {"weights": (None, None), "regularisation": ()})
        if arrays["weights"].shape[0] != arrays["weights"].shape[1]:
            raise ValueError(f"weights has shape {arrays['weights'].shape}; expected a square")
        model = cls(float(arrays["regularisation"]))
        model._weights_NN = arrays["weights"].astype(np.float32)
        return model
