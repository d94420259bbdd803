"""The data of many days: what became of events, and why some were quarantined."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from jobs.report_pages.tables import csv_text
from jobs.report_pages.views import DayView

#: Days on the page; older ones keep their own.
MOST_DAYS = 365


@dataclass(frozen=True)
class QualityRow:
    """The events that were read on one day."""

    day: date
    counts: dict[str, int]  # read, good, quarantined, duplicate, set_aside
    reasons: list[tuple[str, int]]  # of quarantined rows, most first
    gates: str  # passed or refused; empty where none has left a page


@dataclass(frozen=True)
class Reason:
    """Why events were quarantined, over all days shown."""

    name: str
    rows: int
    share: float  # of the events read
    days: int
    last: date


def quality_rows(days: Sequence[DayView]) -> list[QualityRow]:
    """The landed days, newest first."""
    landed = [day for day in days if day.accounts.get("events")]
    return [
        QualityRow(day.day, day.accounts["events"], _reasons(day), _gates(day)) for day in landed[:MOST_DAYS]
    ]


def reasons_of(rows: Sequence[QualityRow]) -> list[Reason]:
    """Every reason, the most rows first."""
    total, days = Counter[str](), Counter[str]()
    last: dict[str, date] = {}
    for row in rows:
        for name, num_rows in row.reasons:
            total[name] += num_rows
            days[name] += 1
            last[name] = max(row.day, last.get(name, row.day))
    read = sum(row.counts.get("read", 0) for row in rows)
    return [
        Reason(name, num_rows, num_rows / max(read, 1), days[name], last[name])
        for name, num_rows in sorted(total.items(), key=lambda item: (-item[1], item[0]))
    ]


def quarantine_csv(days: Sequence[DayView]) -> str:
    """Quarantined rows of every day by kind of delivery and reason."""
    rows = [
        (day.day, kind, reason, num_rows)
        for day in sorted(days, key=lambda day: day.day)
        for kind, outcome, reason, num_rows in day.rejections
        if outcome == "quarantined"
    ]
    return csv_text(("day", "kind", "reason", "rows"), rows)


def _reasons(day: DayView) -> list[tuple[str, int]]:
    return [
        (reason, num_rows)
        for kind, outcome, reason, num_rows in day.rejections
        if (kind, outcome) == ("events", "quarantined")
    ]


def _gates(day: DayView) -> str:
    passed = [gate.is_passed for gate in day.gates if gate.is_passed is not None]
    if not passed:
        return ""
    return "passed" if all(passed) else "refused"
