"""Frames as suites look at them: types that are compared as whole columns, and nothing hidden."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd
    import pyarrow as pa

#: What nanoseconds can tell, with a margin; a moment beyond becomes one of these, and no range contains it.
_EARLIEST = datetime(1700, 1, 1)
_LATEST = datetime(2250, 1, 1)


def as_frame(table: pa.Table) -> pd.DataFrame:
    """An Arrow table as pandas; columns of lists are left out.

    Great Expectations compares 64-bit numbers and nanoseconds as whole columns and anything else value by
    value. It takes NaN for a missing value, so a NaN that was written becomes infinite here: it is not missing.
    """
    import pandas as pd
    import pyarrow as pa

    columns = {
        field.name: _comparable(table.column(field.name), field.type)
        for field in table.schema
        if not pa.types.is_list(field.type)
    }
    frame: pd.DataFrame = pa.table(columns).to_pandas(
        types_mapper={pa.string(): pd.StringDtype("pyarrow")}.get
    )
    return frame


def count_items(frame: pd.DataFrame, table: pa.Table, column: str) -> None:
    """Give a frame of the table how many items each list of a column holds, and how many of them are no ids."""
    import numpy as np
    import pyarrow.compute as pc

    from expectations.rules import are_ids

    lists = table.column(column).combine_chunks()
    frame[f"num_{column}"] = pc.list_value_length(lists).to_numpy(zero_copy_only=False)
    wrong = pc.list_parent_indices(lists).to_numpy(zero_copy_only=False)[~are_ids(lists.flatten())]
    frame[f"num_wrong_{column}"] = np.bincount(wrong, minlength=len(frame))


def count_numbers(frame: pd.DataFrame, table: pa.Table, column: str) -> None:
    """Give a frame of the table how many numbers each list of a column holds, and the least and the most of them."""
    import pyarrow.compute as pc

    lists = table.column(column).combine_chunks()
    frame[f"num_{column}"] = pc.list_value_length(lists).to_numpy(zero_copy_only=False)
    frame[f"least_{column}"], frame[f"most_{column}"] = _extremes(lists)


def _extremes(lists: pa.ListArray) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Of each list the least and the most; of an empty one 0."""
    import numpy as np
    import pyarrow.compute as pc

    lengths = np.asarray(pc.fill_null(pc.list_value_length(lists), 0))
    values, is_filled = lists.flatten().to_numpy(zero_copy_only=False).astype(np.int64), lengths > 0
    starts = (np.cumsum(lengths) - lengths)[is_filled]
    found = np.zeros((2, len(lists)), np.int64)
    if len(starts):
        found[:, is_filled] = np.minimum.reduceat(values, starts), np.maximum.reduceat(values, starts)
    return found[0], found[1]


def _comparable(column: pa.ChunkedArray, of: pa.DataType) -> pa.ChunkedArray:
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_integer(of):
        return column.cast(pa.int64())
    if pa.types.is_floating(of):
        return pc.if_else(pc.is_nan(column), pa.scalar(float("inf"), of), column).cast(pa.float64())
    if pa.types.is_temporal(of):
        exact = column.cast(pa.timestamp("us"))
        clamped = pc.max_element_wise(
            pc.min_element_wise(exact, _LATEST, skip_nulls=False), _EARLIEST, skip_nulls=False
        )
        return clamped.cast(pa.timestamp("ns"))
    return column
