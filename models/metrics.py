"""How good lists are: full-ranking metrics for each user, and what the differences are worth.

A list holds item indices, best first; -1 marks an empty place. Every metric of accuracy is an array over
users, so that whoever compares two models can pair them user by user.

U users · K places · N items
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix, issparse

FloatArray: TypeAlias = npt.NDArray[np.float64]
Lists: TypeAlias = npt.NDArray[np.integer[Any]]
#: For each user the items that count as hits: collections of indices, or a sparse users × items matrix.
Targets: TypeAlias = Sequence[Collection[int]] | csr_matrix

_DRAWS_AT_ONCE = 1 << 21


def ndcg_at(lists_UK: Lists, targets: Targets, k: int) -> FloatArray:
    """Normalised discounted cumulative gain with binary relevance (Järvelin and Kekäläinen, 2002).

    DCG = Σ hit at rank r / log2(r + 1), divided by the DCG of a list that begins with all targets.
    """
    hits_UK, num_targets_U = _hits(lists_UK, targets, k)
    discounts_K = 1.0 / np.log2(np.arange(2, k + 2))
    ideal_U = np.cumsum(discounts_K)[np.minimum(num_targets_U, k) - 1]
    gain_U = np.sum(hits_UK * discounts_K[: hits_UK.shape[1]], axis=1)
    return np.asarray(gain_U / ideal_U)


def hit_rate_at(lists_UK: Lists, targets: Targets, k: int) -> FloatArray:
    """1 where at least one target is among the first k, else 0."""
    hits_UK, _ = _hits(lists_UK, targets, k)
    return np.asarray(np.any(hits_UK, axis=1), np.float64)


def recall_at(lists_UK: Lists, targets: Targets, k: int) -> FloatArray:
    """The share of a user's targets that is among the first k."""
    hits_UK, num_targets_U = _hits(lists_UK, targets, k)
    return np.asarray(hits_UK.sum(axis=1) / num_targets_U)


def map_at(lists_UK: Lists, targets: Targets, k: int) -> FloatArray:
    """Average precision of the first k: the mean of precision at each hit, over min(k, number of targets)."""
    hits_UK, num_targets_U = _hits(lists_UK, targets, k)
    precision_UK = np.cumsum(hits_UK, axis=1) / np.arange(1, hits_UK.shape[1] + 1)
    return np.asarray((precision_UK * hits_UK).sum(axis=1) / np.minimum(num_targets_U, k))


def coverage(lists_UK: Lists, num_items: int) -> float:
    """The share of the catalogue that is on anybody's list."""
    return len(np.unique(lists_UK[lists_UK >= 0])) / num_items


def novelty(lists_UK: Lists, popularity_N: npt.NDArray[Any]) -> FloatArray:
    """How surprising a user's list is: the mean of -log2 of each item's share of all events, in bits.

    One event is added to every item, so that an item without any is rare and not impossible.
    """
    share_N = (popularity_N + 1.0) / (popularity_N.sum() + len(popularity_N))
    return _mean_over_list(lists_UK, -np.log2(share_N))


def popularity_lift(
    lists_UK: Lists, histories: Sequence[npt.NDArray[np.integer[Any]]], popularity_N: npt.NDArray[Any]
) -> FloatArray:
    """How much more popular a list is than its user's history: (list - history) / history of mean popularity.

    0: the list is as popular as the user's taste (Abdollahpouri et al., 2020); above: the model pushes hits.
    A user without a history, or whose history has popularity 0, gets 0: nothing can be said.
    """
    if len(histories) != len(lists_UK):
        raise ValueError(
            f"{len(lists_UK)} lists but {len(histories)} histories; they have to be the same users"
        )
    of_list_U = _mean_over_list(lists_UK, popularity_N.astype(np.float64))
    of_history_U = np.array([popularity_N[history].mean() if len(history) else 0.0 for history in histories])
    is_known_U = of_history_U > 0
    return np.where(is_known_U, of_list_U / np.where(is_known_U, of_history_U, 1.0) - 1.0, 0.0)


@dataclass(frozen=True)
class Interval:
    """A mean and how far to trust it."""

    mean: float
    low: float  # two-sided 95 %
    high: float
    lower: float  # one-sided 95 %: what a gate compares with its margin


def paired_bootstrap(
    a_U: npt.NDArray[np.floating[Any]],
    b_U: npt.NDArray[np.floating[Any]],
    num_resamples: int,
    rng: np.random.Generator,
) -> Interval:
    """The mean of a - b over users with percentile intervals from resampled users (Efron, 1979).

    Pairing removes what users have in common (some are easy for every model), which is most of the noise.

    Raises:
        ValueError: the arrays are not of the same, at least one user, or not finite.
    """
    if a_U.shape != b_U.shape or a_U.ndim != 1 or a_U.size == 0:
        raise ValueError(
            f"shapes {a_U.shape} and {b_U.shape}; both have to be one number for each of the same users"
        )
    difference_U = a_U.astype(np.float64) - b_U.astype(np.float64)
    if not np.isfinite(difference_U).all():
        raise ValueError("a metric is not finite for some user; leave users without targets out")
    num_users = len(difference_U)
    means_R = np.empty(num_resamples)
    step = max(1, _DRAWS_AT_ONCE // num_users)
    for start in range(0, num_resamples, step):
        drawn = rng.integers(0, num_users, size=(min(step, num_resamples - start), num_users), dtype=np.int32)
        means_R[start : start + len(drawn)] = difference_U[drawn].mean(axis=1)
    low, lower, high = np.quantile(means_R, [0.025, 0.05, 0.975])
    return Interval(float(difference_U.mean()), float(low), float(high), float(lower))


def required_users(sd: float, delta: float) -> int:
    """Users that a one-sided test at 95 % needs to see a difference ``delta`` with a power of 80 %.

    n = (1.645 + 0.84)² sd² / delta², where ``sd`` is that of the paired differences.
    """
    if delta <= 0:
        raise ValueError(f"delta is {delta}; a difference of nothing needs infinitely many users")
    return math.ceil((1.645 + 0.84) ** 2 * sd**2 / delta**2)


def _mean_over_list(lists_UK: Lists, value_N: FloatArray) -> FloatArray:
    is_item_UK = lists_UK >= 0
    total_U = np.where(is_item_UK, value_N[np.maximum(lists_UK, 0)], 0.0).sum(axis=1)
    return np.asarray(total_U / np.maximum(is_item_UK.sum(axis=1), 1))


def _hits(lists_UK: Lists, targets: Targets, k: int) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.int64]]:
    """Which of the first k places are hits, and how many targets each user has."""
    rows, items, num_targets_U = _pairs(targets)
    if len(num_targets_U) != len(lists_UK):
        raise ValueError(f"{len(lists_UK)} lists but targets of {len(num_targets_U)} users; pair them first")
    if k < 1 or (num_targets_U == 0).any():
        wrong = f"k is {k}" if k < 1 else f"user {int(np.argmin(num_targets_U))} has no target"
        raise ValueError(f"{wrong}; k has to be at least 1, and users without targets left out")
    first_UK = lists_UK[:, :k].astype(np.int64)
    ordered_UK = np.sort(first_UK, axis=1)
    if ((ordered_UK[:, 1:] == ordered_UK[:, :-1]) & (ordered_UK[:, 1:] >= 0)).any():
        raise ValueError("a list names an item twice; a hit would count twice")
    width = 1 + max(int(first_UK.max(initial=0)), int(items.max(initial=0)))
    wanted = np.unique(rows * width + items)
    place_UK = np.arange(len(lists_UK), dtype=np.int64)[:, None] * width + first_UK
    return (first_UK >= 0) & np.isin(place_UK, wanted), num_targets_U


def _pairs(targets: Targets) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """(user, item) of every target without repeats, and the number of targets of each user."""
    if issparse(targets):
        matrix = csr_matrix(targets)
        matrix.sum_duplicates()
        matrix.eliminate_zeros()
        num_targets_U = np.diff(matrix.indptr).astype(np.int64)
        items = matrix.indices.astype(np.int64)
    else:
        sets = [set(map(int, items)) for items in targets]
        num_targets_U = np.fromiter(map(len, sets), dtype=np.int64, count=len(sets))
        items = np.fromiter(
            (item for one in sets for item in one), dtype=np.int64, count=int(num_targets_U.sum())
        )
    return np.repeat(np.arange(len(num_targets_U), dtype=np.int64), num_targets_U), items, num_targets_U
