"""Content: more of what a user acted upon lately, by the words of the items (Lops, de Gemmis and Semeraro, 2011).

U users · N items · T words
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix

from models.item_words import of_length_one
from models.recommender import Histories, State, checked_state, fitted, recency_matrix


class Content:
    """Scores an item by how alike its words and those of the user's last items are, whoever acted upon it.

    profile(u) = Σ over the last ``num_recent`` items i of u of 2^(-age(i) / half_life) · words(i)
    score(u, j) = cos(profile(u), words(j))

    where words(i) has length 1 and age counts items from the end: the last one has age 0. Scores lie in [0, 1]; they
    are 0 for an item without words, and for a user whose items have none.
    """

    def __init__(self, num_recent: int = 20, half_life: float = 5.0) -> None:
        self.num_recent = num_recent
        self.half_life = half_life
        self._words_NT: csr_matrix | None = None

    def fit(self, evidence_XN: csr_matrix) -> Self:
        """Take how much each word says about each item (row: a word; column: an item; nothing negative).

        That is :meth:`models.item_words.ItemWords.prepare`, turned. No event is asked for: an item that nobody has
        acted upon yet is scored like any other.
        """
        words_NT = csr_matrix(evidence_XN.T, dtype=np.float64)
        if not (words_NT.data >= 0).all():
            raise ValueError("a word's weight is negative or NaN; weights start at 0")
        self._words_NT = of_length_one(words_NT).astype(np.float32)
        return self

    def score(self, histories: Histories) -> npt.NDArray[np.float32]:
        words_NT = self._checked_words()
        weights_UN = recency_matrix(histories, words_NT.shape[0], self.num_recent, self.half_life)
        profiles_UT = of_length_one(weights_UN @ words_NT)
        # Nearly every item shares some word with a user's: a dense product is several times faster than a sparse one.
        scores_NU = words_NT @ np.asarray(profiles_UT.T.toarray(), np.float32, order="C")
        return np.ascontiguousarray(scores_NU.T)

    def state(self) -> dict[str, npt.NDArray[Any]]:
        words_NT = self._checked_words()
        return {
            "weights": words_NT.data,
            "words": words_NT.indices.astype(np.int64),
            "item_ends": words_NT.indptr.astype(np.int64),
            "recency": np.array([self.num_recent, self.half_life], np.float64),
        }

    @classmethod
    def from_state(cls, state: State) -> Self:
        arrays = checked_state(
            state, {"weights": (None,), "words": (None,), "item_ends": (None,), "recency": (2,)}
        )
        model = cls(int(arrays["recency"][0]), float(arrays["recency"][1]))
        words = arrays["words"]
        if words.size and words.min() < 0:
            raise ValueError(f"word {words.min()} of an item is none; words start at 0")
        model._words_NT = csr_matrix(
            (arrays["weights"].astype(np.float32), words, arrays["item_ends"]),
            shape=(len(arrays["item_ends"]) - 1, int(words.max(initial=-1)) + 1),
        )
        return model

    def _checked_words(self) -> csr_matrix:
        fitted(None if self._words_NT is None else self._words_NT.data)
        return self._words_NT
