"""Has a column of the feed gone empty? Its missing share in a person's events of each type, before and lately.

Each person counts once: one order of three hundred lines without a customer is one order, and no broken tracker.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from math import sqrt
from typing import TYPE_CHECKING

from contracts import names
from jobs.io.lake import Lake
from jobs.monitoring.engine import engine, source
from jobs.monitoring.thresholds import Evidence, Validity
from jobs.monitoring.windows import Span
from jobs.people import People

if TYPE_CHECKING:
    import duckdb

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
#: Who acted: a stranger is one in each session.
_PERSON = "coalesce(user_id, session_id, event_id)"
#: Days of the reference that are read: what a tracker sends does not change with the week.
_REFERENCE_DAYS = 7

#: By event type: the number of people, and of each column the share of a person's rows in which it is missing, on average.
Missing = dict[str, tuple[int, dict[str, float]]]


@dataclass(frozen=True)
class Completeness:
    """Missing shares in the reference's last days and in the recent ones."""

    reference: Missing
    recent: Missing

    def reasons(self, thresholds: Validity, evidence: Evidence) -> list[str]:
        """What is wrong; nothing if no column lost more than it may beyond chance."""
        return [
            f"{column} is missing in {now:.0%} of a person's {kind} events on average ({before:.0%} in the reference)"
            for kind, column, before, now, sd in self._pairs(evidence.min_people_of_type)
            if now - before - evidence.noise_sigmas * sd > thresholds.max_null_rise
        ]

    def _pairs(self, min_people: int) -> Iterator[tuple[str, str, float, float, float]]:
        """Type, column, both shares, and the standard deviation of their difference if nothing had changed; a person's
        rows resemble each other and count as one."""
        for kind in sorted(set(self.reference) & set(self.recent)):
            (num_before, before), (num_now, now) = self.reference[kind], self.recent[kind]
            if min(num_before, num_now) < min_people:
                continue
            for column in _COLUMNS:
                pooled = (num_before * before[column] + num_now * now[column]) / (num_before + num_now)
                sd = sqrt(pooled * (1 - pooled) * (1 / num_before + 1 / num_now))
                yield kind, column, before[column], now[column], sd


def read_completeness(
    lake: Lake, reference: Span, recent: Span, day: date, people: People | None = None, *, threads: int
) -> Completeness:
    """Read both windows as the run of ``day`` may see them, without what ``people`` have not consented to."""
    days = lake.days(names.RAW_EVENTS, first=reference.first, until=reference.last)[-_REFERENCE_DAYS:]
    recent_days = lake.days(names.RAW_EVENTS, first=recent.first, until=recent.last)
    return Completeness(
        _missing(lake, days, day, people, threads), _missing(lake, recent_days, day, people, threads)
    )


def _missing(lake: Lake, days: list[date], day: date, people: People | None, threads: int) -> Missing:
    if not days:
        return {}
    of_person = ", ".join(f"avg(({column} is null)::int) as {column}" for column in _COLUMNS)
    on_average = ", ".join(f"avg({column})" for column in _COLUMNS)
    connection = engine(threads)
    may_be_used = _may_be_used(people, connection)
    rows = connection.sql(
        f"""with people as (
            select event_type, {of_person} from {source(lake, names.RAW_EVENTS, days)}
            where known_date <= date '{day}' and {may_be_used} group by event_type, {_PERSON}
        )
        select event_type, count(*), {on_average} from people group by event_type order by event_type"""
    ).fetchall()
    return {
        kind: (int(count), dict(zip(_COLUMNS, map(float, found), strict=True)))
        for kind, count, *found in rows
    }


def _may_be_used(people: People | None, connection: duckdb.DuckDBPyConnection) -> str:
    """The condition that a raw event may be used by all that its person has said."""
    import pyarrow as pa

    found = people.exceptions() if people else []
    if people is None or not (found or not people.missing):
        return "true"
    speakers, begins, ends = zip(*found, strict=True) if found else ((), (), ())
    instants = pa.timestamp("us")
    stretches = pa.table(
        {
            "speaker_id": pa.array(speakers, pa.string()),
            "begins_at": pa.array(begins, instants),
            "ends_at": pa.array(ends, instants),
        }
    )
    connection.register("stretches", stretches)  # a table: there may be one for everybody
    excepted = """exists (
        select 1 from stretches where speaker_id = user_id and occurred_at >= begins_at and occurred_at < ends_at
    )"""
    return f"(user_id is null or {'not ' if people.missing else ''}{excepted})"
