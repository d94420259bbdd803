"""A drift that nobody draws is the drift that is drawn, without what only a drawing takes."""

from __future__ import annotations

import json
import sys

import numpy as np
import pandas as pd
import pytest

from jobs.monitoring.columns import NUMBERS, SHARES, Column
from jobs.monitoring.evidently_report import drift_report


@pytest.fixture
def columns(rng: np.random.Generator) -> list[Column]:
    """Numbers and shares of unlike lengths, some of them missing and some infinite."""
    before, now = (pd.Series(rng.gamma(2, scale, num)) for scale, num in ((3, 900), (4, 700)))
    before[5], now[7], now[9] = np.nan, np.inf, -np.inf
    wanted, chosen = (pd.Series(rng.integers(0, top, 500).astype(str)) for top in (8, 6))
    chosen[3] = None
    return [
        Column("data", "spent", "spent", NUMBERS, before, now, threshold=0.5),
        Column("data", "category", "category", SHARES, wanted, chosen, threshold=0.1),
    ]


def test_a_drift_is_the_same_drawn_or_not(columns: list[Column]) -> None:
    drawn, undrawn = drift_report(columns), drift_report(columns, is_drawn=False)
    assert undrawn.values == drawn.values
    assert all(value > 0 for value in drawn.values.values())
    assert (bool(drawn.html), undrawn.html) == (True, "")
    for one, other in zip(
        json.loads(drawn.json)["metrics"], json.loads(undrawn.json)["metrics"], strict=True
    ):
        assert one.keys() == other.keys()
        assert one["config"] | {"type": ""} == other["config"] | {"type": ""}


def test_what_is_not_drawn_is_not_counted_for_plots(
    columns: list[Column], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**given: object) -> None:
        raise AssertionError("bins and lines are counted")

    drift_report(columns)  # which imports Evidently
    monkeypatch.setattr(sys.modules["evidently.metrics.column_statistics"], "get_one_column_drift", refuse)
    assert drift_report(columns, is_drawn=False).values.keys() == {"spent", "category"}


@pytest.mark.parametrize("is_drawn", [True, False])
def test_an_empty_column_is_not_measured(columns: list[Column], *, is_drawn: bool) -> None:
    nothing = Column("data", "empty", "empty", NUMBERS, columns[0].reference, pd.Series([np.inf, np.nan]))
    with pytest.raises(Exception, match="empty"):
        drift_report([*columns, nothing], is_drawn=is_drawn)
