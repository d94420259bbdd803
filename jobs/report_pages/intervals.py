"""Differences of a retraining with their intervals, ready to be drawn."""

from __future__ import annotations

from dataclasses import dataclass

from jobs.report_pages.views import Record

WIDTH = 320.0
_MARGIN = 6.0


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
