"""Sizes of the gaps between the events of a history, in days.

B batch · L length
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

#: The days since the event before from which on a gap is of the next size: sizes double, as in T5's positions (Raffel et
#: al., JMLR 2020). Size 0 is for what nothing comes before, size 1 for the same day.
_GAPS_FROM = (1, 3, 7, 15, 31, 63)
NUM_GAPS = len(_GAPS_FROM) + 2


def gap_sizes(days_apart: Tensor) -> Tensor:
    """Sizes 1 … NUM_GAPS - 1 of gaps in days."""
    bounds = torch.tensor(_GAPS_FROM, device=days_apart.device)
    return torch.bucketize(days_apart, bounds, right=True) + 1


def gaps_between(days_BL: Tensor) -> Tensor:
    """The size of the gap before each day of a history, 0 before its first."""
    return functional.pad(gap_sizes(days_BL[:, 1:] - days_BL[:, :-1]), (1, 0))
