"""What training and validation need of a model that reads histories: SASRec is one, a recurrent network another.

B batch · L length · D width · N items · U users. Inside, item 0 is padding and items are 1 … N; outside
(histories, scores) items are 0 … N-1, and :func:`pad` is the only place that adds the one. Histories may be of events
(:mod:`models.events`) where the model reads those: history_BL is then history_BL3.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from models.dropout import MaskPool
from models.events import ITEM, TYPE, checked_types, items_of
from models.recommender import Histories, State, checked_items


class SequenceConfig(Protocol):
    """The part of a model's config that is about what it is given."""

    @property
    def num_items(self) -> int:
        """How many real items there are, without padding."""
        ...

    @property
    def max_length(self) -> int:
        """How many of a history's last items are read."""
        ...


class SequenceModel(Protocol):
    """A torch module that says after each position what comes next: its state there · the items' embeddings."""

    @property
    def config(self) -> SequenceConfig: ...

    @property
    def item_embeddings(self) -> Tensor:
        """The real items, items_ND, against which a state is scored."""
        ...

    def __call__(self, history_BL: Tensor) -> Tensor:
        """The state after each position, which knows that position and all before it: states_BLD."""
        ...

    def score(self, histories: Histories) -> npt.NDArray[np.float32]:
        """One row of N scores for each history; a history may be empty."""
        ...

    def use_dropout_from(self, generator: torch.Generator, num_positions: int) -> MaskPool:
        """Draw every dropout mask from one pool, made for so many positions; the caller refills it."""
        ...

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Every weight by name, as copies."""
        ...

    @classmethod
    def from_state(cls, config: Any, state: State) -> Self:
        """The inverse of :meth:`state`, ready to score."""
        ...

    # Of torch.nn.Module
    def parameters(self) -> Iterator[torch.nn.Parameter]: ...
    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state_dict: Mapping[str, Any]) -> Any: ...
    def train(self) -> Any: ...
    def eval(self) -> Any: ...
    def to(self, device: str) -> Any: ...


def pad(
    histories: Sequence[npt.NDArray[Any]], config: SequenceConfig, min_width: int = 1
) -> tuple[Tensor, Tensor]:
    """The last ``max_length`` items of each history as history_BL (1 … N, zeros on the right) and lengths_B.

    L is the longest of them, or ``min_width`` where that is more. Of histories of events it is history_BL3.

    Raises:
        ValueError: a history holds an item that the model does not know, or an event of a type that is none.
    """
    recent = [np.asarray(history[-config.max_length :], np.int64) for history in histories]
    lengths_B = np.fromiter(map(len, recent), dtype=np.int64, count=len(recent))
    told = np.concatenate([*recent, recent[0][:0] if recent else np.empty(0, np.int64)])
    history_BL = np.zeros((len(recent), int(lengths_B.max(initial=min_width)), *told.shape[1:]), np.int64)
    items = checked_items(items_of(told), config.num_items) + 1
    if told.ndim > 1:
        checked_types(told[:, TYPE])
        told[:, ITEM] = items
    history_BL[np.arange(history_BL.shape[1]) < lengths_B[:, None]] = items if told.ndim == 1 else told
    return torch.from_numpy(history_BL), torch.from_numpy(lengths_B)
