"""Processes that train one model together: each has its share of every batch, and what follows from it is added up.

All of them draw alike (batches, targets, negatives, dropout), so that together they compute what one process would.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor


class Peers(Protocol):
    """The processes of a training, as one of them sees them."""

    @property
    def rank(self) -> int:
        """Which of them this is, from 0."""
        ...

    @property
    def size(self) -> int:
        """How many they are."""
        ...

    def add_up(self, values: Tensor) -> None:
        """Sum over all of them, in place: the same bits in each."""
        ...


def share_of(peers: Peers | None, num_histories: int) -> tuple[slice, float]:
    """A process's part of a batch, and what its loss counts: 0 where the batch has fewer histories than there are peers."""
    if peers is None:
        return slice(None), 1.0
    if peers.rank >= num_histories:
        return slice(0, 1), 0.0
    return slice(peers.rank, None, peers.size), 1.0


def add_up_gradients(peers: Peers | None, weights: Sequence[Tensor]) -> None:
    """Give each weight the sum of its gradients in all processes, all weights at once."""
    if peers is None:
        return
    gradients = [weight.grad for weight in weights if weight.grad is not None]
    together = torch.cat([gradient.flatten() for gradient in gradients])
    peers.add_up(together)
    start = 0
    for gradient in gradients:
        gradient.copy_(together[start : start + gradient.numel()].view_as(gradient))
        start += gradient.numel()


def added_up(peers: Peers | None, value: float, device: torch.device | str) -> float:
    """The sum of a number that each process has."""
    if peers is None:
        return value
    sums = torch.tensor([value], dtype=torch.float64, device=device)
    peers.add_up(sums)
    return float(sums)
