"""Evaluate a suite over a frame, and say what was found."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import pandas as pd

from expectations.library import (
    Batch,
    PandasBatchData,
    PandasExecutionEngine,
    Validator,
    configurations_kept,
    gx,
)
from expectations.rules import Suite

_EXAMPLES = 3


@dataclass(frozen=True)
class Finding:
    """One expectation and what was observed."""

    expectation: str
    column: str
    meaning: str
    observed: str
    is_met: bool


def evaluate(suite: Suite, frame: pd.DataFrame) -> list[Finding]:
    """One finding for each expectation of the suite; one that cannot be evaluated is not met.

    One expectation at a time: together, one that cannot be evaluated makes all be tried several times. And each
    over its own columns, because all that a frame has are copied whenever missing values are left out.
    """
    with configurations_kept():
        return [_evaluate(expectation, frame) for expectation in suite.expectations]


def _evaluate(expectation: Any, frame: pd.DataFrame) -> Finding:
    results = _validator(_of_interest(frame, expectation)).graph_validate(
        configurations=[expectation.configuration],
        runtime_configuration={"result_format": {"result_format": "BASIC"}, "catch_exceptions": True},
    )
    return _finding(expectation, results, len(frame))


def _of_interest(frame: pd.DataFrame, expectation: Any) -> pd.DataFrame:
    """The columns that an expectation names; the whole frame when it names none, or one that is not there."""
    names = _columns(expectation.configuration.kwargs)
    if not names or any(name not in frame for name in names):
        return frame
    return pd.DataFrame({name: frame[name] for name in names}, copy=False)


def _validator(frame: pd.DataFrame) -> Any:
    """A batch made the usual way would be hashed twice, value by value, which takes longer than to judge it."""
    engine = PandasExecutionEngine()
    return Validator(
        execution_engine=engine, batches=[Batch(data=PandasBatchData(engine, frame))], data_context=_context()
    )


@cache
def _context() -> Any:
    """A context that keeps nothing, tells nobody and draws no progress bars."""
    context = gx.get_context(mode="ephemeral")
    context.enable_analytics(False)
    context.variables.progress_bars = {"globally": False}
    return context


def _finding(expectation: Any, results: list[Any], num_rows: int) -> Finding:
    raised = [message for result in results for message in _raised(result.exception_info)]
    if len(results) != 1 or raised:
        is_met, observed = False, f"could not be evaluated: {'; '.join(raised) or f'{len(results)} results'}"
    else:
        is_met, observed = bool(results[0].success), _observed(results[0].result, num_rows)
    return Finding(
        expectation=expectation.expectation_type,
        column=", ".join(_columns(expectation.configuration.kwargs)) or "(rows)",
        meaning=expectation.description or "",
        observed=observed,
        is_met=is_met,
    )


def _columns(kwargs: dict[str, Any]) -> list[str]:
    single = [kwargs[name] for name in ("column", "column_A", "column_B") if name in kwargs]
    return single or list(kwargs.get("column_list", ()))


def _raised(info: dict[str, Any]) -> list[str]:
    """Messages of what was raised: Great Expectations tells it plainly, or once for each metric."""
    told = [info] if "raised_exception" in info else list(info.values())
    return [
        str(each.get("exception_message"))
        for each in told
        if isinstance(each, dict) and each.get("raised_exception")
    ]


def _observed(result: dict[str, Any], num_rows: int) -> str:
    if "unexpected_count" not in result:
        value = result.get("observed_value")
        return f"{value:,}" if isinstance(value, int) else str(value)
    count = result["unexpected_count"]
    if not count:
        return f"all of {result.get('element_count', num_rows):,}" if num_rows else "nothing to look at"
    examples = ", ".join(str(value) for value in result.get("partial_unexpected_list", [])[:_EXAMPLES])
    total = result.get("element_count", num_rows)
    return f"not so in {count:,} of {total:,} ({count / max(total, 1):.2%}){f', e.g. {examples}' if examples else ''}"
