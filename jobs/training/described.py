"""What the catalogue says of the items that a transformer is trained on, and of those that nobody has acted upon yet.

V items of the vocabulary · M further ones · T words · N items of the catalogue
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix, vstack

from jobs.ranking.world import World, index_of
from models.item_words import ItemWords


@dataclass(frozen=True)
class Described:
    """The words of a vocabulary's items, and the further items of the catalogue that have words."""

    words_VT: csr_matrix
    further_ids: npt.NDArray[np.object_]
    further_MT: csr_matrix

    @classmethod
    def of(cls, world: World, vocabulary: npt.NDArray[np.object_]) -> Self:
        """By the world's catalogue: title, category and brand. What has left it has no words."""
        texts = {"title": world.titles_N, **world.item_words}
        words_NT = ItemWords.fit(texts).prepare(texts)
        or_none_NT = csr_matrix(vstack([words_NT, csr_matrix((1, words_NT.shape[1]))], format="csr"))
        is_new_N = (index_of(world.item_ids, vocabulary) < 0) & (np.diff(words_NT.indptr) > 0)
        return cls(
            or_none_NT[index_of(vocabulary, world.item_ids)], world.item_ids[is_new_N], words_NT[is_new_N]
        )
