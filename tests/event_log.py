"""Events and decisions for tests of the API's journal, and what the journal holds of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import msgspec

from contracts.events import Received
from contracts.journal import EVENTS, LoggedDecision, LoggedItem
from jobs.io.journal import Journal
from serving.decision_log import DecisionLog
from serving.events import Events

DAY = date(2026, 1, 5)
NEXT = DAY + timedelta(days=1)


def noon(day: date = DAY) -> datetime:
    return datetime.combine(day, time(12), UTC)


def event(number: int, day: date = DAY, **changes: Any) -> dict[str, Any]:
    return {
        "event_id": f"e{number}", "user_id": f"u{number % 7}", "item_id": f"i{number % 5}", "event_type": "view",
        "occurred_at": f"{day}T10:{number // 60 % 60:02d}:{number % 60:02d}Z", **changes,
    }  # fmt: skip


def decision(decision_id: str, day: date = DAY, num_items: int = 2) -> LoggedDecision:
    items = tuple(LoggedItem(f"i{place}", place, 0.5) for place in range(1, num_items + 1))
    return LoggedDecision(
        decision_id, noon(day), "u1", "home", "v0001", "personal", None, items, "personal", False
    )


async def ingested(home: Path, batches: Sequence[Any], day: date = DAY) -> list[Received]:
    """What the API answers to these requests, one after the other."""
    events = Events(home)
    try:
        return [await events.ingest(each, noon(day)) for each in batches]
    finally:
        await events.close()


async def decided(home: Path, decisions: Sequence[LoggedDecision]) -> list[str]:
    log = DecisionLog(home)
    try:
        return [await log.write(each) for each in decisions]
    finally:
        await log.close()


def stored(home: Path, day: date = DAY, kind: str = EVENTS) -> list[dict[str, Any]]:
    return [msgspec.json.decode(line) for line in Journal(home).lines(kind, day)]
