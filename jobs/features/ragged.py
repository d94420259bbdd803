"""Columns of ids and of lists of ids, of very different lengths, as flat arrays to compute with."""

from __future__ import annotations

from typing import Any
from zlib import crc32

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

IntArray = npt.NDArray[np.int64]


def numbered(ids: pa.ChunkedArray | pa.Array) -> tuple[IntArray, pa.Array]:
    """Each id as its place among the different ones, which are in the order of their bytes."""
    encoded = _encoded(ids)
    order = pc.sort_indices(encoded.dictionary)
    rank = np.empty(len(order), np.int64)
    rank[order.to_numpy()] = np.arange(len(order))
    return rank[encoded.indices.to_numpy()], encoded.dictionary.take(order)


def bucket_of(ids: pa.ChunkedArray | pa.Array, num_buckets: int) -> IntArray:
    """The bucket of each id, by a hash that is the same everywhere; the buckets of 2n halve those of n."""
    if num_buckets == 1:
        return np.zeros(len(ids), np.int64)
    encoded = _encoded(ids)
    of_each = [crc32(text.encode()) % num_buckets for text in encoded.dictionary.to_pylist()]
    bucket: IntArray = np.array(of_each, np.int64)[encoded.indices.to_numpy()]
    return bucket


def lists(groups: npt.NDArray[np.integer[Any]], values: pa.Array, num_groups: int) -> pa.ListArray:
    """One list for each group of what stands side by side; groups that do not occur have an empty one."""
    ends = np.cumsum(np.bincount(groups, minlength=num_groups))
    return pa.ListArray.from_arrays(pa.array(np.concatenate([[0], ends]), pa.int32()), values)


def flat(column: pa.ChunkedArray) -> tuple[IntArray, pa.Array]:
    """The length of each list, and what all of them hold."""
    array = whole(column)
    return np.asarray(pc.list_value_length(array).to_numpy(zero_copy_only=False), np.int64), array.flatten()


def whole(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """A column in one piece."""
    if isinstance(column, pa.Array):
        return column
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _encoded(ids: pa.ChunkedArray | pa.Array) -> pa.DictionaryArray:
    if not pa.types.is_dictionary(ids.type):
        return whole(ids).dictionary_encode()
    return whole(ids.unify_dictionaries() if isinstance(ids, pa.ChunkedArray) else ids)
