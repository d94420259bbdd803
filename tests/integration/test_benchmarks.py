"""The benchmarks of features give all their figures, on a shop that is small."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from benchmarks.__main__ import BENCHMARKS
from benchmarks.big_shop import BigShop
from benchmarks.features import dbt_on_a_year, spark_histories, spark_large_histories

pytestmark = [pytest.mark.integration, pytest.mark.slow]

LAST = date(2026, 1, 31)
SHOP = BigShop(num_events=40_000, num_days=40, num_users=2_000, num_items=500, last=LAST)
PEOPLE = BigShop(num_events=20_000, num_days=20, num_users=2_000, num_items=500, has_lists=False, last=LAST)


def test_dbt_is_measured_beside_the_same_queries_by_hand(tmp_path: Path) -> None:
    figures = {each.name: each for each in dbt_on_a_year(tmp_path, SHOP, repeats=1)}
    assert set(figures) == {name for name, run in BENCHMARKS.items() if run is dbt_on_a_year}
    full = figures["features.full_refresh"]
    assert 0 < full.value < full.reference  # dbt begins by reading its project: a small shop feels that
    assert 0.05 < figures["features.full_refresh_gb"].value < 2


@pytest.mark.parametrize("benchmark", [spark_histories, spark_large_histories])
def test_spark_is_measured_beside_the_same_tables_without_it(tmp_path: Path, benchmark: type) -> None:
    names = {name for name, run in BENCHMARKS.items() if run is benchmark}
    figures = {each.name: each for each in benchmark(tmp_path / "home", PEOPLE)}
    assert set(figures) == names
    assert all(0 < each.value < 300 for each in figures.values())
