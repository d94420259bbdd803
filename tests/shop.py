"""A shop on disk for tests of the landing: a feed folder, and the home that lands it."""

from __future__ import annotations

import csv
import json
from datetime import date
from pathlib import Path
from typing import Any

from contracts import names
from contracts.settings import load_settings
from jobs import land
from jobs.io.lake import Lake
from jobs.io.state import State
from jobs.runs import StepContext

DAY = date(2011, 3, 1)
NEXT = date(2011, 3, 2)
THIRD = date(2011, 3, 3)
FEED = {
    "schema_version": 1, "shop": "Tiny shop", "currency": "GBP", "time_zone": "Europe/London",
    "repeats_allowed": True, "missing_consent": "granted", "service_items": ["POST"],
}  # fmt: skip
HEADER = (
    "event_id",
    "user_id",
    "item_id",
    "event_type",
    "occurred_at",
    "quantity",
    "unit_price",
    "value",
    "scroll_depth",
)


def event(number: int, **changes: str) -> dict[str, str]:
    row = {
        "event_id": f"e{number}", "user_id": f"u{number % 7}", "item_id": f"i{number % 5}", "event_type": "purchase",
        "occurred_at": f"2011-03-01T10:00:{number % 60:02d}+00:00", "quantity": "1", "unit_price": "2.50", "value": "",
        "scroll_depth": "",
    }  # fmt: skip
    return {**row, **changes}


class Shop:
    """A feed folder and the home that lands it."""

    def __init__(self, home: Path) -> None:
        self.settings = load_settings(home=home)
        self.feed = home / "feed"
        self.describe()

    def describe(self, **changes: Any) -> None:
        self.feed.mkdir(parents=True, exist_ok=True)
        (self.feed / "feed.json").write_text(json.dumps({**FEED, **changes}))

    def deliver(
        self, received: date, rows: list[dict[str, str]], name: str = "events.csv", kind: str = "events"
    ) -> Path:
        folder = self.feed / kind / f"received={received}"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / name
        with path.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        (folder / "_SUCCESS").touch()
        return path

    def land(self, day: date = DAY, **options: Any) -> dict[str, Any]:
        with State.of(self.settings).lease("test", "land", 60, is_last=True) as lease:
            return land.run(day, StepContext.of(self.settings, lease), **options)

    def reasons(self, received: date = DAY, kind: str = "events") -> list[str]:
        lake, table = Lake.of(self.settings), f"quarantine/{kind}"
        return (
            []
            if lake.manifest(table, received) is None
            else lake.read(table, received).column("reason").to_pylist()
        )

    def events(self, day: date = DAY) -> list[dict[str, Any]]:
        return Lake.of(self.settings).read(names.RAW_EVENTS, day).to_pylist()

    def digests(self) -> dict[str, str]:
        lake = Lake.of(self.settings)
        found = {}
        for table in (names.RAW_EVENTS, names.RAW_ITEMS, names.RAW_USERS):
            for day in lake.days(table):
                manifest = lake.manifest(table, day)
                assert manifest is not None
                found[f"{table}/{day}"] = manifest.digest
        return found
