"""Lists of ids of very different lengths, as flat arrays: what Spark's Python workers compute with."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

IntArray = npt.NDArray[np.int64]


def numbered(ids: pa.ChunkedArray | pa.Array) -> tuple[IntArray, pa.Array]:
    """Each id as its place among the different ones, which are in the order of their bytes."""
    encoded = ids.combine_chunks() if isinstance(ids, pa.ChunkedArray) else ids
    if not pa.types.is_dictionary(encoded.type):
        encoded = encoded.dictionary_encode()
    order = pc.sort_indices(encoded.dictionary).to_numpy()
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    return rank[encoded.indices.to_numpy(zero_copy_only=False)], encoded.dictionary.take(pa.array(order))


def lists(groups: npt.NDArray[np.integer[Any]], values: pa.Array, num_groups: int) -> pa.ListArray:
    """One list for each group of what stands side by side; groups that do not occur have an empty one."""
    ends = np.cumsum(np.bincount(groups, minlength=num_groups))
    return pa.ListArray.from_arrays(pa.array(np.concatenate([[0], ends]), pa.int32()), values)


def flat(column: pa.ChunkedArray) -> tuple[IntArray, pa.Array]:
    """The length of each list, and what all of them hold."""
    array = column.combine_chunks()
    array = array if isinstance(array, pa.Array) else pa.concat_arrays(array.chunks)
    lengths = pc.list_value_length(array).to_numpy(zero_copy_only=False)
    return np.asarray(lengths, np.int64), array.flatten()
