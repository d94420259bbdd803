"""What networks that read histories have in common, whatever is inside them: batches, scores, dropout and state.

B batch · L length · D width · N items · M further items · T words · U users
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from typing import Any, Protocol, Self, cast

import numpy as np
import numpy.typing as npt
import torch
from scipy.sparse import csr_matrix
from torch import Tensor, nn
from torch.nn import functional

from models.dropout import MaskPool, PooledDropout
from models.item_embedding import ItemEmbedding
from models.recommender import Histories, State, checked_state
from models.sequence_model import SequenceConfig, pad


class EncoderConfig(SequenceConfig, Protocol):
    """The part of a network's config that says how wide its states are and how much of them is dropped."""

    @property
    def width(self) -> int: ...

    @property
    def dropout(self) -> float: ...


class HistoryEncoder(nn.Module, ABC):
    """A network whose state after a history, times an item's embedding, is the score of that item as the next one.

    Given what is written about its items (words_NT, as :class:`models.item_words.ItemWords` prepares it), it learns
    their embeddings from that as well, and :meth:`with_items` makes embeddings of items that nobody has acted upon.
    """

    config: EncoderConfig
    embedding: nn.Embedding | ItemEmbedding
    #: How many dropout masks of its width a position meets on its way through the network.
    masks_per_position: int
    #: Does it read events (:mod:`models.events`), or items alone?
    reads_events: bool = False
    #: Histories that are read together: with a few, the first ones need not wait for others, nor the machine for what fills up.
    batch_size: int = 64
    _frozen_DN: Tensor | None = None  # the items' embeddings, once weights change no more

    @abstractmethod
    def __init__(self, config: EncoderConfig, seed: int, words_NT: csr_matrix | None = None) -> None:
        """Each network is made by its config, the seed of its first weights and, if it is to read any, its items' words."""

    @property
    def item_embeddings(self) -> Tensor:
        """The embeddings of the real items, items_ND, which are also the weights of the output."""
        if isinstance(self.embedding, ItemEmbedding):
            return self.embedding.of_known()
        return self.embedding.weight[1:]

    @abstractmethod
    def encode_last(self, history_BL: Tensor, lengths_B: Tensor) -> Tensor:
        """The state after the last real position of each history, state_BD; zero for an empty one.

        Wherever the weights are, what goes in and comes out lies in the processor's memory.
        """

    @torch.inference_mode()
    def encode(self, histories: Histories) -> npt.NDArray[np.float32]:
        """One state for each history, in their order: the same bytes whatever other histories it comes with.

        A product of matrices may add up in another order where it has another shape. So every batch has one of a few
        shapes, which follows from a history's own length: as wide as the next power of two, and filled up with empty rows.
        """
        was_training, batch_size = self.training, self.batch_size
        if was_training:
            self.eval()
        states_UD = np.zeros((len(histories), self.config.width), np.float32)
        lengths_U = np.array([min(len(history), self.config.max_length) for history in histories], np.int64)
        bits_U = np.ceil(np.log2(np.maximum(lengths_U, 1))).astype(np.int64)
        for bits in np.unique(bits_U[lengths_U > 0]):
            alike = np.flatnonzero((bits_U == bits) & (lengths_U > 0))
            for start in range(0, len(alike), batch_size):
                chosen = alike[start : start + batch_size]
                nothing = histories[chosen[0]][:0]
                num_rows = batch_size if self._frozen_DN is None else 1 << (len(chosen) - 1).bit_length()
                batch = [histories[user] for user in chosen] + [nothing] * (num_rows - len(chosen))
                history_BL, lengths_B = pad(batch, self.config, min(1 << int(bits), self.config.max_length))
                states_UD[chosen] = self.encode_last(history_BL, lengths_B)[: len(chosen)].numpy()
        if was_training:
            self.train()
        return states_UD

    def score(self, histories: Histories) -> npt.NDArray[np.float32]:
        """One row of N scores for each history."""
        return self.score_states(self.encode(histories))

    def score_states(self, states_UD: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """One row of N scores for each state that :meth:`encode` gave."""
        if self._frozen_DN is not None:
            frozen: npt.NDArray[np.float32] = (torch.from_numpy(states_UD) @ self._frozen_DN).numpy()
            return frozen
        items_ND = self.item_embeddings.detach().cpu().numpy()
        return np.asarray(states_UD @ items_ND.T, np.float32)

    def freeze(self, batch_size: int) -> None:
        """Make ready to score few histories at once, so many together at most; weights must change no more.

        The items' embeddings lie then as a product of few rows reads them fastest, and a batch is filled up to the next power of
        two alone: what a history scores may differ in the last bits with how many it comes with.
        """
        self.batch_size = batch_size
        self.eval()
        self._frozen_DN = self.item_embeddings.detach().T.contiguous()

    def use_dropout_from(self, generator: torch.Generator, num_positions: int) -> MaskPool:
        """Draw every dropout mask from one pool, made for so many positions; the caller refills it."""
        num_values = num_positions * self.config.width * self.masks_per_position
        pool = MaskPool(self.config.dropout, num_values, generator)
        for module in self.modules():
            if isinstance(module, PooledDropout):
                module.pool = pool if self.config.dropout > 0 else None
        return pool

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Every weight by name, as copies."""
        return {name: weight.detach().cpu().numpy().copy() for name, weight in self.state_dict().items()}

    @classmethod
    def from_state(cls, config: Any, state: State) -> Self:
        """The inverse of :meth:`state`.

        Raises:
            ValueError: a weight is missing, unknown, of another shape or not finite; the message names it.
        """
        has_words = "embedding.words_TD" in state
        model = cls(config, seed=0, words_NT=_words_in(state, config.num_items) if has_words else None)
        shapes = {name: tuple(weight.shape) for name, weight in model.state_dict().items()}
        arrays = checked_state(state, shapes)
        model.load_state_dict(
            {
                name: torch.from_numpy(np.array(array, np.float32 if array.dtype.kind == "f" else None))
                for name, array in arrays.items()
            }
        )
        model.eval()
        return model

    def with_items(self, words_MT: csr_matrix) -> Self:
        """The same model over its N items and, after them, M further ones, which nobody has acted upon, by their words.

        What the words say of each item is then in its embedding: the model that is given back needs none.

        Raises:
            ValueError: the model knows no words.
        """
        if not isinstance(self.embedding, ItemEmbedding):
            raise ValueError(
                "the model was not given what is written about its items: it can place no further one"
            )
        with torch.no_grad():
            items_ND = torch.cat([self.item_embeddings, self.embedding.of_new(words_MT)])
        state = {name: values for name, values in self.state().items() if not name.startswith("embedding.")}
        state["embedding.weight"] = functional.pad(items_ND, (0, 0, 1, 0)).numpy()
        return self.from_state(replace(cast(Any, self.config), num_items=len(items_ND)), state)

    def in_order(self, order_N: npt.NDArray[np.int64]) -> Self:
        """The same model, whose item n is the one that was ``order_N[n]``."""
        state = self.state()
        state["embedding.weight"][1:] = state["embedding.weight"][1:][order_N]
        return self.from_state(self.config, state)


def embedding_of(config: EncoderConfig, words_NT: csr_matrix | None) -> nn.Embedding | ItemEmbedding:
    """What a network knows its items by: their ids and, where there are any, their words.

    Raises:
        ValueError: the words are those of more or fewer items.
    """
    if words_NT is None:
        return nn.Embedding(config.num_items + 1, config.width, padding_idx=0)
    if words_NT.shape[0] != config.num_items:
        raise ValueError(f"words of {words_NT.shape[0]} items for a model of {config.num_items}")
    return ItemEmbedding(words_NT, config.width)


def begin_at_zero(embedding: nn.Embedding | ItemEmbedding) -> None:
    """Padding is zero, and so are ids beside words: they learn what the words leave open."""
    with torch.no_grad():
        if isinstance(embedding, ItemEmbedding):
            embedding.weight.zero_()
        embedding.weight[0].zero_()


def _words_in(state: State, num_items: int) -> csr_matrix:
    """The words that a network was given, out of its state."""
    described = {name.removeprefix("embedding."): array for name, array in state.items()}
    if missing := sorted({"item_starts_N", "item_words_Z", "item_weights_Z"} - described.keys()):
        raise ValueError(f"state has words and no {missing[0]}")
    ends = np.append(described["item_starts_N"], len(described["item_words_Z"]))
    return csr_matrix(
        (described["item_weights_Z"], described["item_words_Z"], ends),
        shape=(num_items, len(described["words_TD"])),
    )
