"""How good lists are: full-ranking metrics for each user, and what the differences are worth.

A list holds item indices, best first; -1 marks an empty place. Every metric of accuracy is an array over
users, so that whoever compares two models can pair them user by user.

U users · K places · N items · G groups of users · H hypotheses
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix, issparse
from scipy.special import stdtr

FloatArray: TypeAlias = npt.NDArray[np.float64]
BoolArray: TypeAlias = npt.NDArray[np.bool_]
IntArray: TypeAlias = npt.NDArray[np.int64]
Lists: TypeAlias = npt.NDArray[np.integer[Any]]
#: For each user the items that count as hits: collections of indices, or a sparse users × items matrix.
Targets: TypeAlias = Sequence[Collection[int]] | csr_matrix

_DRAWS_AT_ONCE = 1 << 21


def accuracy(lists_UK: Lists, targets: Targets, ks: Sequence[int]) -> dict[str, FloatArray]:
    """Every metric of accuracy for each k, by its name (``ndcg_at_10``): hits are looked for once and not for each.

    Raises:
        ValueError: lists and targets are not of the same users, a user has no target, or a list names an item twice.
    """
    hits_UK, num_targets_U = _hits(lists_UK, targets, max(ks))
    return {
        f"{name}_at_{k}": of(hits_UK[:, :k], num_targets_U, k) for name, of in _ACCURACY.items() for k in ks
    }


def ndcg_at(lists_UK: Lists, targets: Targets, k: int) -> FloatArray:
    """Normalised discounted cumulative gain with binary relevance (Järvelin and Kekäläinen, 2002).

    DCG = Σ hit at rank r / log2(r + 1), divided by the DCG of a list that begins with all targets.
    """
    return _ndcg(*_hits(lists_UK, targets, k), k)


def hit_rate_at(lists_UK: Lists, targets: Targets, k: int) -> FloatArray:
    """1 where at least one target is among the first k, else 0."""
    return _hit_rate(*_hits(lists_UK, targets, k), k)


def _ndcg(hits_UK: BoolArray, num_targets_U: IntArray, k: int) -> FloatArray:
    discounts_K = 1.0 / np.log2(np.arange(2, k + 2))
    ideal_U = np.cumsum(discounts_K)[np.minimum(num_targets_U, k) - 1]
    return np.asarray(np.sum(hits_UK * discounts_K[: hits_UK.shape[1]], axis=1) / ideal_U)


def _hit_rate(hits_UK: BoolArray, num_targets_U: IntArray, k: int) -> FloatArray:
    return np.asarray(np.any(hits_UK, axis=1), np.float64)


def _recall(hits_UK: BoolArray, num_targets_U: IntArray, k: int) -> FloatArray:
    """The share of a user's targets that is among the first k."""
    return np.asarray(hits_UK.sum(axis=1) / num_targets_U)


def _map(hits_UK: BoolArray, num_targets_U: IntArray, k: int) -> FloatArray:
    """Average precision of the first k: the mean of precision at each hit, over min(k, number of targets)."""
    precision_UK = np.cumsum(hits_UK, axis=1) / np.arange(1, hits_UK.shape[1] + 1)
    return np.asarray((precision_UK * hits_UK).sum(axis=1) / np.minimum(num_targets_U, k))


def _mrr(hits_UK: BoolArray, num_targets_U: IntArray, k: int) -> FloatArray:
    """1 / the rank of the first hit among the first k (Voorhees, 1999), 0 without one."""
    return np.asarray(np.where(hits_UK.any(axis=1), 1.0 / (hits_UK.argmax(axis=1) + 1), 0.0))


_ACCURACY = {"ndcg": _ndcg, "map": _map, "hit_rate": _hit_rate, "recall": _recall, "mrr": _mrr}


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
) -> float:
    """How much more popular lists are than what their users took before (Abdollahpouri et al., 2020).

    (mean popularity of the lists - that of the histories) / that of the histories, each a mean over users of the mean
    over items. 0: lists are as popular as tastes; above: hits are pushed. Users without a history say nothing, and where
    no history has any popularity it is 0.
    """
    if len(histories) != len(lists_UK):
        raise ValueError(
            f"{len(lists_UK)} lists but {len(histories)} histories; they have to be the same users"
        )
    is_known_U = np.array([len(history) > 0 for history in histories], bool)
    if not is_known_U.any():
        return 0.0
    of_lists = float(_mean_over_list(lists_UK[is_known_U], popularity_N.astype(np.float64)).mean())
    of_histories = float(np.mean([popularity_N[history].mean() for history in histories if len(history)]))
    return of_lists / of_histories - 1.0 if of_histories > 0 else 0.0


def diversity(lists_UK: Lists, category_N: npt.NDArray[np.integer[Any]]) -> FloatArray:
    """Of each list the share of its pairs of items that differ in category (Ziegler et al., WWW 2005).

    Items without a category (-1) are left out; NaN where fewer than two are left.
    """
    category_UK = np.where(lists_UK >= 0, category_N[np.maximum(lists_UK, 0)], -1)
    rows, places = np.nonzero(category_UK >= 0)
    shape = (len(lists_UK), int(category_N.max(initial=0)) + 1)
    counts_UC = csr_matrix((np.ones(len(rows)), (rows, category_UK[rows, places])), shape=shape)
    counts_UC.sum_duplicates()
    num_U = np.asarray(counts_UC.sum(axis=1)).ravel()
    same_U = np.asarray(counts_UC.multiply(counts_UC).sum(axis=1)).ravel() - num_U
    pairs_U = num_U * (num_U - 1)
    return np.where(pairs_U > 0, 1.0 - same_U / np.maximum(pairs_U, 1), np.nan)


def exposure(lists_UK: Lists, num_items: int) -> IntArray:
    """How often each item is on a list: exposure_N."""
    return np.bincount(lists_UK[lists_UK >= 0], minlength=num_items).astype(np.int64)


def gini(counts_N: npt.NDArray[Any]) -> float:
    """The Gini coefficient of some counts: 0 all alike, towards 1 one alone; 0 where there is nothing to share."""
    ordered_N = np.sort(counts_N.astype(np.float64))
    total, num = float(ordered_N.sum()), len(ordered_N)
    if not total:
        return 0.0
    return float(2 * (np.arange(1, num + 1) * ordered_N).sum() / (num * total) - (num + 1) / num)


def group_gap(
    values_U: npt.NDArray[Any],
    groups_U: npt.NDArray[np.integer[Any]],
    num_draws: int,
    rng: np.random.Generator,
) -> float:
    """How far the means of groups of users lie apart, beyond what as large groups drawn by lot do.

    The highest mean less the lowest, less the mean of the same over ``num_draws`` permutations of the users; 0 where it is
    not above that, or where there are fewer than two groups. Users of group -1 belong to none.
    """
    is_of_group_U = groups_U >= 0
    values_U, groups_U = values_U[is_of_group_U].astype(np.float64), groups_U[is_of_group_U]
    if len(np.unique(groups_U)) < 2:
        return 0.0
    by_chance = np.mean([_gap(rng.permutation(values_U), groups_U) for _ in range(num_draws)])
    return max(0.0, _gap(values_U, groups_U) - float(by_chance))


def _gap(values_U: FloatArray, groups_U: npt.NDArray[np.integer[Any]]) -> float:
    num_G = np.bincount(groups_U)
    means_G = np.bincount(groups_U, values_U)[num_G > 0] / num_G[num_G > 0]
    return float(means_G.max() - means_G.min())


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


def chance_of_no_shortfall(difference_U: npt.NDArray[np.floating[Any]], floor: float) -> float:
    """How likely so low a mean is where the true one is ``floor``: Student's one-sided t-test, the p-value of a shortfall."""
    num_users = len(difference_U)
    if num_users < 2:
        return 1.0
    distance = float(difference_U.mean()) - floor
    error = float(difference_U.std(ddof=1)) / math.sqrt(num_users)
    if error == 0:
        return 0.0 if distance < 0 else 1.0
    return float(stdtr(num_users - 1, distance / error))


def holm(chances_H: Sequence[float], level: float) -> list[bool]:
    """Which hypotheses are rejected when many are tried at once, with any wrong rejection at most at ``level``.

    The smallest p-value is held against level / H, the next against level / (H - 1), until one stands (Holm, 1979).
    """
    rejected = [False] * len(chances_H)
    for tried, place in enumerate(sorted(range(len(chances_H)), key=lambda place: chances_H[place])):
        if chances_H[place] > level / (len(chances_H) - tried):
            break
        rejected[place] = True
    return rejected


def required_users(sd: float, delta: float, power: float = 0.8) -> int:
    """Users that a one-sided test at 95 % needs to see a difference ``delta`` so often.

    n = (z(0.95) + z(power))² sd² / delta², where ``sd`` is that of the paired differences and z are quantiles of the normal
    distribution: 1.645 and, for a power of 80 %, 0.84.

    Raises:
        ValueError: ``delta`` is not above nought.
    """
    if delta <= 0:
        raise ValueError(f"delta is {delta}; a difference of nothing needs infinitely many users")
    normal = NormalDist()
    return math.ceil((normal.inv_cdf(0.95) + normal.inv_cdf(power)) ** 2 * sd**2 / delta**2)


def _mean_over_list(lists_UK: Lists, value_N: FloatArray) -> FloatArray:
    is_item_UK = lists_UK >= 0
    total_U = np.where(is_item_UK, value_N[np.maximum(lists_UK, 0)], 0.0).sum(axis=1)
    return np.asarray(total_U / np.maximum(is_item_UK.sum(axis=1), 1))


def _hits(lists_UK: Lists, targets: Targets, k: int) -> tuple[BoolArray, IntArray]:
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


def _pairs(targets: Targets) -> tuple[IntArray, IntArray, IntArray]:
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
