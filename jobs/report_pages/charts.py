"""Small charts as numbers: where lines, dots and bars lie. The templates draw them as inline SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jobs.report_pages.views import DayView, Record

WIDTH, HEIGHT = 320.0, 88.0
_MARGIN = 6.0
_MOST_DAYS = 60


@dataclass(frozen=True)
class Line:
    """One line over days: points in the chart's own coordinates."""

    points: str  # for <polyline points>
    last: tuple[float, float]
    is_second: bool = False  # drawn dashed


@dataclass(frozen=True)
class Chart:
    """A line or two over days, with the alarm's threshold if there is one."""

    title: str
    summary: str  # read out instead of the picture
    latest: str
    lines: list[Line]
    threshold_y: float | None
    note: str  # what the second line is
    first_day: str
    last_day: str


def charts_of(days: Sequence[DayView]) -> list[Chart]:
    """The charts of the index, oldest day on the left; none where fewer than three days are known."""
    ordered = sorted((day for day in days if day.verdict), key=lambda day: day.day)[-_MOST_DAYS:]
    return [
        chart
        for chart in (
            _effect_chart(ordered, "tastes_lost", "Tastes lost", is_percent=True),
            _effect_chart(ordered, "events.item", "Items moved, in bits"),
            _lists_chart(ordered),
            _volume_chart(ordered),
        )
        if chart is not None
    ]


def measure_of(verdict: Record | None, name: str) -> Record | None:
    """One measure of a verdict."""
    for kind in (verdict or {}).get("kinds", {}).values():
        for measure in kind["measures"]:
            if measure["name"] == name:
                return dict(measure)
    return None


def _effect_chart(
    days: Sequence[DayView], name: str, title: str, *, is_percent: bool = False
) -> Chart | None:
    found = [(day, measure_of(day.verdict, name)) for day in days]
    values = [(day, measure["effect"]) for day, measure in found if measure and measure["effect"] is not None]
    threshold = next(
        (measure["threshold"] for _, measure in reversed(found) if measure and measure["threshold"]), None
    )
    return _chart(title, [values], threshold, "{:.0%}" if is_percent else "{:.3f}")


def _lists_chart(days: Sequence[DayView]) -> Chart | None:
    outcomes = [(day, (day.verdict or {}).get("lists_of_the_day_before")) for day in days]
    ours, theirs = (
        [(day, outcome[name]) for day, outcome in outcomes if outcome]
        for name in ("ndcg_at_10", "popularity_ndcg_at_10")
    )
    return _chart("NDCG@10 of the lists", [ours, theirs], None, "{:.4f}", "dashed: popularity")


def _volume_chart(days: Sequence[DayView]) -> Chart | None:
    values = [
        (day, day.verdict["num_current"]) for day in days if day.verdict and day.verdict.get("num_current")
    ]
    return _chart("Events in the window", [values], None, "{:,.0f}")


def _chart(
    title: str,
    series: Sequence[Sequence[tuple[DayView, Any]]],
    threshold: float | None,
    shown: str,
    note: str = "",
) -> Chart | None:
    if len(series[0]) < 3:
        return None
    values = [float(value) for line in series for _, value in line] + ([threshold] if threshold else [])
    low, high = min(0.0, *values), max(values) * 1.05 or 1.0

    def height(value: float) -> float:
        return round(HEIGHT - _MARGIN - (value - low) / (high - low) * (HEIGHT - 2 * _MARGIN), 1)

    lines = []
    for index, line in enumerate(series):
        step = (WIDTH - 2 * _MARGIN) / (len(line) - 1)
        points = [
            (round(_MARGIN + step * place, 1), height(float(value))) for place, (_, value) in enumerate(line)
        ]
        lines.append(Line(" ".join(f"{x},{y}" for x, y in points), points[-1], is_second=index > 0))
    first, last = series[0][0], series[0][-1]
    latest = _shown(shown, last[1])
    alarm = f", alarm from {_shown(shown, threshold)}" if threshold else ""
    return Chart(
        title=title,
        summary=f"{title}: {_shown(shown, first[1])} on {first[0].day}, {latest} on {last[0].day}{alarm}",
        latest=latest,
        lines=lines,
        threshold_y=height(threshold) if threshold else None,
        note=f"alarm from {_shown(shown, threshold)}" if threshold else note,
        first_day=f"{first[0].day:%-d %b}",
        last_day=f"{last[0].day:%-d %b}",
    )


def _shown(form: str, value: Any) -> str:
    return form.format(float(value)).replace(",", "\u202f").replace("-", "−")


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


@dataclass(frozen=True)
class Interval:
    """A difference with its interval, on an axis shared by all of a page, zero included."""

    name: str
    mean: float
    low: float
    high: float
    x_low: float
    x_mean: float
    x_high: float
    x_zero: float

    @property
    def is_above(self) -> bool:
        return self.low > 0

    @property
    def is_below(self) -> bool:
        return self.high < 0


def intervals_of(differences: dict[str, Record]) -> list[Interval]:
    """Differences of a retraining's verdict, challenger minus the other, ready to be drawn."""
    if not differences:
        return []
    ends = [0.0, *(float(found[end]) for found in differences.values() for end in ("low", "high"))]
    low, span = min(ends), (max(ends) - min(ends)) or 1.0

    def place(value: float) -> float:
        return round(_MARGIN + (value - low) / span * (WIDTH - 2 * _MARGIN), 1)

    return [
        Interval(
            name=name,
            mean=float(found["mean"]),
            low=float(found["low"]),
            high=float(found["high"]),
            x_low=place(float(found["low"])),
            x_mean=place(float(found["mean"])),
            x_high=place(float(found["high"])),
            x_zero=place(0.0),
        )
        for name, found in sorted(differences.items(), key=lambda pair: (pair[0] != "champion", pair[0]))
    ]
