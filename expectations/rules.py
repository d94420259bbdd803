"""The few rules that suites are made of, in plain words over Great Expectations.

Great Expectations passes on nothing: not-null and between succeed on an empty batch and on a column of
nulls, and a blank text is not null. So every suite begins with a floor of rows, and a column that is
bounded is also never missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from contracts.ids import MOST_BYTES, PLACEHOLDERS
from expectations.library import (
    ColumnMapExpectation,
    ColumnMapMetricProvider,
    PandasExecutionEngine,
    column_condition_partial,
    gx,
    gxe,
)

if TYPE_CHECKING:
    import pyarrow as pa

Rule = Any  # Great Expectations ships no types
Suite = Any

#: Larger than any figure that we count or measure; infinity is larger still.
LARGEST = 1e15

#: Something visible at both ends, no control or direction-changing characters, at most 128 bytes, no word for nothing.
_ID = r"^[^\s\p{Cc}\p{Cf}](?:[^\p{Cc}]*[^\s\p{Cc}\p{Cf}])?$"
_FIRST = 1000


def are_ids(ids: pa.Array) -> npt.NDArray[np.bool_]:
    """Which of the texts are ids; a missing one is none."""
    import pyarrow as pa
    import pyarrow.compute as pc

    first = ids.slice(0, _FIRST)
    # Where ids repeat, each is looked at once: a regular expression costs more than to tell them apart.
    different = ids if len(first.unique()) == len(first) else ids.unique()
    is_nothing = pc.is_in(pc.utf8_lower(different), value_set=pa.array(PLACEHOLDERS))
    is_id = pc.and_(
        pc.match_substring_regex(different, _ID), pc.less_equal(pc.binary_length(different), MOST_BYTES)
    )
    wrong = different.filter(pc.invert(pc.fill_null(pc.and_not(is_id, is_nothing), False)))
    return ~np.asarray(pc.is_in(ids, value_set=wrong).to_numpy(zero_copy_only=False), dtype=bool)


class _AreIds(ColumnMapMetricProvider):  # type: ignore[misc]
    """Id by id; over Arrow, because Python's own loop takes ten times as long."""

    condition_metric_name = "column_values.are_ids"

    @column_condition_partial(engine=PandasExecutionEngine)  # type: ignore[untyped-decorator]
    def _pandas(cls: Any, column: pd.Series[Any], **kwargs: Any) -> pd.Series[bool]:  # noqa: N805
        import pyarrow as pa

        return pd.Series(are_ids(pa.array(column, type=pa.string())), index=column.index)


class ExpectColumnValuesToBeIds(ColumnMapExpectation):  # type: ignore[misc]
    """Expect each value to be an id: visible at both ends, without control characters, not a word for nothing."""

    map_metric = "column_values.are_ids"


def suite(name: str, rules: Iterable[Rule]) -> Suite:
    return gx.ExpectationSuite(name=name, expectations=list(rules))


def at_least(num_rows: int) -> Rule:
    return gxe.ExpectTableRowCountToBeBetween(
        min_value=num_rows, description=f"holds at least {num_rows} rows"
    )


def never_missing(*columns: str) -> list[Rule]:
    return [
        gxe.ExpectColumnValuesToNotBeNull(column=column, description="is never missing") for column in columns
    ]


def ids(*columns: str) -> list[Rule]:
    told = "is an id: not blank, without control characters, at most 128 bytes"
    return [ExpectColumnValuesToBeIds(column=column, description=told) for column in columns]


def between(low: float, high: float, *columns: str) -> list[Rule]:
    told = f"lies between {low:g} and {high:g}"
    return [
        gxe.ExpectColumnValuesToBeBetween(column=column, min_value=low, max_value=high, description=told)
        for column in columns
    ]


def not_negative(*columns: str) -> list[Rule]:
    return [
        gxe.ExpectColumnValuesToBeBetween(
            column=column, min_value=0, max_value=LARGEST, description="is finite and not negative"
        )
        for column in columns
    ]


def finite(*columns: str) -> list[Rule]:
    return [
        gxe.ExpectColumnValuesToBeBetween(
            column=column, min_value=-LARGEST, max_value=LARGEST, description="is finite"
        )
        for column in columns
    ]


def within_days(first: date, last: date, *columns: str) -> list[Rule]:
    low, high = pd.Timestamp(first), pd.Timestamp(last)
    told = f"lies between {first} and {last}"
    return [
        gxe.ExpectColumnValuesToBeBetween(column=column, min_value=low, max_value=high, description=told)
        for column in columns
    ]


def one_of(values: Sequence[Any], column: str, meaning: str = "") -> Rule:
    told = meaning or f"is one of {', '.join(map(str, values))}"
    return gxe.ExpectColumnValuesToBeInSet(column=column, value_set=list(values), description=told)


def always(column: str, meaning: str, mostly: float = 1.0) -> Rule:
    """A column of truths that a frame has been given for the suite."""
    return gxe.ExpectColumnValuesToBeInSet(
        column=column, value_set=[True], mostly=mostly, description=meaning
    )


def none_of_them(column: str, meaning: str) -> Rule:
    """A column of counts of what must not be."""
    return gxe.ExpectColumnValuesToBeBetween(column=column, min_value=0, max_value=0, description=meaning)


def equal(left: str, right: str, meaning: str) -> Rule:
    return gxe.ExpectColumnPairValuesToBeEqual(column_A=left, column_B=right, description=meaning)


def not_above(low: str, high: str, meaning: str) -> Rule:
    return gxe.ExpectColumnPairValuesAToBeGreaterThanB(
        column_A=high, column_B=low, or_equal=True, description=meaning
    )


def one_row_per(*key: str) -> Rule:
    """The grain."""
    told = f"one row per {' and '.join(key)}"
    if len(key) == 1:
        return gxe.ExpectColumnValuesToBeUnique(column=key[0], description=told)
    return gxe.ExpectCompoundColumnsToBeUnique(column_list=list(key), description=told)


def at_least_once(values: Sequence[Any], column: str) -> Rule:
    return gxe.ExpectColumnDistinctValuesToContainSet(
        column=column,
        value_set=list(values),
        description=f"every one of {', '.join(map(str, values))} occurs",
    )


def on_average(low: float, column: str, meaning: str) -> Rule:
    return gxe.ExpectColumnMeanToBeBetween(column=column, min_value=low, description=meaning)
