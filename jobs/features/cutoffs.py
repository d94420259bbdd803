"""The days that a training set is cut at."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any, NamedTuple


class Cutoffs(NamedTuple):
    """Ends of days: D, D - g, D - h and D - h - g, with h = judge_days and g = rank_days."""

    day: date
    end_of_refit: date
    end_of_rank: date
    end_of_fit: date


def rank_days_of(judge_days: int) -> int:
    """Half of the most days that a challenger is judged on: few enough to be near, enough to choose epochs by."""
    return max(1, judge_days // 2)


def cutoffs_of(day: date, chosen: Mapping[str, Any]) -> Cutoffs:
    """The cut-offs of a run with these settings."""
    return cutoffs(day, chosen["judge_days"], chosen["rank_days"])


def cutoffs(day: date, judge_days: int, rank_days: int) -> Cutoffs:
    """What is judged is fitted to D - h - g, ranked by the next g days and judged by the last h.

    What is registered is fitted to D - g and ranked by the last g days. The ranker learns on few days, next to those
    that it is judged on: it learns how far to trust a transformer, and across a shift of taste, which that
    has not seen, it would learn not to trust it at all.
    """
    horizon, rank = timedelta(days=judge_days), timedelta(days=rank_days)
    return Cutoffs(day, day - rank, day - horizon, day - horizon - rank)
