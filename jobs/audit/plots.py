"""The audit's plots as numbers: bars and lines in the coordinates of the report pages' pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from contracts.feed import days_between
from jobs.report_pages.charts import HEIGHT, WIDTH
from jobs.report_pages.figures import count

Record = dict[str, Any]

_TOP, _BOTTOM, _RIGHT = 24.0, 120.0, 350.0  # as the pages' other pictures; the largest is written right of it
_MOST_BARS = 100


@dataclass(frozen=True)
class Bar:
    """One bar, and what it says to whoever points at it."""

    x: float
    y: float
    width: float
    height: float
    label: str


@dataclass(frozen=True)
class Plot:
    """A picture: bars, or one line; its axis goes from nothing to ``highest``."""

    title: str
    value: str  # beside the title
    summary: str  # read out instead of the picture
    bars: tuple[Bar, ...]
    line: str  # points for <polyline>
    diagonal: bool  # what even shares would be
    highest: str
    first: str  # below the left end
    note: str
    last: str


def plots_of(found: Record) -> list[Plot]:
    """Events over time, histories, and how unevenly items are taken; none of what the feed does not have."""
    people, concentration = found["people"], found["concentration"]
    plots = []
    if found["clock"]["by_day"] and found["clock_kind"] == "real":
        plots.append(_over_time(found["clock"]["by_day"]))
    if people["lengths"]:
        plots.append(_doublings("Acts a person", "people", people["lengths"]))
        plots.append(_doublings("Steps in time a person", "people", people["steps"]))
    if people["session_lengths"]:
        plots.append(_doublings("Acts a visit or order", "visits", people["session_lengths"]))
    if concentration["item_acts"]:
        plots.append(_doublings("Acts an item", "items", concentration["item_acts"]))
    if concentration["items"]:
        plots.append(_curve(concentration["items"]))
    if len(found["feedback"]["scale"]) > 1:
        plots.append(_scale(found["feedback"]["scale"]))
    return plots


def _over_time(by_day: Sequence[Record]) -> Plot:
    """Events a day; of a long period, a week or more a bar."""
    counts = {date.fromisoformat(each["day"]): each["count"] for each in by_day}
    first, last = min(counts), max(counts)
    days = days_between(first, last)
    step = -(-len(days) // _MOST_BARS)
    heights = [sum(counts.get(day, 0) for day in days[at : at + step]) for at in range(0, len(days), step)]
    labels = [
        f"{first + timedelta(days=at * step)}: {count(height)} events"
        + (f" in {step} days" if step > 1 else "")
        for at, height in enumerate(heights)
    ]
    unit = "a day" if step == 1 else f"in {step} days"
    return Plot(
        title=f"Events {unit}",
        value=f"{count(sum(heights))} in all",
        summary=f"Events {unit} from {first} to {last}: {count(min(heights))} at least, {count(max(heights))} at most",
        bars=_bars(heights, labels, gap=0.0 if len(heights) > 60 else 0.15),
        line="",
        diagonal=False,
        highest=count(max(heights)),
        first=f"{first:%-d %b %Y}",
        note="",
        last=f"{last:%-d %b %Y}",
    )


def _doublings(title: str, who: str, found: Record) -> Plot:
    doublings = {each["from"]: each for each in found["doublings"]}
    powers = range(max(found["largest"] - 1, 0).bit_length() + 1)
    filled = [
        doublings.get(2 ** (power - 1) + 1 if power else 1, {"from": 2 ** (power - 1) + 1 if power else 1, "to": 2**power, "count": 0})
        for power in powers
    ]  # fmt: skip
    heights = [each["count"] for each in filled]
    labels = [f"{_range(each)}: {count(each['count'])} {who}" for each in filled]
    return Plot(
        title=title,
        value=f"median {count(found['median'])}",
        summary=f"{title}, doubling from bar to bar. {'; '.join(labels)}",
        bars=_bars(heights, labels, gap=0.15),
        line="",
        diagonal=False,
        highest=f"{count(max(heights))}",
        first="1",
        note="each bar doubles",
        last=_range(filled[-1]),
    )


def _range(doubling: Record) -> str:
    return (
        count(doubling["to"])
        if doubling["from"] == doubling["to"]
        else f"{count(doubling['from'])}–{count(doubling['to'])}"
    )


def _curve(found: Record) -> Plot:
    points = [(0.0, 0.0), *((each["share_of_busiest"], each["share_of_acts"]) for each in found["curve"])]
    at = [(round(x * _RIGHT, 1), round(_BOTTOM - y * (_BOTTOM - _TOP), 1)) for x, y in points]
    tenth = found["curve"][1]["share_of_acts"]
    return Plot(
        title="What the busiest items have",
        value=f"Gini {found['gini']:.2f}",
        summary=f"Share of acts by share of items, the busiest first: a tenth of the items has {tenth:.0%} of the acts",
        bars=(),
        line=" ".join(f"{x},{y}" for x, y in at),
        diagonal=True,
        highest="100 %",
        first="busiest items",
        note="dashed: if all were even",
        last="all items",
    )


def _scale(scale: Sequence[Record]) -> Plot:
    heights = [each["count"] for each in scale]
    labels = [f"{each['value']:g}: {count(each['count'])} ratings" for each in scale]
    return Plot(
        title="Ratings",
        value=f"{count(sum(heights))} with a value",
        summary=f"Ratings by value. {'; '.join(labels)}",
        bars=_bars(heights, labels, gap=0.15),
        line="",
        diagonal=False,
        highest=count(max(heights)),
        first=f"{scale[0]['value']:g}",
        note="",
        last=f"{scale[-1]['value']:g}",
    )


def _bars(heights: Sequence[int], labels: Sequence[str], *, gap: float) -> tuple[Bar, ...]:
    wide, tallest = _RIGHT / len(heights), max(*heights, 1)
    bars = []
    for place, (height, label) in enumerate(zip(heights, labels, strict=True)):
        tall = round(height / tallest * (_BOTTOM - _TOP), 1)
        tall = max(tall, 1.0) if height else 0.0  # what is there is seen
        bars.append(
            Bar(
                round(place * wide + gap * wide / 2, 2),
                _BOTTOM - tall,
                round(wide * (1 - gap), 2),
                tall,
                label,
            )
        )
    return tuple(bars)


#: The picture's size, for the template.
VIEW_BOX = f"0 0 {WIDTH:g} {HEIGHT:g}"
