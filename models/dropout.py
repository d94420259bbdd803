"""Dropout whose masks come out of a pool that a generator of its own filled.

Torch's own dropout draws from the global generator, which models may not touch, and drawing was a third of
a training step on a processor. The pool is refilled once an epoch; each use takes a stretch of it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

_LARGEST_POOL = 1 << 21


class MaskPool:
    """Scaled keep-or-drop masks: 0 with probability ``rate``, else 1 / (1 - rate)."""

    def __init__(self, rate: float, num_values: int, generator: torch.Generator) -> None:
        self._rate = rate
        self._size = min(num_values, _LARGEST_POOL)  # no more than an epoch needs
        self._generator = generator
        self._pool = torch.empty(0)
        self._next = 0
        #: Of how many histories the batch is, and which of them are looked at: of all others no mask is given.
        self.share: tuple[int, slice] | None = None

    def refill(self) -> None:
        """Draw the pool anew."""
        self._pool = self._draw(torch.empty(self._size))
        self._next = 0

    def take(self, like: Tensor) -> Tensor:
        """The next mask, of the tensor's shape; of a share of a batch, its part of the whole batch's mask."""
        if self.share is None:
            return self._take(like.shape, like.device)
        num_histories, rows = self.share
        return self._take(torch.Size([num_histories, *like.shape[1:]]), like.device)[rows]

    def _take(self, shape: torch.Size, device: torch.device) -> Tensor:
        size = shape.numel()
        if size > len(self._pool):
            return self._draw(torch.empty(shape)).to(device)
        # Drawn on the processor: the same masks wherever they are used.
        self._pool = self._pool.to(device)
        if self._next + size > len(self._pool):
            # Begin again at another place, so that a mask does not meet the same layer each time round.
            self._next = int(torch.randint(0, len(self._pool) - size + 1, (1,), generator=self._generator))
        start, self._next = self._next, self._next + size
        return self._pool[start : start + size].view(shape)

    def _draw(self, values: Tensor) -> Tensor:
        return values.bernoulli_(1 - self._rate, generator=self._generator).div_(1 - self._rate)


class PooledDropout(nn.Module):
    """Identity when evaluating; multiplies by a mask of the pool when training."""

    def __init__(self) -> None:
        super().__init__()
        self.pool: MaskPool | None = None

    def forward(self, values: Tensor) -> Tensor:
        if not self.training or self.pool is None:
            return values
        return values * self.pool.take(values)
