"""What each user acted upon, in order, over all days that are looked back on."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812 - everybody's name for it


def ordered_histories(user_days: DataFrame, length: int) -> DataFrame:
    """One row per user with a step: the last ``length`` items, oldest first, and every item acted upon.

    Args:
        user_days: rows of ``features/user_days``, in the order of time for each user.
    """
    day = F.struct("event_date", "item_ids", "other_item_ids")
    days = user_days.groupBy("user_id").agg(F.sort_array(F.collect_list(day)).alias("days"))
    items = F.flatten("days.item_ids")
    return (
        days.select("user_id", "days", items.alias("items"))
        .where(F.size("items") > 0)
        .select(
            "user_id",
            F.slice("items", F.greatest(F.size("items") - length + 1, F.lit(1)), length).alias("item_ids"),
            F.sort_array(F.array_distinct(F.concat("items", F.flatten("days.other_item_ids")))).alias(
                "seen_item_ids"
            ),
        )
    )
