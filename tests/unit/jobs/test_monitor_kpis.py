"""The figures of a day, counted from a lake of a few rows."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from contracts import names
from contracts.settings import load_settings
from contracts.tables import TABLES
from jobs.io.lake import Lake
from jobs.io.schemas import arrow_schema
from jobs.io.state import State
from jobs.monitoring.kpis import Kpis, day_kpis
from jobs.monitoring.moves import moved
from jobs.monitoring.windows import Span

DAY = date(2011, 3, 2)
YESTERDAY, TOMORROW = DAY - timedelta(days=1), DAY + timedelta(days=1)
Write = Callable[..., None]


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a partition: the named columns, the others empty."""
    settings = load_settings(home=tmp_path / "home")

    def written(table: str, columns: str, *rows: tuple[Any, ...], day: date = DAY) -> None:
        schema = arrow_schema(TABLES[table])
        chosen = columns.split()
        filled = {
            name: [row[chosen.index(name)] if name in chosen else None for row in rows]
            for name in schema.names
        }
        for name in ("event_date", "known_date", "feature_date"):
            if name in schema.names and name not in chosen:
                filled[name] = [day] * len(rows)
        with State.of(settings).lease("test", "test", 60, is_last=True) as lease:
            lake = Lake(tmp_path / "lake", lease)
            lake.replace(table, day, pa.table(filled, schema=schema), inputs="test")

    return written


EVENTS = "event_id user_id session_id event_type item_id weight revenue_cents known_date"
IMPRESSIONS = (
    "event_id user_id decision_id is_clicked clicked_known_date is_purchased purchased_known_date known_date"
)


def numbers(kpis: Kpis) -> dict[str, tuple[int, int]]:
    record = kpis.as_record()
    return {
        name: (record[name]["numerator"], record[name]["n"])
        for name in record
        if name not in ("users", "orders")
    }


def write_a_day(write: Write) -> None:
    write(
        names.FCT_INTERACTIONS,
        EVENTS,
        ("1", "ann", "a1", "view", "x", 1, 0, DAY),
        ("2", "ann", "a1", "purchase", "x", 5, 1000, DAY),
        ("3", "ann", "a2", "purchase", "y", 5, 500, DAY),
        ("4", "bob", None, "view", "x", 1, 0, DAY),
        ("5", "bob", None, "cart", "y", 3, 0, DAY),
        ("6", "cid", "c1", "return", "y", -5, -300, DAY),  # no visit, but it is deducted
        ("7", "dee", "d1", "purchase", "x", 5, 900, TOMORROW),  # not known yet
    )
    write(
        names.FCT_IMPRESSIONS,
        IMPRESSIONS,
        ("8", "ann", "v0001:ann", True, DAY, True, DAY, DAY),
        ("9", "ann", "v0001:ann", True, TOMORROW, True, TOMORROW, DAY),  # the click is not known yet
        ("10", "bob", "v0002:bob", False, None, False, None, DAY),
        ("11", "eve", "17", True, DAY, False, None, DAY),
        ("12", "eve", None, False, None, False, None, DAY),
        ("13", "eve", "v0001:eve", False, None, False, None, TOMORROW),
    )


def test_a_day_counts_what_its_run_may_know(lake: Lake, write: Write) -> None:
    write_a_day(write)
    found = day_kpis(lake, DAY, threads=1).all
    assert (found.users, found.orders) == (2, 1)
    assert numbers(found) == {
        "ctr": (2, 5),
        "impression_conversion": (1, 5),
        "conversion": (2, 3),
        "revenue_per_session": (1200, 3),
    }
    later = day_kpis(lake, DAY, threads=1).as_record()
    assert later["all"]["revenue_per_session"]["value"] == 400
    assert later["all"]["ctr"]["low"] < 0.4 < later["all"]["ctr"]["high"]


def test_versions_are_told_by_the_decision_and_people_by_the_first_one_shown(
    lake: Lake, write: Write
) -> None:
    write_a_day(write)
    found = {name: numbers(kpis) for name, kpis in day_kpis(lake, DAY, threads=1).by_version.items()}
    assert {name: kpis["ctr"] for name, kpis in found.items()} == {
        "v0001": (1, 2), "v0002": (0, 1), "unknown": (1, 2), "none": (0, 0),
    }  # fmt: skip
    assert {name: kpis["revenue_per_session"] for name, kpis in found.items()} == {
        "v0001": (1500, 2), "v0002": (0, 1), "unknown": (0, 0), "none": (-300, 0),
    }  # fmt: skip


def test_people_are_grouped_by_how_long_and_how_often_they_have_come(lake: Lake, write: Write) -> None:
    write_a_day(write)
    assert day_kpis(lake, DAY, threads=1).by_group == {}
    columns = "user_id tenure_days active_days_28d"
    write(names.FEAT_USER_DAILY, columns, ("ann", 6, 5), ("bob", 7, 3), ("cid", 90, 4))
    found = day_kpis(lake, DAY, threads=1).by_group
    assert list(found) == ["new", "light", "heavy", "inactive"]
    assert {name: numbers(kpis)["ctr"] for name, kpis in found.items()} == {
        "new": (1, 2), "light": (0, 1), "heavy": (0, 0), "inactive": (1, 2),
    }  # fmt: skip


def test_the_newest_event_is_the_newest_that_is_known(lake: Lake, write: Write) -> None:
    columns = "event_id user_id event_type occurred_at known_date"
    early, late = (datetime(2011, 3, 2, hour, tzinfo=UTC) for hour in (9, 21))
    rows = (("1", "ann", "view", early, DAY), ("2", "bob", "view", late, TOMORROW))
    write(names.FCT_INTERACTIONS, columns, *rows)
    assert day_kpis(lake, DAY, threads=1).as_record()["newest_event_at"] == "2011-03-02T09:00:00"


def test_a_day_without_events_has_figures_without_values(lake: Lake) -> None:
    found = day_kpis(lake, DAY, threads=1)
    assert found.all.conversion.value is None
    assert (found.by_version, found.by_group) == ({}, {})


def test_what_moved_most_stands_first_with_before_and_after(lake: Lake, write: Write) -> None:
    columns = "event_id user_id item_id weight"
    write(
        names.DIM_ITEMS,
        "item_id title category",
        ("x", "Mug", "tea"),
        ("y", "Pot", "tea"),
        ("z", "Cap", "hats"),
    )
    write(
        names.FCT_INTERACTIONS,
        columns,
        *((f"b{number}", f"u{number}", item, 1) for number, item in enumerate("xxxxyyyyzz")),
        ("r", "u1", "z", -5),  # a return is no wish
        day=YESTERDAY,
    )
    write(
        names.FCT_INTERACTIONS,
        columns,
        *((f"n{number}", f"u{number}", item, 1) for number, item in enumerate("xzzzzzzzzw")),
    )
    found = moved(lake, Span(YESTERDAY, YESTERDAY), Span(DAY, DAY), DAY, threads=1)
    first, second = found.categories[:2]
    assert (first.name, first.before.value, first.now.value) == ("tea", 0.8, 0.1)
    assert (second.name, second.now.numerator, second.now.n) == ("hats", 8, 10)
    assert first.high < 0 < second.low
    assert {move.name: move.title for move in found.items} == {"x": "Mug", "y": "Pot", "z": "Cap", "w": ""}
    assert [move.name for move in found.items][:2] == ["z", "y"]
    assert len(moved(lake, Span(YESTERDAY, YESTERDAY), Span(DAY, DAY), DAY, threads=1, most=2).items) == 2


def test_nothing_has_moved_without_days_to_compare(lake: Lake) -> None:
    assert moved(lake, Span(YESTERDAY, YESTERDAY), Span(DAY, DAY), DAY, threads=1).categories == ()
