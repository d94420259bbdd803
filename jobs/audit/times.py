"""What the clock of a feed is worth: its period, days without events, and what a time of day means."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from contracts.feed import FeedDescription, days_between
from jobs.audit.sql import row, rows, share
from jobs.landing.checks import literal

if TYPE_CHECKING:
    import duckdb

Record = dict[str, Any]

_MOST_GAPS = 5
#: Days with as many acts show whether their times only count them.
_TELLING_ACTS = 10
_MOSTLY = 0.95


def clock_of(engine: duckdb.DuckDBPyConnection, description: FeedDescription) -> Record:
    """Days are UTC, as in the landing; times of day are the shop's own."""
    by_day = rows(engine, "select occurred_at::date as day, count(*) from events group by day order by day")
    if not by_day:
        return {
            "first": None,
            "last": None,
            "days": 0,
            "by_day": [],
            "empty_days": 0,
            "gaps": [],
            "closed_weekdays": [],
            "has_calendar": description.calendar is not None,
            "missing_expected_days": 0,
            "time_of_day": None,
            "resolution": None,
        }
    first, last = by_day[0][0], by_day[-1][0]
    busy = {day for day, _ in by_day}
    empty = [day for day in days_between(first, last) if day not in busy]
    closed = _weekdays_never_seen(busy, first, last)
    kind, resolution = _time_of_day(engine, description)
    return {
        "first": first.isoformat(),
        "last": last.isoformat(),
        "days": len(by_day),
        "by_day": [{"day": day.isoformat(), "count": count} for day, count in by_day],
        "empty_days": len(empty),
        "gaps": [
            {"first": begin.isoformat(), "last": end.isoformat(), "days": (end - begin).days + 1}
            for begin, end in sorted(_runs(empty), key=lambda run: (run[0] - run[1], run[0]))[:_MOST_GAPS]
        ],
        "closed_weekdays": [f"{day:%A}" for day in closed],
        "has_calendar": description.calendar is not None,
        "missing_expected_days": sum(description.expects_delivery(day) for day in empty),
        "time_of_day": kind,
        "resolution": resolution,
    }


def _weekdays_never_seen(busy: set[date], first: date, last: date) -> list[date]:
    """One day of each weekday that the period holds three times at least, and never with an event."""
    seen = {day.weekday() for day in busy}
    never = [
        day for day in days_between(first, min(last, first + timedelta(days=6))) if day.weekday() not in seen
    ]
    return sorted((day for day in never if (last - day).days >= 14), key=lambda day: day.weekday())


def _runs(days: list[date]) -> list[tuple[date, date]]:
    """First and last day of each unbroken run."""
    found: list[tuple[date, date]] = []
    for day in days:
        if found and day - found[-1][1] == timedelta(days=1):
            found[-1] = (found[-1][0], day)
        else:
            found.append((day, day))
    return found


def _time_of_day(engine: duckdb.DuckDBPyConnection, description: FeedDescription) -> tuple[str, str | None]:
    """What a time of day is (``real``, ``date`` only, a ``count`` of the day's events, ``order``), and how fine."""
    if description.clock == "order":
        return "order", None
    engine.execute(
        """
        create temp view local_times as
        select local::date as day, epoch_us(local) - epoch_us(date_trunc('day', local)) as moment
        from (select timezone(?, occurred_at at time zone 'UTC') as local from events)
        """.replace("?", literal(description.time_zone))
    )
    found = row(
        engine,
        """
        select count(distinct moment) as moments, count(*) as n,
            count(*) filter (where moment % 1000000 != 0) as finer_than_seconds,
            count(*) filter (where moment % 60000000 != 0) as finer_than_minutes,
            count(*) filter (where moment % 3600000000 != 0) as finer_than_hours
        from local_times
        """,
    )
    if found["moments"] == 1:
        return "date", None
    counts = row(
        engine,
        f"""
        select count(*) as days, count(*) filter (where moments = n and last - first = (n - 1) * 1000000) as counting
        from (
            select count(*) as n, count(distinct moment) as moments, min(moment) as first, max(moment) as last
            from local_times group by day having count(*) >= {_TELLING_ACTS}
        )
        """,
    )
    if (share(counts["counting"], counts["days"]) or 0) >= _MOSTLY:
        return "count", None
    fineness = ("finer_than_seconds", "finer_than_minutes", "finer_than_hours")
    names = ("microseconds", "seconds", "minutes")
    finest = next((name for name, key in zip(names, fineness, strict=True) if found[key]), "hours")
    return "real", finest
