"""Evidently's value drift without its plots, for those who keep no page: they take most of the metric's time."""

from __future__ import annotations

from abc import ABC
from typing import TYPE_CHECKING, Any

import numpy as np
from evidently.core.datasets import ColumnStats, Dataset, GeneralColumnStats, PandasDataset, StatCountValue
from evidently.legacy.calculations.stattests import get_stattest
from evidently.metrics import ValueDrift
from evidently.metrics.column_statistics import ValueDriftCalculation

if TYPE_CHECKING:
    import pandas as pd


class UndrawnDrift(ValueDrift):  # type: ignore[misc]
    """The same metric by another name: Evidently finds what computes it by its class."""


class _UndrawnDriftCalculation(ValueDriftCalculation, ABC):  # type: ignore[misc]
    """With ABC among its bases Evidently does not register it by its generic argument, which it shares with the drawn one."""

    def calculate(self, context: Any, current_data: Dataset, reference_data: Dataset) -> Any:
        """The same test of the same values; bins, lines and distributions are counted for plots alone."""
        column = current_data.column(self.metric.column)
        before = _finite(reference_data.column(self.metric.column).data)
        now = _finite(column.data)
        test = get_stattest(before, now, column.type, self.metric.method)
        result = self.result(test(before, now, column.type, self.metric.threshold).drift_score)
        result.widget = []
        return result


UndrawnDrift.__calculation_type__ = _UndrawnDriftCalculation


def _finite(values: pd.Series[Any]) -> pd.Series[Any]:
    finite = values.replace([-np.inf, np.inf], np.nan).dropna()
    if finite.empty:
        raise ValueError(f"column {values.name} is empty: there is nothing to compare")
    return finite


class UncountedDataset(PandasDataset):  # type: ignore[misc]
    """Columns without means and quantiles of their own, which nothing in our reports asks for."""

    def _collect_stats(self, column_type: Any, data: pd.Series[Any]) -> ColumnStats:
        return ColumnStats(GeneralColumnStats(missing_values=StatCountValue(0, 0)), None, None)
