"""The days that a training set is cut at."""

from __future__ import annotations

from datetime import date, timedelta


def cutoffs(day: date, judge_days: int) -> tuple[date, date, date]:
    """The ends of the three splits, newest first: D, D - h and D - 2h."""
    horizon = timedelta(days=judge_days)
    return day, day - horizon, day - 2 * horizon
