"""Has a column of the feed gone empty? Each one's missing share, by event type, before and lately."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from contracts import names
from jobs.io.lake import Lake
from jobs.monitoring.engine import engine, source
from jobs.monitoring.thresholds import Evidence, Validity
from jobs.monitoring.windows import Span

#: Columns that something downstream is computed from, and may be empty in a single row.
_COLUMNS = (
    "user_id",
    "session_id",
    "quantity",
    "unit_price_cents",
    "dwell_ms",
    "scroll_depth",
    "position",
    "decision_id",
)
#: Days of the reference that are read: what a tracker sends does not change with the week.
_REFERENCE_DAYS = 7

#: By event type: the number of rows, and of each column the share that is missing.
Missing = dict[str, tuple[int, dict[str, float]]]


@dataclass(frozen=True)
class Completeness:
    """Missing shares in the reference's last days and in the recent ones."""

    reference: Missing
    recent: Missing

    def reasons(self, thresholds: Validity, evidence: Evidence) -> list[str]:
        """What is wrong; nothing if no column lost more than it may."""
        return [
            f"{column} is missing in {now:.0%} of {kind} events ({before:.0%} in the reference)"
            for kind, column, before, now, least in self._pairs()
            if least >= evidence.min_rows_of_type and now - before > thresholds.max_null_rise
        ]

    def _pairs(self) -> Iterator[tuple[str, str, float, float, int]]:
        for kind in sorted(set(self.reference) & set(self.recent)):
            (num_before, before), (num_now, now) = self.reference[kind], self.recent[kind]
            for column in _COLUMNS:
                yield kind, column, before[column], now[column], min(num_before, num_now)


def read_completeness(lake: Lake, reference: Span, recent: Span, day: date, *, threads: int) -> Completeness:
    """Read both windows as the run of ``day`` may see them."""
    days = lake.days(names.RAW_EVENTS, first=reference.first, until=reference.last)[-_REFERENCE_DAYS:]
    recent_days = lake.days(names.RAW_EVENTS, first=recent.first, until=recent.last)
    return Completeness(_missing(lake, days, day, threads), _missing(lake, recent_days, day, threads))


def _missing(lake: Lake, days: list[date], day: date, threads: int) -> Missing:
    if not days:
        return {}
    shares = ", ".join(f"avg(({column} is null)::int)" for column in _COLUMNS)
    rows = (
        engine(threads)
        .sql(
            f"""select event_type, count(*), {shares} from {source(lake, names.RAW_EVENTS, days)}
            where known_date <= date '{day}' group by event_type order by event_type"""
        )
        .fetchall()
    )
    return {
        kind: (int(count), dict(zip(_COLUMNS, map(float, found), strict=True)))
        for kind, count, *found in rows
    }
