"""Numbers that are worth following from day to day: how each is read off a day, written, and put into a CSV."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

from contracts.lists import PERSONAL
from jobs.report_pages.tables import csv_text
from jobs.report_pages.views import DayView, Record


@dataclass(frozen=True)
class Point:
    """A day's number, its interval and its n, where there are any."""

    day: date
    value: float
    low: float | None = None
    high: float | None = None
    n: int | None = None
    other: float | None = None  # of the second line


@dataclass(frozen=True)
class Trend:
    """One number that is worth following: how it is read off a day and how it is written."""

    key: str
    title: str
    read: Callable[[DayView], Point | None]
    form: Callable[[float], str]
    measure: str = ""  # whose threshold is drawn
    note: str = ""


def percent(value: float) -> str:
    return f"{value:.1%}".replace("-", "−")


def fixed(places: int) -> Callable[[float], str]:
    return lambda value: f"{value:,.{places}f}".replace(",", "\u202f").replace("-", "−")


def measure_of(verdict: Record | None, name: str) -> Record | None:
    """One measure of a verdict."""
    for kind in (verdict or {}).get("kinds", {}).values():
        for measure in kind["measures"]:
            if measure["name"] == name:
                return dict(measure)
    return None


def _kpi(name: str, scale: float = 1.0) -> Callable[[DayView], Point | None]:
    def read(day: DayView) -> Point | None:
        ratio = (day.kpis.get("all") or {}).get(name) or {}
        if ratio.get("value") is None:
            return None
        low, high = (None if ratio[end] is None else ratio[end] * scale for end in ("low", "high"))
        return Point(day.day, ratio["value"] * scale, low, high, ratio["n"])

    return read


def _effect(name: str) -> Callable[[DayView], Point | None]:
    def read(day: DayView) -> Point | None:
        measure = measure_of(day.verdict, name)
        if measure is None or measure["effect"] is None:
            return None
        return Point(day.day, measure["effect"], n=measure["num_current"])

    return read


def _lists(name: str, other: str = "") -> Callable[[DayView], Point | None]:
    def read(day: DayView) -> Point | None:
        found = day.lists
        if not found:
            return None
        return Point(day.day, found[name], n=found["num_users"], other=found[other] if other else None)

    return read


def _exposure(name: str) -> Callable[[DayView], Point | None]:
    def read(day: DayView) -> Point | None:
        found = (day.verdict or {}).get("exposure")
        return (
            Point(day.day, found[name], n=found["num_items"]) if found and found[name] is not None else None
        )

    return read


def _personal(day: DayView) -> Point | None:
    sources = (day.verdict or {}).get("sources")
    total = sum(sources.values()) if sources else 0
    return Point(day.day, sources[PERSONAL] / total, n=total) if sources and total else None


def _window(day: DayView) -> Point | None:
    count = (day.verdict or {}).get("num_current")
    return Point(day.day, count) if count else None


def _quarantined(day: DayView) -> Point | None:
    rows = day.accounts.get("events", {})
    read = rows.get("read")
    return Point(day.day, rows.get("quarantined", 0) / read, n=read) if read else None


def _seconds(day: DayView) -> Point | None:
    return Point(day.day, sum(day.seconds.values())) if day.seconds else None


TRENDS: dict[str, tuple[Trend, ...]] = {
    "What the shop gets out of it": (
        Trend("ctr", "Click-through rate", _kpi("ctr"), percent),
        Trend("conversion", "Conversion", _kpi("conversion"), percent),
        Trend("revenue_per_session", "Revenue per session", _kpi("revenue_per_session", 0.01), fixed(2)),
    ),
    "How accurate the lists are": (
        Trend(
            "ndcg_at_10",
            "NDCG@10 of the lists",
            _lists("ndcg_at_10", "popularity_ndcg_at_10"),
            fixed(4),
            note="dashed: popularity",
        ),
        Trend("hit_rate_at_10", "Hit rate@10 of the lists", _lists("hit_rate_at_10"), percent),
    ),
    "Drift": (
        Trend("tastes_lost", "Tastes lost", _effect("tastes_lost"), percent, "tastes_lost"),
        Trend(
            "events-category",
            "Categories moved, in bits",
            _effect("events.category"),
            fixed(3),
            "events.category",
        ),
        Trend("events-item", "Items moved, in bits", _effect("events.item"), fixed(3), "events.item"),
        Trend("clicks_lost", "Clicks lost", _effect("clicks_lost"), percent, "clicks_lost"),
    ),
    "What the loop does to itself": (
        Trend("coverage_lost", "Coverage of the catalogue", _exposure("coverage"), percent),
        Trend("gini_risen", "Gini of exposure", _exposure("gini"), fixed(3)),
        Trend("popularity_lift_risen", "Popularity lift", _exposure("popularity_lift"), fixed(2)),
        Trend("personal_lists", "Lists by the champion", _personal, percent),
    ),
    "Data and running": (
        Trend("window", "Events in the window", _window, fixed(0)),
        Trend("rows", "Quarantined events", _quarantined, percent),
        Trend("seconds", "Seconds of a day's run", _seconds, fixed(0)),
    ),
}


def csv_of(trend: Trend, days: Sequence[DayView]) -> str:
    """What a trend draws, for every day on record."""
    points = [
        point for day in sorted(days, key=lambda day: day.day) if (point := trend.read(day)) is not None
    ]
    header = ["day", "value", "low", "high", "n", *(["popularity"] if trend.note else [])]
    rows = [[point.day, point.value, point.low, point.high, point.n, point.other] for point in points]
    return csv_text(header, [row[: len(header)] for row in rows])
