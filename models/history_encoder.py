"""What networks that read histories have in common, whatever is inside them: batches, scores, dropout and state.

B batch · L length · D width · N items · U users
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from models.dropout import MaskPool, PooledDropout
from models.recommender import Histories, State, checked_state
from models.sequence_model import SequenceConfig, pad


class EncoderConfig(SequenceConfig, Protocol):
    """The part of a network's config that says how wide its states are and how much of them is dropped."""

    @property
    def width(self) -> int: ...

    @property
    def dropout(self) -> float: ...


class HistoryEncoder(nn.Module, ABC):
    """A network whose state after a history, times an item's embedding, is the score of that item as the next one."""

    config: EncoderConfig
    #: How many dropout masks of its width a position meets on its way through the network.
    masks_per_position: int
    #: Does it read events (:mod:`models.events`), or items alone?
    reads_events: bool = False

    @abstractmethod
    def __init__(self, config: EncoderConfig, seed: int) -> None:
        """Each network is made by its config and the seed of its first weights."""

    @property
    @abstractmethod
    def item_embeddings(self) -> Tensor:
        """The embeddings of the real items, items_ND."""

    @abstractmethod
    def encode_last(self, history_BL: Tensor, lengths_B: Tensor) -> Tensor:
        """The state after the last real position of each history, state_BD; zero for an empty one.

        Wherever the weights are, what goes in and comes out lies in the processor's memory.
        """

    @torch.inference_mode()
    def encode(self, histories: Histories, batch_size: int = 64) -> npt.NDArray[np.float32]:
        """One state for each history, in their order: the same bytes whatever other histories it comes with.

        A product of matrices may add up in another order where it has another shape. So every batch has one of a few
        shapes, which follows from a history's own length: as wide as the next power of two, and filled up with empty rows.
        """
        was_training = self.training
        self.eval()
        states_UD = np.zeros((len(histories), self.config.width), np.float32)
        lengths_U = np.array([min(len(history), self.config.max_length) for history in histories], np.int64)
        bits_U = np.ceil(np.log2(np.maximum(lengths_U, 1))).astype(np.int64)
        for bits in np.unique(bits_U[lengths_U > 0]):
            alike = np.flatnonzero((bits_U == bits) & (lengths_U > 0))
            for start in range(0, len(alike), batch_size):
                chosen = alike[start : start + batch_size]
                nothing = histories[chosen[0]][:0]
                batch = [histories[user] for user in chosen] + [nothing] * (batch_size - len(chosen))
                history_BL, lengths_B = pad(batch, self.config, min(1 << int(bits), self.config.max_length))
                states_UD[chosen] = self.encode_last(history_BL, lengths_B)[: len(chosen)].numpy()
        self.train(was_training)
        return states_UD

    def score(self, histories: Histories) -> npt.NDArray[np.float32]:
        """One row of N scores for each history."""
        return self.score_states(self.encode(histories))

    def score_states(self, states_UD: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """One row of N scores for each state that :meth:`encode` gave."""
        items_ND = self.item_embeddings.detach().cpu().numpy()
        return np.asarray(states_UD @ items_ND.T, np.float32)

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
        model = cls(config, seed=0)
        shapes = {name: tuple(weight.shape) for name, weight in model.state_dict().items()}
        arrays = checked_state(state, shapes)
        model.load_state_dict(
            {name: torch.from_numpy(np.array(array, np.float32)) for name, array in arrays.items()}
        )
        model.eval()
        return model
