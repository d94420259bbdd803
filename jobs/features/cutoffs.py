"""The days that a training set is cut at."""

from __future__ import annotations

from datetime import date, timedelta
from typing import NamedTuple


class Cutoffs(NamedTuple):
    """Ends of days, newest first. With h = judge_days, g is half of it: D, D - g, D - h and D - h - g."""

    day: date
    end_of_refit: date
    end_of_rank: date
    end_of_fit: date


def cutoffs(day: date, judge_days: int) -> Cutoffs:
    """What is judged is fitted to D - h - g, ranked by the next g days and judged by the last h.

    What is registered is fitted to D - g and ranked by the last g days. The ranker learns on few days, next to those
    that it is judged on: it learns how far to trust a transformer, and across a shift of taste, which that
    has not seen, it would learn not to trust it at all.
    """
    horizon, rank = timedelta(days=judge_days), timedelta(days=max(1, judge_days // 2))
    return Cutoffs(day, day - rank, day - horizon, day - horizon - rank)
