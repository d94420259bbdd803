"""What each user acted upon within one day: the part of a history that one event day settles."""

from __future__ import annotations

from datetime import date

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812 - everybody's name for it

#: An item counts for at most this much on one day of one user: as much as a purchase.
MAX_WEIGHT = 5
#: Only a user's latest items of a day stand in its basket, so that no reseller or robot explodes the pairs.
MAX_ITEMS_A_DAY = 50


def known_interactions(interactions: DataFrame, day: date) -> DataFrame:
    """What the run of ``day`` may see: nothing that became known later."""
    return interactions.where(F.col("known_date") <= F.lit(day))


def user_days(interactions: DataFrame) -> DataFrame:
    """One row per user and event day: the items that the user wanted, in the order of time; the others; the basket.

    A view, a cart and a purchase of one item in a row are one step. Events at one instant are put in the order
    of their ids. What was only returned or rated badly that day is no step, but it has been seen. The basket holds
    the latest different items of the day, in the order of their ids, each with the weight of all its events.
    """
    event = F.struct("occurred_at", "event_id", "item_id", "weight")
    # Each step of the way has a name of its own, as Spark would compute an expression again wherever it is used.
    return (
        interactions.repartition("user_id", "event_date")
        .groupBy("user_id", "event_date")
        .agg(F.sort_array(F.collect_list(event)).alias("events"))
        .withColumn("wanted", F.filter("events", lambda event: event["weight"] > 0))
        .withColumn("steps", F.filter("wanted", _is_another_item))
        .withColumn("latest", F.array_distinct(F.reverse("steps.item_id")))
        .withColumn("basket", F.sort_array(F.slice("latest", 1, MAX_ITEMS_A_DAY)))
        .select(
            "user_id",
            "event_date",
            F.col("steps.item_id").alias("item_ids"),
            F.sort_array(F.array_except("events.item_id", "wanted.item_id")).alias("other_item_ids"),
            F.col("basket").alias("basket_item_ids"),
            F.transform("basket", _weight_of).alias("basket_weights"),
        )
    )


def _is_another_item(event: Column, place: Column) -> Column:
    """Is it another item than the one before?"""
    return (place == 0) | (event["item_id"] != F.get("wanted", place - 1)["item_id"])


def _weight_of(item_id: Column) -> Column:
    of_item = F.filter("wanted", lambda event: event["item_id"] == item_id)
    total = F.aggregate(of_item, F.lit(0), lambda total, event: total + event["weight"])
    return F.least(total, F.lit(MAX_WEIGHT))
