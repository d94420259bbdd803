"""Embeddings of items made of who they are and of what is written about them, so that a new item has one.

N items · M further items · T words · D width · Z words of all items, one item's after the other's
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.sparse import csr_matrix
from torch import Tensor, nn
from torch.nn import functional


class ItemEmbedding(nn.Module):
    """e(n) = id(n) + Σ_t words(n, t) · w(t), both parts learnt together (LightFM; Kula, CBRecSys 2015).

    Ids start at zero: they learn what the words leave open, so that an item that few people have acted upon lies near
    those that are described alike, and one that nobody has lies where its words say.
    """

    item_words_Z: Tensor
    item_weights_Z: Tensor
    item_starts_N: Tensor

    def __init__(self, words_NT: csr_matrix, width: int) -> None:
        super().__init__()
        num_items, num_words = words_NT.shape
        self.weight = nn.Parameter(torch.zeros(num_items + 1, width))  # ids; row 0 is padding
        self.words_TD = nn.Parameter(torch.zeros(num_words, width))
        words_Z, weights_Z, starts_N = _parts(words_NT)
        self.register_buffer("item_words_Z", words_Z)
        self.register_buffer("item_weights_Z", weights_Z)
        self.register_buffer("item_starts_N", starts_N)

    def of_known(self) -> Tensor:
        """The embeddings of the items that it was made for, items_ND."""
        described_ND = _summed(self.words_TD, self.item_words_Z, self.item_weights_Z, self.item_starts_N)
        return self.weight[1:] + described_ND

    def forward(self, history_BL: Tensor) -> Tensor:
        """The embeddings of items 1 … N; of padding, 0, it is zero."""
        return functional.embedding(history_BL, functional.pad(self.of_known(), (0, 0, 1, 0)))

    def of_new(self, words_MT: csr_matrix) -> Tensor:
        """The embeddings, items_MD, of items that nothing was learnt from: their words alone."""
        return _summed(self.words_TD, *_parts(words_MT))


def _parts(words_NT: csr_matrix) -> tuple[Tensor, Tensor, Tensor]:
    """Words, their weights, and where each item's begin."""
    return (
        torch.from_numpy(words_NT.indices.astype(np.int64)),
        torch.from_numpy(words_NT.data.astype(np.float32)),
        torch.from_numpy(words_NT.indptr[:-1].astype(np.int64)),
    )


def _summed(words_TD: Tensor, words_Z: Tensor, weights_Z: Tensor, starts_N: Tensor) -> Tensor:
    """Of each item the sum of its words' vectors; zero of one without words."""
    return functional.embedding_bag(words_Z, words_TD, starts_N, mode="sum", per_sample_weights=weights_Z)
