"""Which items one user acts upon within a day, and the neighbours that pairs of items make.

B items of baskets · P rows of pairs · V different items
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
from scipy.sparse import csr_matrix

from contracts.tables import COVISITATION, MAX_NEIGHBOURS, PAIR_DAYS
from jobs.features.ragged import IntArray, bucket_of, flat, numbered
from jobs.io.schemas import arrow_schema

_PAIRS_AT_ONCE = 4_000_000  # of baskets, before they are added up: 40 bytes each


def pair_days(user_days: pa.Table) -> pa.Table:
    """One row per event day and pair of items that somebody acted upon on it, the lesser id first.

    Two items of one basket weigh as much as the lesser of them; the weights of all users add up. Rows come in the order
    of their key.
    """
    if not len(user_days):
        return arrow_schema(PAIR_DAYS).empty_table()
    lengths_D, items = flat(user_days.column("basket_item_ids"))
    weight_B = flat(user_days.column("basket_weights"))[1].to_numpy().astype(np.int64)
    item_B, names = numbered(items)
    day_D = user_days.column("event_date").cast(pa.int32()).to_numpy().astype(np.int64)
    first_day, num_items = int(day_D.min()), max(len(names), 1)
    added_up = [np.empty((2, 0), np.int64)]
    for day, item_BL, weight_BL in _of_one_length(lengths_D, item_B, weight_B, day_D - first_day):
        low, high = np.triu_indices(item_BL.shape[1], 1)
        pair = (day[:, None] * num_items + item_BL[:, low]) * num_items + item_BL[:, high]
        weight = np.minimum(weight_BL[:, low], weight_BL[:, high])
        added_up.append(_added_up(pair.ravel(), weight.ravel()))
    pair, total = _added_up(*np.concatenate(added_up, axis=1))
    day_and_item, high_item = np.divmod(pair, num_items)
    day, low_item = np.divmod(day_and_item, num_items)
    columns = [
        pa.array((day + first_day).astype(np.int32), pa.date32()),
        names.take(pa.array(low_item)),
        names.take(pa.array(high_item)),
        pa.array(total),
    ]
    return pa.table(columns, schema=arrow_schema(PAIR_DAYS))


def _of_one_length(
    lengths_D: IntArray, item_B: IntArray, weight_B: IntArray, day_D: IntArray
) -> Iterator[tuple[IntArray, IntArray, IntArray]]:
    """Day, items and weights of baskets of one length, as matrices, so many that their pairs fit in memory."""
    starts_D = np.cumsum(lengths_D) - lengths_D
    for length in np.unique(lengths_D[lengths_D > 1]):
        alike = np.flatnonzero(lengths_D == length)
        at_once = max(1, _PAIRS_AT_ONCE // (length * (length - 1) // 2))
        for start in range(0, len(alike), at_once):
            chosen = alike[start : start + at_once]
            places = starts_D[chosen][:, None] + np.arange(length)
            yield day_D[chosen], item_B[places], weight_B[places]


def _added_up(key: IntArray, weight: IntArray) -> IntArray:
    """The different keys in order, and the weight of each."""
    order = np.argsort(key)
    first = np.flatnonzero(np.diff(key[order], prepend=-1))
    total = np.add.reduceat(weight[order], first) if len(first) else np.empty(0, np.int64)
    return np.stack([key[order][first], total])


def neighbours(pairs: pa.Table, *, bucket: int = 0, num_buckets: int = 1) -> pa.Table:
    """The heaviest neighbours of each item, in the order of item and rank.

    Among neighbours of equal weight those with the lesser ids come first.

    Args:
        pairs: rows like those of ``features/pair_days`` with all that the bucket's items occur in; equal pairs add up.
        bucket: of the items, of ``num_buckets``.
    """
    if not len(pairs):
        return arrow_schema(COVISITATION).empty_table()
    low, high = pairs.column("item_id"), pairs.column("other_item_id")
    item, names = numbered(pa.chunked_array([*low.chunks, *high.chunks]))
    low_P, high_P, weight_P = item[: len(pairs)], item[len(pairs) :], pairs.column("weight").to_numpy()
    ours = np.flatnonzero(bucket_of(names, num_buckets) == bucket)
    # Equal pairs are added up here, and each counts for both of its items.
    weights_VV = csr_matrix((weight_P, (low_P, high_P)), shape=(len(names),) * 2)
    found = [np.empty((3, 0), np.int64)]
    for chosen, others, weights in _heaviest(weights_VV + weights_VV.T, ours):
        found.append(np.stack([np.full(len(others), chosen), others, weights]))
    item_R, neighbour_R, weight_R = np.concatenate(found, axis=1)
    columns = [
        names.take(pa.array(item_R)),
        names.take(pa.array(neighbour_R)),
        pa.array(weight_R),
        pa.array((np.arange(len(item_R)) - np.searchsorted(item_R, item_R) + 1).astype(np.int32)),
    ]
    return pa.table(columns, schema=arrow_schema(COVISITATION))


def _heaviest(weights_VV: csr_matrix, items: IntArray) -> Iterator[tuple[int, IntArray, IntArray]]:
    """Some items, each with its heaviest neighbours and their weights."""
    weights_VV.sort_indices()
    for item in items.tolist():
        row = slice(weights_VV.indptr[item], weights_VV.indptr[item + 1])
        # A stable order keeps equals as they stand: by their ids.
        heaviest = np.argsort(-weights_VV.data[row], kind="stable")[:MAX_NEIGHBOURS]
        yield item, weights_VV.indices[row][heaviest].astype(np.int64), weights_VV.data[row][heaviest]
