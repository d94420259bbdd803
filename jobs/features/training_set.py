"""The training set: every user's steps, split in time."""

from __future__ import annotations

from datetime import date, timedelta

from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812 - everybody's name for it

FIT = "fit"
RANK = "rank"
JUDGE = "judge"


def cutoffs(day: date, judge_days: int) -> tuple[date, date, date]:
    """The ends of the three splits, newest first: D, D - h and D - 2h."""
    horizon = timedelta(days=judge_days)
    return day, day - horizon, day - 2 * horizon


def training_set(steps: DataFrame, day: date, judge_days: int) -> DataFrame:
    """One row per user and step with the split it belongs to: fit up to D - 2h, rank until D - h, judge after."""
    _, end_of_rank, end_of_fit = cutoffs(day, judge_days)
    split = (
        F.when(F.col("event_date") <= F.lit(end_of_fit), FIT)
        .when(F.col("event_date") <= F.lit(end_of_rank), RANK)
        .otherwise(JUDGE)
    )
    return steps.select("user_id", "sequence_number", "item_id", "event_date", split.alias("split"))
