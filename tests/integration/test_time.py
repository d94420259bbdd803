"""Nothing later changes a day, and what comes late ends where a full rebuild would: over small shops of all kinds.

What lands is made up; the project's own queries, the export and the build work on it.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts import names
from contracts.settings import load_settings
from jobs.io.lake import Lake
from tests.compiled_project import Project, Rows, export, look_back, without_spark, writing
from tests.shop import DAY as SHOP_DAY
from tests.shop import Shop, event

pytestmark = pytest.mark.integration

FIRST = date(2011, 3, 1)
DAYS = [FIRST + timedelta(days=days) for days in (0, 1, 3, 6, 8)]  # an event may come a week late
DAY = DAYS[2]  # two days later than it are told of
OF_A_DAY = (*names.BY_FEATURE_DAY, *names.LOOKING_BACK)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("FORETASTE_")]:
            patch.delenv(name)
        without_spark(patch)
        yield Project.compiled(load_settings(home=tmp_path_factory.mktemp("compiled")))


@st.composite
def events_of(draw: st.DrawFn, event_days: list[date], known: list[date]) -> dict[str, Any]:
    """An event of one of some days that becomes known on one of some others, or on its own day."""
    event_date = draw(st.sampled_from(event_days))
    minute = draw(st.integers(0, 24 * 60 - 1))
    return {
        "user_id": draw(st.sampled_from([None, "ann", "bob", "cid"])),
        "item_id": draw(st.sampled_from(["cup", "mug", "pot"])),
        "event_type": draw(st.sampled_from(["impression", "view", "cart", "purchase", "return", "rating"])),
        "occurred_at": datetime(event_date.year, event_date.month, event_date.day)
        + timedelta(minutes=minute),
        "event_date": event_date,
        "known_date": max(event_date, draw(st.sampled_from(known))),
        "quantity": draw(st.sampled_from([None, 1, 3])),
        "unit_price_cents": draw(st.sampled_from([None, 250, 1000])),
        "value": draw(st.sampled_from([None, 1.0, 5.0])),
    }


@st.composite
def shops(draw: st.DrawFn, event_days: list[date], known: list[date]) -> tuple[Rows, Rows, Rows]:
    """Events, items and users; all of the rows become known on the days given, or on their own."""
    events = draw(st.lists(events_of(event_days, known), max_size=12))
    delivered = st.tuples(st.sampled_from(["cup", "mug", "pot"]), st.sampled_from(known))
    items = draw(st.lists(delivered, max_size=4, unique=True))
    users = draw(
        st.lists(st.tuples(st.sampled_from(["ann", "bob"]), st.sampled_from(known)), max_size=2, unique=True)
    )
    of_items = [
        {
            "item_id": item,
            "category": draw(st.sampled_from([None, "kitchen", "bags"])),
            "price_cents": draw(st.sampled_from([None, 300, 900])),
            "available_until": draw(st.sampled_from([None, datetime(2011, 3, 3)])),
            "received_date": day,
            "known_date": day,
        }
        for item, day in items
    ]
    of_users = [
        {
            "user_id": user,
            "created_at": datetime(2011, 2, draw(st.integers(1, 28))),
            "received_date": day,
            "known_date": day,
        }
        for user, day in users
    ]
    return events, of_items, of_users


def numbered(events: Rows, prefix: str) -> Rows:
    return [
        {"event_id": f"{prefix}{number:02d}", "received_date": row["known_date"], **row}
        for number, row in enumerate(events)
    ]


def event_days_of(events: Rows) -> list[date]:
    return sorted({row["event_date"] for row in events})


def digests(lake: Lake, day: date, tables: tuple[str, ...] = OF_A_DAY) -> dict[str, str | None]:
    return {
        table: None if lake.manifest(table, day) is None else lake.verify(table, day).digest
        for table in tables
    }


@settings(max_examples=12, deadline=None)
@given(
    before=shops(DAYS[:3], DAYS[:3]),
    after=shops(DAYS, DAYS[3:]),
)
def test_nothing_that_is_told_later_changes_a_day(
    project: Project, before: tuple[Rows, Rows, Rows], after: tuple[Rows, Rows, Rows]
) -> None:
    """Events, items and users, of whatever day: features, catalogue, histories and neighbours stay what they were."""
    events, items, users = before
    known = [row for row in numbered(events, "a") if row["known_date"] <= DAY]
    # The first day has an event, so that there is something to look back on.
    known.append({**FIRST_EVENT, "event_id": "first"})
    later = [row for row in numbered(after[0], "b") if row["known_date"] > DAY]
    found = []
    for told in ((known, items, users), ([*known, *later], items + after[1], users + after[2])):
        with (
            tempfile.TemporaryDirectory() as home,
            writing(load_settings(home=Path(home), history_days=30)) as context,
        ):
            days = event_days_of(told[0])
            with project.built(*told, days, DAYS) as connection:
                export(context.lake, connection, dict.fromkeys(names.BY_EVENT_DAY, days))
                export(context.lake, connection, dict.fromkeys(names.BY_FEATURE_DAY, DAYS[2:]))
            look_back(context, DAYS[-1])  # a run that knows it all leaves its parts
            look_back(context, DAY)
            found.append(digests(context.lake, DAY))
    assert found[0] == found[1]
    assert found[0][names.HISTORIES] is not None


FIRST_EVENT: dict[str, Any] = {
    "user_id": "ann", "item_id": "cup", "event_type": "purchase", "occurred_at": datetime(2011, 3, 1, 12),
    "event_date": FIRST, "known_date": FIRST, "received_date": FIRST, "quantity": 1, "unit_price_cents": 250,
}  # fmt: skip


@settings(max_examples=5, deadline=None)
@given(shop=shops(DAYS, DAYS))
def test_days_that_learn_of_late_events_end_where_a_full_rebuild_does(
    project: Project, shop: tuple[Rows, Rows, Rows]
) -> None:
    """Day after day, each with what it knew, beside all days at once and in any order: the same facts and features."""
    events = [*numbered(shop[0], "a"), {**FIRST_EVENT, "event_id": "first"}]
    tables: list[dict[date, dict[str, str | None]]] = []
    for is_daily in (True, False):
        with (
            tempfile.TemporaryDirectory() as home,
            writing(load_settings(home=Path(home), history_days=30)) as context,
        ):
            for day in DAYS if is_daily else DAYS[-1:]:
                known = [
                    [row for row in rows if row["known_date"] <= day] for rows in (events, shop[1], shop[2])
                ]
                days = event_days_of(known[0])
                with project.built(*known, days, DAYS) as connection:
                    export(context.lake, connection, dict.fromkeys(names.BY_EVENT_DAY, days))
                    built = [day] if is_daily else DAYS
                    export(context.lake, connection, dict.fromkeys(names.BY_FEATURE_DAY, built))
                for each in reversed(built):
                    look_back(context, each)
            tables.append({day: digests(context.lake, day, OF_A_DAY + names.BY_EVENT_DAY) for day in DAYS})
    assert tables[0] == tables[1]


@settings(max_examples=10, deadline=None)
@given(
    order=st.permutations(range(12)),
    files=st.lists(st.integers(0, 2), min_size=12, max_size=12),
    again=st.lists(st.integers(0, 11), max_size=5),
)
def test_order_duplicates_and_splitting_of_deliveries_change_nothing(
    order: list[int], files: list[int], again: list[int]
) -> None:
    rows = [event(number, event_id="" if number % 3 == 0 else f"e{number}") for number in range(12)]
    found = []
    for is_whole in (True, False):
        with tempfile.TemporaryDirectory() as home:
            shop = Shop(Path(home))
            if is_whole:
                shop.deliver(SHOP_DAY, rows)
            else:
                for name in sorted(set(files)):
                    part = [rows[number] for number in (*order, *again) if files[number] == name]
                    shop.deliver(SHOP_DAY, part, f"{name}.csv")
            shop.land()
            found.append(shop.digests())
    assert found[0] == found[1]
