"""Evidently's report over all columns: the values the verdict stands on, and a page to look at them."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jobs.monitoring.columns import NUMBERS, Column

if TYPE_CHECKING:
    import pandas as pd

_METHODS = {NUMBERS: "wasserstein", "shares": "jensenshannon"}


@dataclass(frozen=True)
class DriftReport:
    """Evidently's values by column, and the report as HTML and JSON."""

    values: dict[str, float]  # bits for shares, standard deviations for numbers
    html: str  # empty where nobody keeps it
    json: str


def drift_report(columns: Sequence[Column], *, is_drawn: bool = True) -> DriftReport:
    """Run Evidently's ValueDrift on each column, with the method that its thresholds are meant for.

    All columns stand side by side in one frame; shorter ones end in missing values, which Evidently leaves
    out. Nothing of this sends telemetry: only Evidently's own web service would.

    Args:
        is_drawn: draw the page as well, which takes longer than the values.
    """
    with warnings.catch_warnings():
        # Evidently still calls what NumPy and pandas have deprecated; that is no news about a day's data.
        warnings.simplefilter("ignore")
        from evidently import DataDefinition, Report
        from evidently.metrics import ValueDrift

        from jobs.monitoring.undrawn import UncountedDataset, UndrawnDrift

        definition = DataDefinition(
            numerical_columns=[column.name for column in columns if column.method == NUMBERS],
            categorical_columns=[column.name for column in columns if column.method != NUMBERS],
        )
        metrics = [
            (ValueDrift if is_drawn and not column.is_minor else UndrawnDrift)(
                column=column.name, method=_METHODS[column.method], threshold=_threshold(column)
            )
            for column in columns
        ]
        snapshot = Report(metrics, include_tests=False).run(
            UncountedDataset(_side_by_side([(c.name, c.current) for c in columns]), definition),
            UncountedDataset(_side_by_side([(c.name, c.reference) for c in columns]), definition),
        )
        page = snapshot.get_html_str(as_iframe=False) if is_drawn else ""
    found = json.loads(snapshot.json())
    values = {}
    for column, metric in zip(columns, found["metrics"], strict=True):
        assert metric["config"]["column"] == column.name, "Evidently returned its metrics in another order"
        values[column.name] = _as_judged(column, float(metric["value"]))
    return DriftReport(values, page, json.dumps(found, sort_keys=True, indent=1))


def _threshold(column: Column) -> float:
    """Our threshold in Evidently's unit; a column that is only shown is never red there either."""
    if column.threshold is None:
        return 1e9
    return column.threshold if column.method == NUMBERS else math.sqrt(column.threshold * math.log(2))


def _as_judged(column: Column, value: float) -> float:
    """Evidently gives the Jensen-Shannon distance, the root of the divergence in nats."""
    return value if column.method == NUMBERS else value**2 / math.log(2)


def _side_by_side(columns: Sequence[tuple[str, pd.Series[Any]]]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame({name: values.dropna().reset_index(drop=True) for name, values in columns})
