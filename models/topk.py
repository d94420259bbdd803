"""Exact top-K with a total order: the same list whatever the batch, the machine's sort or the threads.

U users · N items · K places
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix

#: Scores are compared in whole millionths; what differs by less is a tie.
DECIMALS = 6
_SCALE = 10**DECIMALS
_SCORES_AT_ONCE = 1 << 21  # scores in one chunk: smaller ones fit the cache, but cost more in calls
_EXCLUDED = np.iinfo(np.int64).min
_GROUPS_A_PLACE = 8  # more make a tighter bound and fewer scores to look at, but more maxima to sort
_FOLDS = 4  # smaller groups in a group


def top_k(
    scores_UN: npt.NDArray[np.floating[Any]], k: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """The k best items of each row by (score rounded to 1e-6, lower index first).

    A score of ``-inf`` excludes an item. Where fewer than k remain, index -1 and score ``-inf`` fill up.

    Raises:
        ValueError: a score is NaN, ``+inf`` or too large to be told apart at 1e-6.
    """
    num_users, num_items = scores_UN.shape
    if k < 1:
        raise ValueError(f"k is {k}; it has to be at least 1")
    indices_UK = np.full((num_users, k), -1, np.int64)
    best_UK = np.full((num_users, k), -np.inf)
    if num_items == 0:
        return indices_UK, best_UK
    kept = min(k, num_items)
    step = max(1, _SCORES_AT_ONCE // num_items)
    for start in range(0, num_users, step):
        scores = scores_UN[start : start + step]
        rows, items, values, highest = _contenders(scores, kept)
        _refuse_unordered(highest, values.min(initial=0), num_items)
        part = slice(start, start + step)
        indices_UK[part, :kept], best_UK[part, :kept] = _best(
            rows, items, values, num_users=len(scores), num_items=num_items, kept=kept
        )
    return indices_UK, best_UK


def top_k_sparse(scores_UN: csr_matrix, k: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """:func:`top_k` among the items that each row of a sparse matrix holds, once each; all others are excluded."""
    num_users, num_items = scores_UN.shape
    indices_UK, best_UK = np.full((num_users, k), -1, np.int64), np.full((num_users, k), -np.inf)
    kept = min(k, num_items)
    if len(scores_UN.data) and kept:
        _refuse_unordered(scores_UN.data.max(), scores_UN.data.min(), num_items)
        rows = np.repeat(np.arange(num_users), np.diff(scores_UN.indptr))
        items = scores_UN.indices.astype(np.int64)
        indices_UK[:, :kept], best_UK[:, :kept] = _best(
            rows, items, scores_UN.data, num_users=num_users, num_items=num_items, kept=kept
        )
    return indices_UK, best_UK


def _refuse_unordered(highest: float, lowest: float, num_items: int) -> None:
    """Whoever contends has to be told apart; the maximum of all is NaN when one is."""
    limit = float(1 << (62 - _index_bits(num_items))) / _SCALE
    if not (highest < limit and lowest > -limit):
        raise ValueError(
            f"scores have to be finite (or -inf) and within ±{limit:g}; rescale them or look for NaN"
        )


def _index_bits(num_items: int) -> int:
    return max(1, (num_items - 1).bit_length())


def _contenders(
    scores_UN: npt.NDArray[np.floating[Any]], k: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.floating[Any]], float]:
    """Rows, items and scores of all that may be among the k best of their row, row by row; and the highest score of all.

    The k-th highest of the maxima of disjoint groups of items is a bound: k items reach it, so whoever is among
    the best does as well, and stands in a group whose maximum does. So all scores are read once, for the maxima, and
    only those of about k groups are looked at again. Neighbours are in different groups: the best often lie close.
    """
    num_users, num_items = scores_UN.shape
    size = num_items // (_GROUPS_A_PLACE * k)
    if size < 2:
        rows, items = _places(scores_UN != -np.inf)
        return rows, items, scores_UN[rows, items], float(scores_UN.max())
    # A group is made of smaller ones where it is large enough: fewer scores, which lie far apart, to look at again.
    folds = _FOLDS if size >= 2 * _FOLDS else 1
    num_groups = num_items // (size // folds * folds)
    num_small = folds * num_groups
    last = num_items // num_small * num_small
    in_small = scores_UN[:, :last].reshape(num_users, -1, num_small)
    highest_small = in_small.max(axis=1)
    in_groups = highest_small.reshape(num_users, folds, num_groups)
    highest = in_groups.max(axis=1)
    bound_U = np.partition(highest, num_groups - k, axis=1)[:, num_groups - k].astype(np.float64)
    # Rounding may lift an item past the bound by a millionth; float32 may lose as much again.
    bound_U -= 2 / _SCALE + 1e-6 * np.abs(np.where(np.isfinite(bound_U), bound_U, 0))
    bound_U = np.maximum(bound_U, np.finfo(np.float32).min).astype(scores_UN.dtype)  # -inf is excluded
    rows, groups = _places(highest >= bound_U[:, None])
    at, folded = _places(in_groups[rows, :, groups] >= bound_U[rows, None])
    rows, small = rows[at], folded * num_groups + groups[at]
    chosen = in_small[rows, :, small]
    at, within = _places(chosen >= bound_U[rows, None])
    rows, items, values = rows[at], within * num_small + small[at], chosen[at, within]
    if last == num_items:
        return rows, items, values, float(highest.max())
    # The few items that fill no group are compared one by one; row by row again, as both parts are.
    ungrouped = scores_UN[:, last:]
    late_rows, late_items = _places(ungrouped >= bound_U[:, None])
    rows = np.concatenate([rows, late_rows])
    order = np.argsort(rows, kind="stable")
    items = np.concatenate([items, late_items + last])[order]
    values = np.concatenate([values, ungrouped[late_rows, late_items]])[order]
    return rows[order], items, values, float(np.maximum(highest.max(), ungrouped.max()))


def _places(is_so_XY: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The rows and columns of what is so, row by row; several times faster than NumPy's own of two dimensions."""
    found = np.flatnonzero(is_so_XY)
    rows = found // is_so_XY.shape[1]
    return rows, found - rows * is_so_XY.shape[1]


def _best(
    rows: npt.NDArray[np.int64],
    items: npt.NDArray[np.int64],
    scores: npt.NDArray[np.floating[Any]],
    *,
    num_users: int,
    num_items: int,
    kept: int,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Each row's best, highest first, of contenders that come row by row.

    One integer holds both: the rounded score above, the reversed index below. Sorting plain integers is several
    times faster than sorting positions, and the index comes back out of the low bits.
    """
    bits = _index_bits(num_items)
    millionths = np.multiply(scores, float(_SCALE), dtype=np.float64)
    np.rint(millionths, out=millionths)
    keys = millionths.astype(np.int64)
    keys <<= bits
    keys |= ((1 << bits) - 1) - items
    ends = np.searchsorted(rows, np.arange(num_users + 1))
    lengths = np.diff(ends)
    places = np.arange(len(rows)) - ends[rows]
    side_by_side = np.full((num_users, max(kept, int(lengths.max(initial=0)))), _EXCLUDED, np.int64)
    side_by_side[rows, places] = keys
    side_by_side.sort(axis=1)
    best = side_by_side[:, ::-1][:, :kept]
    is_item = best != _EXCLUDED
    low = (1 << bits) - 1
    return np.where(is_item, low - (best & low), -1), np.where(is_item, (best >> bits) / _SCALE, -np.inf)
