"""The training set: what every user wanted, day by day, split in time."""

from __future__ import annotations

from datetime import date

from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812 - everybody's name for it

from contracts.tables import FIT, JUDGE, RANK
from jobs.features.cutoffs import cutoffs


def training_set(user_days: DataFrame, day: date, judge_days: int) -> DataFrame:
    """One row per user and day with a step, and the split that it belongs to."""
    ends = cutoffs(day, judge_days)
    split = (
        F.when(F.col("event_date") <= F.lit(ends.end_of_fit), FIT)
        .when(F.col("event_date") <= F.lit(ends.end_of_rank), RANK)
        .otherwise(JUDGE)
    )
    return user_days.where(F.size("item_ids") > 0).select(
        "user_id", "event_date", "item_ids", split.alias("split")
    )
