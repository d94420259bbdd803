"""How far a training is: the name that it is found by when it goes on, and what its log says after each epoch."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, fields, is_dataclass
from typing import Any

import numpy as np
import torch

from jobs.io.commit import digest_of
from models.training import Epoch


def key_of(configs: Sequence[Any], data: Sequence[Any]) -> str:
    """What a training is of: with another setting, another event or another torch it is another training."""
    return digest_of([torch.__version__, *[asdict(config) for config in configs], _digests(data)])


def _digests(value: Any) -> Any:
    """The same with a digest in the place of each array."""
    if isinstance(value, np.ndarray):
        return f"{value.dtype.str} {hashlib.sha256(value.tobytes()).hexdigest()}"
    if is_dataclass(value):
        return [_digests(getattr(value, field.name)) for field in fields(value)]
    if isinstance(value, list | tuple):
        return [_digests(each) for each in value]
    return sorted(value) if isinstance(value, set) else value


def told(epochs: Sequence[Epoch], most: int) -> str:
    """The last of the epochs as fields of a log line, with the time that is left unless patience ends it sooner."""
    last = epochs[-1]
    line = f"number={last.number}/{most} loss={last.loss:.4f}"
    if last.ndcg_at_10 is not None:
        line += f" ndcg_at_10={last.ndcg_at_10:.4f}"
    if seconds := [epoch.seconds for epoch in epochs if epoch.seconds is not None]:
        rate = sum(epoch.num_positions for epoch in epochs if epoch.seconds is not None) / sum(seconds)
        left = (most - last.number) * sum(seconds) / len(seconds)
        line += f" positions_per_second={rate:.0f} seconds_left={left:.0f}"
    return line
