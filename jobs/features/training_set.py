"""The training set: every user's steps, split in time."""

from __future__ import annotations

from datetime import date

from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812 - everybody's name for it

from contracts.tables import FIT, JUDGE, RANK
from jobs.features.cutoffs import cutoffs


def training_set(steps: DataFrame, day: date, judge_days: int) -> DataFrame:
    """One row per user and step with the split it belongs to: fit up to D - 2h, rank until D - h, judge after."""
    _, end_of_rank, end_of_fit = cutoffs(day, judge_days)
    split = (
        F.when(F.col("event_date") <= F.lit(end_of_fit), FIT)
        .when(F.col("event_date") <= F.lit(end_of_rank), RANK)
        .otherwise(JUDGE)
    )
    return steps.select("user_id", "sequence_number", "item_id", "event_date", split.alias("split"))
