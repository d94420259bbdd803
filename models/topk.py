"""Exact top-K with a total order: the same list whatever the batch, the machine's sort or the threads.

U users · N items · K places
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

#: Scores are compared in whole millionths; what differs by less is a tie.
DECIMALS = 6
_SCALE = 10**DECIMALS
_SCORES_AT_ONCE = 1 << 20  # scores in one chunk: keys of 8 MiB stay in the processor's cache
_EXCLUDED = np.iinfo(np.int64).min


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
    # One integer holds both: the rounded score above, the reversed index below. Sorting plain integers is
    # several times faster than sorting positions, and the index comes back out of the low bits.
    bits = max(1, (num_items - 1).bit_length())
    reversed_N = np.arange((1 << bits) - 1, (1 << bits) - 1 - num_items, -1, dtype=np.int64)
    limit = float(1 << (62 - bits)) / _SCALE
    kept = min(k, num_items)
    step = max(1, _SCORES_AT_ONCE // num_items)
    for start in range(0, num_users, step):
        scores = scores_UN[start : start + step]
        keys = _keys(scores, reversed_N, bits, limit)
        if kept < num_items:
            keys = np.partition(keys, num_items - kept, axis=1)[:, num_items - kept :]
        keys = np.sort(keys, axis=1)[:, ::-1]
        is_item = keys != _EXCLUDED
        low = (1 << bits) - 1
        indices_UK[start : start + step, :kept] = np.where(is_item, low - (keys & low), -1)
        best_UK[start : start + step, :kept] = np.where(is_item, (keys >> bits) / _SCALE, -np.inf)
    return indices_UK, best_UK


def _keys(
    scores: npt.NDArray[np.floating[Any]], reversed_N: npt.NDArray[np.int64], bits: int, limit: float
) -> npt.NDArray[np.int64]:
    is_excluded = scores == -np.inf
    is_any_excluded = bool(is_excluded.any())
    plain = np.where(is_excluded, 0.0, scores) if is_any_excluded else scores
    if not (plain.max() < limit and plain.min() > -limit):  # also false for NaN
        raise ValueError(
            f"scores have to be finite (or -inf) and within ±{limit:g}; rescale them or look for NaN"
        )
    keys = np.multiply(plain, float(_SCALE), dtype=np.float64)
    np.rint(keys, out=keys)
    integers = keys.astype(np.int64)
    integers <<= bits
    integers |= reversed_N
    if is_any_excluded:
        integers[is_excluded] = _EXCLUDED
    return integers
