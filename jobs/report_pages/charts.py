"""Trends as numbers: where lines, bands and marks lie. The templates draw them as inline SVG."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

from jobs.report_pages.trends import TRENDS, Point, Trend, measure_of
from jobs.report_pages.views import DayView, Record

WIDTH, HEIGHT = 400.0, 128.0
_MARGIN, _TOP, _RIGHT = 8.0, 24.0, 56.0  # marks stand above the top, the axis' ends to the right
_MARK_WIDTH = 12.0
_MOST_DAYS = 120

#: What a mark says, in the order of the legend.
MARKS = {
    "alarm": "alarm",
    "promoted": "promotion",
    "refused": "refusal",
    "demoted": "demotion",
    "rollback": "rollback",
    "incident": "incident, by hand",
}


@dataclass(frozen=True)
class Line:
    """One line over days: points in the chart's own coordinates."""

    points: str  # for <polyline points>
    last: tuple[float, float]
    is_second: bool = False  # drawn dashed


@dataclass(frozen=True)
class Mark:
    """Something that happened on a day of the chart."""

    kind: str
    x: float
    day_x: float  # several of one day stand side by side
    label: str


@dataclass(frozen=True)
class Chart:
    """A number over days, with its interval, the alarm's threshold, and what happened."""

    key: str  # its definition, and the name of its CSV
    title: str
    summary: str  # read out instead of the picture
    latest: str
    lines: list[Line]
    band: str  # the interval, for <polygon points>
    threshold_y: float | None
    note: str  # what the second line is
    highest: str
    lowest: str
    first_day: str
    last_day: str
    marks: list[Mark]
    csv: str


def charts_of(days: Sequence[DayView]) -> dict[str, list[Chart]]:
    """The trends of the latest days, by heading; a number that fewer than three days know is left out."""
    ordered = sorted(days, key=lambda day: day.day)[-_MOST_DAYS:]
    found = {
        heading: [chart for trend in trends if (chart := _chart(trend, ordered)) is not None]
        for heading, trends in TRENDS.items()
    }
    return {heading: charts for heading, charts in found.items() if charts}


def _chart(trend: Trend, days: Sequence[DayView]) -> Chart | None:
    points = [point for day in days if (point := trend.read(day)) is not None]
    if len(points) < 3:
        return None
    threshold = next(
        (
            measure["threshold"]
            for day in reversed(days)
            if trend.measure and (measure := measure_of(day.verdict, trend.measure)) and measure["threshold"]
        ),
        None,
    )
    alarm = f"alarm from {trend.form(threshold)}" if threshold else ""
    return chart_of(
        points,
        key=trend.key,
        title=trend.title,
        form=trend.form,
        threshold=threshold,
        alarm=alarm,
        note=alarm or trend.note,
        days=days,
    )


def chart_of(
    points: Sequence[Point],
    *,
    key: str,
    title: str,
    form: Callable[[float], str],
    threshold: float | None,
    alarm: str,
    note: str,
    days: Sequence[DayView] = (),
) -> Chart:
    """Points in the order of time as a picture, with a threshold, and with what happened on some days.

    Args:
        alarm: what the threshold is, for whom it is read out to; empty without one.
        note: what the second line is, or the threshold.
    """
    drawn = [
        value
        for point in points
        for value in (point.value, point.low, point.high, point.other)
        if value is not None
    ]
    axes = _Axes(points[0].day, points[-1].day, min(0.0, *drawn), max(*drawn, threshold or 0.0) * 1.04 or 1.0)
    lines = [_line([axes.at(point.day, point.value) for point in points])]
    others = [axes.at(point.day, point.other) for point in points if point.other is not None]
    if others:
        lines.append(_line(others, is_second=True))
    marks = [mark for day in days for mark in _marks(day, axes) if axes.first <= day.day <= axes.last]
    first, last = points[0], points[-1]
    told = f"{title}: {form(first.value)} on {first.day}, {form(last.value)} on {last.day}"
    happened = "; ".join(mark.label for mark in marks)
    return Chart(
        key=key,
        title=title,
        summary=told + (f", {alarm}" if alarm else "") + (f". {happened}" if happened else ""),
        latest=form(last.value),
        lines=lines,
        band=_band(points, axes),
        threshold_y=axes.y(threshold) if threshold else None,
        note=note,
        highest=form(axes.high),
        lowest=form(axes.low),
        first_day=f"{first.day:%-d %b %Y}",
        last_day=f"{last.day:%-d %b %Y}",
        marks=marks,
        csv=f"data/{key}.csv",
    )


@dataclass(frozen=True)
class _Axes:
    """From a day and a number to a place in the picture."""

    first: date
    last: date
    low: float
    high: float

    def x(self, day: date) -> float:
        share = (day - self.first).days / max((self.last - self.first).days, 1)
        return round(_MARGIN + share * (WIDTH - _MARGIN - _RIGHT), 1)

    def y(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return round(HEIGHT - _MARGIN - share * (HEIGHT - _MARGIN - _TOP), 1)

    def at(self, day: date, value: float) -> tuple[float, float]:
        return self.x(day), self.y(value)


def _line(points: Sequence[tuple[float, float]], *, is_second: bool = False) -> Line:
    return Line(_text(points), points[-1], is_second)


def _band(points: Sequence[Point], axes: _Axes) -> str:
    known = [point for point in points if point.low is not None and point.high is not None]
    upper = [axes.at(point.day, point.high or 0.0) for point in known]
    lower = [axes.at(point.day, point.low or 0.0) for point in reversed(known)]
    return _text([*upper, *lower])


def _text(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x},{y}" for x, y in points)


def _marks(day: DayView, axes: _Axes) -> list[Mark]:
    """What happened on a day; an annotation of several days is marked on its first."""
    kinds = ["alarm"] if day.has_rung else []
    kinds += [day.retrained] if day.retrained in MARKS else []
    kinds += ["demoted"] if day.demotion else []
    kinds += ["rollback"] if day.rollbacks else []
    labels = [(kind, MARKS[kind]) for kind in kinds]
    labels += [
        ("incident", f"incident: {entry.note}")
        for entry in day.annotations
        if entry.mark == "incident" and entry.begins == day.day
    ]
    left = axes.x(day.day) - _MARK_WIDTH / 2 * (len(labels) - 1)  # side by side, around the day
    return [
        Mark(kind, round(left + _MARK_WIDTH * place, 1), axes.x(day.day), f"{label} on {day.day}")
        for place, (kind, label) in enumerate(labels)
    ]


@dataclass(frozen=True)
class Bar:
    """How far a measure has gone towards its alarm, 1 being the alarm; drawn up to twice that."""

    width: float  # 0 … 100, the alarm standing at 50
    is_over: bool


def bar_of(measure: Record) -> Bar | None:
    if measure["effect"] is None or not measure["threshold"]:
        return None
    share = max(measure["effect"], 0.0) / measure["threshold"]
    return Bar(round(min(share, 2.0) * 50, 1), share >= 1)
