"""The protocol that the simple recommenders share, and the checks on what they are given.

U users · N items · X rows of evidence
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, Self, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix

IntArray: TypeAlias = npt.NDArray[np.integer[Any]]
FloatArray: TypeAlias = npt.NDArray[np.floating[Any]]
State: TypeAlias = Mapping[str, npt.NDArray[Any]]
Histories: TypeAlias = Sequence[IntArray]


class Recommender(Protocol):
    """Something that learns from a sparse matrix over items and scores histories.

    What a row of ``evidence_XN`` is, each model says: a user (EASE, ALS), an item (co-visitation), a word
    (content), or nothing in particular (popularity, which adds the rows up).
    """

    def fit(self, evidence_XN: csr_matrix) -> Self:
        """Learn from the evidence alone; whatever was learnt before is forgotten."""
        ...

    def score(self, histories: Histories) -> npt.NDArray[np.float32]:
        """One row of N scores for each history; higher is better, all finite."""
        ...

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """What was learnt, as named arrays: all that ``from_state`` needs."""
        ...

    @classmethod
    def from_state(cls, state: State) -> Self:
        """The inverse of :meth:`state`.

        Raises:
            ValueError: an array is missing, has another shape or is not finite; the message names it.
        """
        ...


def history_matrix(histories: Histories, num_items: int) -> csr_matrix:
    """Histories as a users × items matrix of ones: whether a user ever acted on an item, not how often.

    Raises:
        ValueError: a history holds an item outside 0 … num_items-1.
    """
    lengths = np.fromiter((len(history) for history in histories), dtype=np.int64, count=len(histories))
    items = checked_items(np.concatenate([*histories, np.empty(0, np.int64)]).astype(np.int64), num_items)
    rows = np.repeat(np.arange(len(histories)), lengths)
    matrix_UN = csr_matrix(
        (np.ones(len(items), np.float32), (rows, items)), shape=(len(histories), num_items)
    )
    matrix_UN.sum_duplicates()
    matrix_UN.data[:] = 1.0
    return matrix_UN


def recency_matrix(histories: Histories, num_items: int, num_recent: int, half_life: float) -> csr_matrix:
    """The last ``num_recent`` items of histories as a users × items matrix; an item of age a weighs 2^(-a / half_life).

    Ages count items from the end: the last one has age 0. An item that a history holds twice weighs both together.

    Raises:
        ValueError: one of these items is outside 0 … num_items-1.
    """
    recent = [np.asarray(history[-num_recent:], np.int64) for history in histories]
    lengths = np.fromiter(map(len, recent), dtype=np.int64, count=len(recent))
    items = checked_items(np.concatenate([*recent, np.empty(0, np.int64)]), num_items)
    rows = np.repeat(np.arange(len(recent)), lengths)
    ages = np.repeat(np.cumsum(lengths), lengths) - 1 - np.arange(len(items))
    return csr_matrix((0.5 ** (ages / half_life), (rows, items)), shape=(len(recent), num_items))


def checked_items(items: IntArray, num_items: int) -> IntArray:
    """The items themselves, once all of them are known to be items."""
    if items.size and (items.min() < 0 or items.max() >= num_items):
        wrong = items[(items < 0) | (items >= num_items)][0]
        raise ValueError(
            f"item {wrong} is outside 0 … {num_items - 1}; leave out items that the model does not know"
        )
    return items


def checked_state(state: State, shapes: Mapping[str, tuple[int | None, ...]]) -> dict[str, npt.NDArray[Any]]:
    """Exactly the named arrays, each of its shape (None: any length) and finite.

    Raises:
        ValueError: one is missing, unknown, of another shape or not finite; the message names it.
    """
    if unknown := sorted(set(state) ^ set(shapes)):
        raise ValueError(
            f"state has missing or unknown arrays: {', '.join(unknown)}; expected {sorted(shapes)}"
        )
    for name, shape in shapes.items():
        array = state[name]
        fits = array.ndim == len(shape) and all(
            want in (None, got) for want, got in zip(shape, array.shape, strict=True)
        )
        if not fits:
            raise ValueError(f"{name} has shape {array.shape}; expected {shape}")
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise ValueError(
                f"{name} is not finite: {int((~np.isfinite(array)).sum())} of {array.size} values"
            )
    return {name: np.asarray(state[name]) for name in shapes}


def fitted(array: npt.NDArray[Any] | None) -> npt.NDArray[Any]:
    """What ``fit`` learnt; refuses when it was never called."""
    if array is None:
        raise ValueError("nothing was learnt yet: call fit or from_state first")
    return array
