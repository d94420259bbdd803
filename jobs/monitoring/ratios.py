"""A ratio of two sums over people, with a 95 % interval that knows that one person's rows resemble each other."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

_Z = 1.959963984540054  # 95 %, two-sided


@dataclass(frozen=True)
class Sums:
    """What an interval needs of people whose row is (x, y): sums and sums of products, whole numbers."""

    people: int = 0
    x: int = 0
    y: int = 0
    xx: int = 0
    xy: int = 0
    yy: int = 0

    @property
    def variance(self) -> float:
        """Of y / x, by the delta method with people as clusters; 0 where nothing varies or nobody is there."""
        if self.people < 2 or not self.x:
            return 0.0
        ratio = self.y / self.x
        squares = self.yy - 2 * ratio * self.xy + ratio**2 * self.xx
        return max(squares, 0.0) * self.people / (self.people - 1) / self.x**2


@dataclass(frozen=True)
class Ratio:
    """A numerator over n, and the interval; no value where n is 0."""

    numerator: int
    n: int
    value: float | None
    low: float | None
    high: float | None

    def as_record(self) -> dict[str, Any]:
        figures = {"value": self.value, "low": self.low, "high": self.high}
        return {"numerator": self.numerator, "n": self.n} | {
            name: None if figure is None else round(figure, 6) for name, figure in figures.items()
        }


def share(sums: Sums) -> Ratio:
    """A share: Wilson's interval, at the n that independent rows as uncertain as these ones would have."""
    if not sums.x:
        return Ratio(sums.y, sums.x, None, None, None)
    value = sums.y / sums.x
    alone = value * (1 - value) / sums.x
    effective = sums.x * min(alone / sums.variance, 1.0) if sums.variance > 0 else float(sums.x)
    low, high = wilson(value, effective)
    return Ratio(sums.y, sums.x, value, low, high)


def mean(sums: Sums) -> Ratio:
    """A mean of anything: a normal interval; none from fewer than two people."""
    if not sums.x:
        return Ratio(sums.y, sums.x, None, None, None)
    value = sums.y / sums.x
    if sums.people < 2:
        return Ratio(sums.y, sums.x, value, None, None)
    half = _Z * math.sqrt(sums.variance)
    return Ratio(sums.y, sums.x, value, value - half, value + half)


def wilson(value: float, n: float) -> tuple[float, float]:
    """Wilson's interval of a share seen in n independent tries."""
    scale = 1 + _Z**2 / n
    middle = (value + _Z**2 / (2 * n)) / scale
    half = _Z / scale * math.sqrt(value * (1 - value) / n + _Z**2 / (4 * n**2))
    # At 0 and 1 the bound is exact; rounding would put it a hair inside.
    return (0.0 if value == 0 else middle - half), (1.0 if value == 1 else middle + half)


def difference(before: Sums, now: Sums) -> tuple[float, float, float] | None:
    """How much larger y / x is now, with its interval; None where either has no x.

    The windows count as independent: the same people in both make the interval too wide, never too narrow.
    """
    if not before.x or not now.x:
        return None
    change = now.y / now.x - before.y / before.x
    half = _Z * math.sqrt(before.variance + now.variance)
    return change, change - half, change + half
