"""What the API answered on a day, counted from a lake of a few rows."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from contracts import names
from contracts.settings import load_settings
from contracts.tables import FCT_DECISIONS
from jobs.io.lake import Lake
from jobs.io.schemas import arrow_schema
from jobs.io.state import State
from jobs.monitoring.answers import day_answers

DAY = date(2011, 3, 2)
TOMORROW = DAY + timedelta(days=1)
COLUMNS = (
    "decision_id", "user_id", "version", "source", "fallback", "is_short", "is_shown", "shown_known_date",
    "is_clicked", "clicked_known_date", "is_purchased", "purchased_known_date", "known_date", "rules_applied", "rules_dropped",
)  # fmt: skip


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Seven decisions of one day, one of them not known on it."""
    personal, popular = ("v0002", "personal", None), ("v0002", "popular", "unknown_user")
    nothing = (False, None)
    rows = [
        (
            "1",
            "ann",
            *personal,
            False,
            True,
            DAY,
            True,
            DAY,
            True,
            TOMORROW,
            DAY,
        ),  # the purchase is not known yet
        ("2", "ann", *personal, True, True, DAY, True, TOMORROW, *nothing, DAY),  # nor is the click
        ("3", "bob", *personal, False, True, DAY, *nothing, *nothing, DAY),
        (
            "4",
            "bob",
            *personal,
            False,
            True,
            TOMORROW,
            True,
            TOMORROW,
            *nothing,
            DAY,
        ),  # nor that it was shown
        ("5", "cid", *popular, False, True, DAY, True, DAY, True, DAY, DAY),
        ("6", "cid", "v0001", "previous", "version_not_whole", False, *nothing, *nothing, *nothing, DAY),
        ("7", "dee", *personal, False, True, DAY, True, DAY, *nothing, TOMORROW),
    ]
    labels = {
        "1": ("pin:card", None),
        "2": ("pin:card filter:wine", "filter:cheap"),
        "5": (None, "filter:cheap"),
    }
    rows = [(*row, *labels.get(row[0], (None, None))) for row in rows]
    settings, schema = load_settings(home=tmp_path / "home"), arrow_schema(FCT_DECISIONS)
    filled: dict[str, list[Any]] = {name: [None] * len(rows) for name in schema.names}
    filled |= {name: [row[place] for row in rows] for place, name in enumerate(COLUMNS)}
    filled["event_date"] = [DAY] * len(rows)
    with State.of(settings).lease("test", "test", 60, is_last=True) as lease:
        found = Lake(tmp_path / "lake", lease)
        found.replace(names.FCT_DECISIONS, DAY, pa.table(filled, schema=schema), inputs="test")
    return found


def test_decisions_are_counted_by_version_rung_and_reason_as_the_day_knows_them(lake: Lake) -> None:
    found = [each.as_record() for each in day_answers(lake, DAY, threads=1)]
    assert [(each["version"], each["source"], each["fallback"]) for each in found] == [
        ("v0002", "personal", None),
        ("v0001", "previous", "version_not_whole"),
        ("v0002", "popular", "unknown_user"),
    ]
    assert [(each["num_decisions"], each["num_short"]) for each in found] == [(4, 1), (1, 0), (1, 0)]
    assert [(each["clicked"]["numerator"], each["clicked"]["n"]) for each in found] == [
        (1, 3),
        (0, 0),
        (1, 1),
    ]
    assert [(each["num_ruled"], each["num_dropping"]) for each in found] == [(2, 1), (0, 0), (0, 1)]
    assert [each["purchased"]["numerator"] for each in found] == [0, 0, 1]
    assert found[0]["clicked"]["low"] < 1 / 3 < found[0]["clicked"]["high"]
    assert found[1]["clicked"]["value"] is None


def test_a_day_on_which_nothing_was_answered_has_no_answers(lake: Lake) -> None:
    assert day_answers(lake, TOMORROW, threads=1) == []
