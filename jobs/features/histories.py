"""What each user acted upon, in order."""

from __future__ import annotations

from datetime import date

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F  # noqa: N812 - everybody's name for it


def known_interactions(interactions: DataFrame, day: date, days: int) -> DataFrame:
    """What the run of ``day`` may see of its last ``days`` days: nothing that happened or became known later."""
    is_inside = F.col("event_date").between(F.date_sub(F.lit(day), days - 1), F.lit(day))
    return interactions.where(is_inside & (F.col("known_date") <= F.lit(day)))


def ordered_steps(interactions: DataFrame) -> DataFrame:
    """One row per user and step: the items that the user wanted, numbered from 1 in the order of time.

    A view, a cart and a purchase of one item in a row on one day are one step; the last of them counts.
    Events at one instant are put in the order of their ids.
    """
    by_time = Window.partitionBy("user_id").orderBy("occurred_at", "event_id")
    up_to_here = by_time.rowsBetween(Window.unboundedPreceding, Window.currentRow)
    is_repeated = (F.lead("item_id").over(by_time) == F.col("item_id")) & (
        F.lead("event_date").over(by_time) == F.col("event_date")
    )
    return (
        interactions.where(F.col("weight") > 0)
        .withColumn("is_repeated", F.coalesce(is_repeated, F.lit(False)))
        .where(~F.col("is_repeated"))
        .select(
            "user_id",
            F.row_number().over(up_to_here).alias("sequence_number"),
            "item_id",
            "event_date",
        )
    )


def ordered_histories(interactions: DataFrame, steps: DataFrame, length: int) -> DataFrame:
    """One row per user with a step: the last ``length`` items, oldest first, and every item acted upon.

    What was returned or rated badly is no step, but it has been seen.
    """
    step = F.struct("sequence_number", "item_id")
    latest = steps.groupBy("user_id").agg(F.sort_array(F.collect_list(step)).alias("steps"))
    seen = interactions.groupBy("user_id").agg(F.sort_array(F.collect_set("item_id")).alias("seen_item_ids"))
    return latest.join(seen, on="user_id", how="inner").select(
        "user_id",
        F.slice("steps", F.greatest(F.size("steps") - length + 1, F.lit(1)), length)["item_id"].alias(
            "item_ids"
        ),
        "seen_item_ids",
    )
