"""The training set: what every user wanted, day by day, split in time."""

from __future__ import annotations

from datetime import date

from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812 - everybody's name for it

from contracts.tables import FIT, JUDGE, RANK
from jobs.features.cutoffs import cutoffs


def training_set(user_days: DataFrame, day: date, judge_days: int) -> DataFrame:
    """One row per user and day with a step, and the split it belongs to: fit to D - 2h, rank to D - h, then judge."""
    _, end_of_rank, end_of_fit = cutoffs(day, judge_days)
    split = (
        F.when(F.col("event_date") <= F.lit(end_of_fit), FIT)
        .when(F.col("event_date") <= F.lit(end_of_rank), RANK)
        .otherwise(JUDGE)
    )
    return user_days.where(F.size("item_ids") > 0).select(
        "user_id", "event_date", "item_ids", split.alias("split")
    )
