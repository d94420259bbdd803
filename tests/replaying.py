"""What tests of the replay share: an older Foretaste, the verb, and all that it may write."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any

import pytest

from contracts import names
from contracts.feed import EVENT_TYPES
from jobs import replay
from jobs.io.lake import Lake
from jobs.io.state import DELIVERIES, LANDINGS, REPLAYS, State
from jobs.io.warehouse import open_warehouse
from jobs.landing import checks, reading, rules
from jobs.runs import StepContext
from tests.shop import DAY, NEXT, Shop, event

RAW = {names.RAW_EVENTS: "event_id", names.RAW_ITEMS: "item_id", names.RAW_USERS: "user_id"}


@contextmanager
def older_foretaste() -> Iterator[None]:
    """A Foretaste that knows no ratings, takes no id of more than four bytes and stumbles over a line of JSON."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rules, "EVENT_TYPES", tuple(name for name in EVENT_TYPES if name != "rating"))
        patch.setattr(checks, "MOST_BYTES", 4)
        patch.setattr(reading, "_unique", _refuse)
        yield


def _refuse(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if ("event_id", "e24") in pairs:
        raise ValueError("what is this?")
    return dict(pairs)


def rating(number: int, **changes: str) -> dict[str, str]:
    return event(number, event_type="rating", value="4", **changes)


def land_both(shop: Shop) -> None:
    for day in (DAY, NEXT):
        shop.land(day, accept="read again later")


def replayed(shop: Shop, **options: Any) -> dict[str, Any]:
    with State.of(shop.settings).lease("test", "replay", 60, is_last=True) as lease:
        return replay.run(StepContext.of(shop.settings, lease), **options)


def rows_of(
    shop: Shop, *, until: date = date.max, without: tuple[str, ...] = ()
) -> dict[str, list[dict[str, Any]]]:
    """Every raw row that the run of a day may see."""
    lake = Lake.of(shop.settings)
    found = {}
    for table, key in RAW.items():
        rows = [row for day in lake.days(table) for row in lake.read(table, day).to_pylist()]
        found[table] = [
            {name: value for name, value in row.items() if name not in without}
            for row in sorted(rows, key=lambda row: (row[key], row["received_date"]))
            if row["known_date"] <= until
        ]
    return found


def quarantine_of(shop: Shop) -> list[dict[str, Any]]:
    lake = Lake.of(shop.settings)
    return [
        row
        for kind in ("events", "items", "users")
        for day in lake.days(f"quarantine/{kind}")
        for row in lake.read(f"quarantine/{kind}", day).to_pylist()
    ]


def accounts_of(shop: Shop) -> dict[str, Any]:
    """The account of every delivery and landing, as the state and as the warehouse tell it."""
    state = State.of(shop.settings)
    counted = ("read", "good", "quarantined", "duplicate", "set_aside")
    with open_warehouse(shop.settings) as warehouse:
        columns = {
            "received_date": "date",
            "kind": "text",
            "outcome": "text",
            "reason": "text",
            "num_rows": "bigint",
        }
        told = warehouse.read("select * from ops.row_accounts order by all", columns).to_pylist()
    return {
        "deliveries": {
            key: {name: record[name] for name in counted} for key, record in state.all(DELIVERIES).items()
        },
        "landings": {key: record["accounts"] for key, record in state.all(LANDINGS).items()},
        "warehouse": told,
    }


def everything(shop: Shop) -> dict[str, Any]:
    """All that a replay may write: digests of the lake, the warehouse, the state."""
    lake, state = Lake.of(shop.settings), State.of(shop.settings)
    tables = sorted(
        str(path.parent.parent.relative_to(lake.root)) for path in lake.root.rglob("manifest.json")
    )
    with open_warehouse(shop.settings) as warehouse:
        events = warehouse.read(
            "select event_id, known_date from raw.events order by all",
            {"event_id": "text", "known_date": "date"},
        ).to_pylist()
    return {
        "lake": {
            f"{table}/{day}": lake.verify(table, day).digest
            for table in set(tables)
            for day in lake.days(table)
        },
        "warehouse": events,
        "state": [state.all(name) for name in (DELIVERIES, LANDINGS, REPLAYS)],
        "accounts": accounts_of(shop),
    }
