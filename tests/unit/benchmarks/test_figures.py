"""What benchmarks count with: exponents, peaks of memory, the choice of figures, the page."""

from __future__ import annotations

import math
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from benchmarks.__main__ import BENCHMARKS, ON_DEMAND, PAGES, chosen
from benchmarks.big_shop import CART, IMPRESSION, PURCHASE, VIEW, BigShop
from benchmarks.feature_runs import Run
from benchmarks.features import _figures_of_dbt, dbt_on_a_year, exponent
from benchmarks.figure import figure, keep
from benchmarks.page import last_figures, page
from benchmarks.peak import Peak, of_tree
from benchmarks.reasons import reasons
from contracts.tables import TABLES

SHOP = BigShop(num_events=60_000, num_days=2, num_users=500, num_items=1_000, last=date(2026, 1, 2))


def test_reasons_are_measured_beside_the_same_lists_without_them(tmp_path: Path) -> None:
    (told,) = reasons(tmp_path, num_users=20, num_items=120, turns=1)
    assert told.name == "ranking.reasons"
    assert min(told.value, told.reference) > 0


@pytest.mark.parametrize("power", [0.0, 0.2, 1.0, 2.0])
def test_an_exponent_is_the_slope_of_logarithms(power: float) -> None:
    sizes = [1e6, 2e6, 1e7]
    assert exponent(sizes, [3 * size**power for size in sizes]) == pytest.approx(power, abs=1e-9)


def test_an_exponent_is_fitted_to_all_sizes() -> None:
    """By hand: logarithms of base 2 are 0, 1, 2 and 0, 2, 2; the slope of the best line through them is 1."""
    assert exponent([1, 2, 4], [1, 4, 4]) == pytest.approx(1)


def test_what_takes_no_time_does_not_shrink_for_ever() -> None:
    assert exponent([1, 2, 4], [0.0, -1.0, 0.0]) == pytest.approx(0)
    assert exponent([1, 10], [0.0, 0.1]) == pytest.approx(1)


def test_a_peak_is_the_most_that_was_held_at_one_time() -> None:
    held = iter([1, 5, 3])
    peak = Peak(lambda: next(held))
    for _ in range(3):
        peak.look()
    assert peak.bytes == 5


def test_a_peak_is_looked_for_while_the_block_runs() -> None:
    looks: list[int] = []
    with Peak(lambda: looks.append(1) or len(looks), seconds_between=0.001).watched() as peak:
        while len(looks) < 3:
            pass
    seen = len(looks)
    assert peak.bytes == seen >= 3
    assert of_tree(2**22 + 1)() == 0  # a process that is no more holds nothing


def test_the_memory_of_a_tree_holds_that_of_this_process() -> None:
    import os

    import psutil

    before = psutil.Process().memory_info().rss
    assert of_tree(os.getpid())() >= before // 2


def test_a_group_stands_for_its_benchmarks_and_large_data_is_measured_on_demand_only() -> None:
    assert not {name for name in chosen([]) if name in ON_DEMAND}
    assert chosen(["features"]) == ["features.full_refresh", "features.spark_histories"]
    assert chosen(["features.spark_large_histories"]) == ["features.spark_large_histories"]
    assert chosen(["features.growth_exponent", "features.full_refresh"]) == ["features.growth_exponent"]
    with pytest.raises(SystemExit, match=r"'feature' is no benchmark; there are loop\.day_seconds"):
        chosen(["feature"])


def test_a_page_holds_the_last_figure_of_each_name(tmp_path: Path) -> None:
    kept = tmp_path / "bench.jsonl"
    for value in (1.0, 2.0):
        keep(figure("features.full_refresh", value, "events/s", 4.0, "by hand"), kept)
    keep(figure("loop.day_seconds", 9.0, "s", 9.0, "another group"), kept)
    figures = last_figures(kept, "features")
    assert [(each["name"], each["value"]) for each in figures] == [("features.full_refresh", 2.0)]
    told = page("features", ["What it costs.\n\n``features.full_refresh``: all of it."], figures)
    assert "| `features.full_refresh` | 2.00 | events/s | 4.00 | 0.50 | by hand |" in told
    assert "`features.full_refresh`: all of it." in told
    assert "make bench ONLY=features DOCS=docs" in told


def test_every_figure_of_a_page_is_explained_on_it() -> None:
    for group, about in PAGES.items():
        unexplained = {
            name for name in BENCHMARKS if name.startswith(f"{group}.") and name not in "".join(about)
        }
        assert unexplained == set()


def test_the_docs_hold_every_figure_that_is_not_for_large_machines_alone() -> None:
    for group in PAGES:
        text = (Path(__file__).parents[3] / "docs" / f"{group}-bench.md").read_text(encoding="utf-8")
        shown = {name for name in BENCHMARKS if f"| `{name}` |" in text}
        wanted = {name for name in BENCHMARKS if name.startswith(f"{group}.") and name not in ON_DEMAND}
        assert shown >= wanted


def test_figures_of_dbt_are_told_from_what_was_measured() -> None:
    """By hand: ten times the events in ten times the time through dbt, in a hundred times the time without it."""
    through_dbt = {part: Run(20 * part, 10 * part, 3.0, {}) for part in (0.1, 0.25, 0.5, 1)}
    by_hand = {0.1: Run(0.2, 0.1, 1.0, {}), 1: Run(16, 10, 2.0, {})}
    days = {0.25: 2.0, 0.5: 2.0, 1: 2.0}
    figures = {each.name: each for each in _figures_of_dbt(1_000_000, through_dbt, by_hand, days)}
    assert set(figures) == {name for name, run in BENCHMARKS.items() if run is dbt_on_a_year}
    full, memory = figures["features.full_refresh"], figures["features.full_refresh_gb"]
    assert (full.value, full.reference, full.ratio) == (50_000, 62_500, 0.8)
    assert (memory.value, memory.reference) == (3, 2)
    growth, day = figures["features.growth_exponent"], figures["features.incremental_exponent"]
    assert (growth.value, growth.reference) == (1, 2)
    assert (day.value, day.reference) == (0, 1)


def test_a_day_of_the_big_shop_is_the_same_whatever_days_stand_beside_it() -> None:
    longer = BigShop(num_events=120_000, num_days=4, num_users=500, num_items=1_000, last=SHOP.last)
    assert SHOP.days == longer.days[-2:]
    assert SHOP.events_of(SHOP.last).equals(longer.events_of(SHOP.last))
    assert not SHOP.events_of(SHOP.days[0]).equals(SHOP.events_of(SHOP.last))


def test_the_big_shop_lands_every_table_that_dbt_reads() -> None:
    import duckdb

    with duckdb.connect() as connection:
        SHOP.land(connection, SHOP.days[-1:])
        landed = connection.execute(
            "select table_name from information_schema.tables where table_schema = 'raw'"
        )
        names = {name for (name,) in landed.fetchall()}
        assert names == {table.short_name for table in TABLES.values() if table.name.startswith("raw/")}
        for name in names:
            assert connection.execute(f"select count(*) from raw.{name}").fetchone() > (0,), name


def test_the_big_shop_has_the_shape_of_real_ones() -> None:
    rows = SHOP.events_of(SHOP.last)
    kind = rows["type"].to_numpy()
    assert len(kind) == 30_000
    views = np.count_nonzero(kind == VIEW)
    assert np.count_nonzero(kind == CART) / views == pytest.approx(0.022, abs=0.006)  # not after a last view
    assert np.count_nonzero(kind == PURCHASE) / np.count_nonzero(kind == CART) == pytest.approx(0.27, abs=0.1)
    from_lists = np.count_nonzero((kind == VIEW) & (rows["list"].to_numpy() >= 0)) / views
    assert from_lists == pytest.approx(0.2, abs=0.02)
    place = rows["place"].to_numpy()[kind == IMPRESSION]
    assert set(place.tolist()) == {1, 2, 3, 4}
    steps = rows["visit"].to_numpy()[kind != IMPRESSION]
    lengths = np.bincount(steps)
    assert 3 <= np.median(lengths) <= 5
    assert 5 <= lengths.mean() <= 7
    counts = np.sort(np.bincount(rows["item"].to_numpy()))[::-1]
    assert counts[: len(counts) // 10].sum() > 0.3 * counts.sum()
    assert rows["micros"].to_numpy().max() < 86_400_000_000
    assert math.isclose(np.mean(rows["visitor"].to_numpy() < 0), 0.1, abs_tol=0.03)
