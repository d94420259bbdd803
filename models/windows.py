"""Sequences cut into windows, windows put into batches, and what each position of them is to name.

N items
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from models.recommender import Histories

#: A stretch of a sequence, of items or of events: inputs are all but its last item, targets all but its first.
Window: TypeAlias = npt.NDArray[np.int64]
Weights: TypeAlias = npt.NDArray[np.float32]


def windows_of(sequences: Histories, max_length: int) -> list[Window]:
    """Every sequence cut, from its end, into windows of at most max_length inputs and their next items."""
    return [np.asarray(part, np.int64) for part in _cut(sequences, max_length)]


def weights_of(
    sequences: Histories, weights: Sequence[npt.NDArray[np.floating[Any]]], max_length: int
) -> list[Weights]:
    """The weights of each window's items, with a mean of 1 over all that are to be named."""
    if [len(weight) for weight in weights] != [len(sequence) for sequence in sequences]:
        raise ValueError("weights have to be as long as their sequences: one for each item")
    parts = [np.asarray(part, np.float64) for part in _cut(weights, max_length)]
    targets = np.concatenate([part[1:] for part in parts])
    if not (np.isfinite(targets) & (targets > 0)).all():
        raise ValueError("a weight is not finite or not above zero")
    return [(part / targets.mean()).astype(np.float32) for part in parts]


def _cut(sequences: Sequence[npt.NDArray[Any]], max_length: int) -> Iterator[npt.NDArray[Any]]:
    for sequence in sequences:
        for end in range(len(sequence), 1, -max_length):
            yield sequence[max(0, end - max_length - 1) : end]


def batches_of(windows: list[Window], batch_size: int, rng: np.random.Generator) -> Iterator[Window]:
    """Numbers of windows of like lengths in random order: little padding, and new company for each in every epoch."""
    shuffled = rng.permutation(len(windows))
    lengths = np.fromiter((len(windows[index]) for index in shuffled), dtype=np.int64, count=len(windows))
    ordered = shuffled[np.argsort(lengths, kind="stable")]
    starts = np.arange(0, len(windows), batch_size)
    for start in rng.permutation(starts):
        yield ordered[start : start + batch_size]


def target_places(windows: list[Window], horizon: int, rng: np.random.Generator) -> list[Window]:
    """For each input of each window the place of one of the ``horizon`` items after it, or of those that are left."""
    places = []
    for window in windows:
        num_left = np.arange(len(window) - 1, 0, -1)
        ahead = (rng.random(len(num_left)) * np.minimum(num_left, horizon)).astype(np.int64)
        places.append(1 + np.arange(len(num_left)) + ahead)
    return places


def at_places(values: Sequence[npt.NDArray[Any]], places: list[Window]) -> npt.NDArray[Any]:
    """What stands at the places of each window, one after the other."""
    return np.concatenate([of_window[at] for of_window, at in zip(values, places, strict=True)])


def log_proposal(windows: list[Window], num_items: int) -> Tensor:
    """Log-probability with which an item is drawn as a negative: by the root of its count, none impossible."""
    counts_N = np.bincount(np.concatenate(windows), minlength=num_items) + 1.0
    weights_N = np.sqrt(counts_N)
    return torch.from_numpy(np.log(weights_N / weights_N.sum())).float()
