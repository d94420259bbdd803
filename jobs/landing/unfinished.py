"""What a killed landing has left, found by what it had written down before it began to write.

Its rows are no landing's: whether their delivery lies in the feed still, is gone or has changed since, the next landing
replaces what they stand in.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from contracts.feed import HAPPENED
from jobs.attribution import owe_event_days
from jobs.io.state import UNFINISHED
from jobs.io.warehouse import open_warehouse
from jobs.landing import quarantine, withheld
from jobs.landing.partitions import DAY_COLUMN
from jobs.runs import StepContext

if TYPE_CHECKING:
    import pyarrow as pa

_KEY = "landing"
#: What a landing that is recorded leaves to the next.
NOTHING: dict[str, dict[str, dict[str, Any]]] = {UNFINISHED: {_KEY: {"deliveries": [], "partitions": {}}}}


@dataclass(frozen=True)
class Left:
    """What killed landings before this one may have written."""

    deliveries: frozenset[str]
    partitions: Mapping[str, Collection[date]]  # days of partitions, by kind


def begin_to_write(rows: Mapping[str, pa.Table], deliveries: Collection[str], context: StepContext) -> Left:
    """Write down what a landing is about to write, beside what killed ones before it had; returns what these had."""
    before = context.state.get(UNFINISHED, _KEY) or NOTHING[UNFINISHED][_KEY]
    partitions = {kind: set(days) for kind, days in before["partitions"].items()}
    left = Left(
        frozenset(before["deliveries"]),
        {kind: {date.fromisoformat(day) for day in days} for kind, days in partitions.items()},
    )
    for kind, new in rows.items():
        days = new.column(DAY_COLUMN[kind]).unique().to_pylist()
        partitions.setdefault(kind, set()).update(day.isoformat() for day in days)
    body = {
        "deliveries": sorted({*left.deliveries, *deliveries}),
        "partitions": {kind: sorted(days) for kind, days in partitions.items()},
    }
    context.state.put(UNFINISHED, _KEY, body)
    if owed := {day for kind in HAPPENED for day in left.partitions.get(kind, ())}:
        with open_warehouse(
            context.settings
        ) as warehouse:  # a run of an earlier day may have built facts of them
            owe_event_days(warehouse, owed)
    return left


def forget(gone: Collection[str], context: StepContext) -> None:
    """Remove what was quarantined and withheld of deliveries that a killed landing has read and the feed has no more."""
    for key in gone:
        kind, _, received = key.partition("/")
        for tables in (quarantine.TABLES, withheld.TABLES):
            if kind in tables:
                context.lake.drop(tables[kind], date.fromisoformat(received))
