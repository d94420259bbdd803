"""Which items one user acts upon within a day."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F  # noqa: N812 - everybody's name for it

#: An item counts for at most this much on one day of one user: as much as a purchase.
MAX_WEIGHT = 5
#: Only a user's latest items of a day are paired, so that no reseller or robot explodes the join.
MAX_ITEMS_A_DAY = 50
#: Neighbours kept for an item.
MAX_NEIGHBOURS = 50


def covisitation(interactions: DataFrame, cutoffs: Sequence[date]) -> DataFrame:
    """One row per cut-off, item and neighbour, with the weight of what happened up to the cut-off.

    Two items of one user and day weigh as much as the lesser of them; the weights of all users and days add up.
    """
    pairs = _pairs(_baskets(interactions))
    summed = pairs.groupBy("low_id", "high_id").agg(
        *(_weight_until(cutoff).alias(f"weight_{index}") for index, cutoff in enumerate(cutoffs))
    )
    weights = F.array(
        *(
            F.struct(F.lit(cutoff).alias("cutoff_date"), F.col(f"weight_{index}").alias("weight"))
            for index, cutoff in enumerate(cutoffs)
        )
    )
    both_ways = F.array(
        F.struct(F.col("low_id").alias("item_id"), F.col("high_id").alias("neighbour_id")),
        F.struct(F.col("high_id").alias("item_id"), F.col("low_id").alias("neighbour_id")),
    )
    rows = (
        summed.select("low_id", "high_id", F.explode(weights).alias("of"))
        .where(F.col("of.weight") > 0)
        .select("of.cutoff_date", F.explode(both_ways).alias("pair"), "of.weight")
        .select("cutoff_date", "pair.item_id", "pair.neighbour_id", "weight")
    )
    best_first = Window.partitionBy("cutoff_date", "item_id").orderBy(F.col("weight").desc(), "neighbour_id")
    rank = F.row_number().over(best_first.rowsBetween(Window.unboundedPreceding, Window.currentRow))
    return (
        rows.withColumn("neighbour_rank", rank)
        .where(F.col("neighbour_rank") <= MAX_NEIGHBOURS)
        .select("cutoff_date", "item_id", "neighbour_id", "weight", "neighbour_rank")
    )


def _baskets(interactions: DataFrame) -> DataFrame:
    """One row per user and day: the latest items with their weights."""
    items = (
        interactions.where(F.col("weight") > 0)
        .groupBy("user_id", "event_date", "item_id")
        .agg(
            F.max(F.struct("occurred_at", "event_id")).alias("last"),
            F.least(F.sum("weight"), F.lit(MAX_WEIGHT)).cast("bigint").alias("weight"),
        )
    )
    latest_first = F.sort_array(F.collect_list(F.struct("last", "item_id", "weight")), asc=False)
    return items.groupBy("user_id", "event_date").agg(F.slice(latest_first, 1, MAX_ITEMS_A_DAY).alias("items"))


def _pairs(baskets: DataFrame) -> DataFrame:
    """Every unordered pair of each basket."""
    return (
        baskets.where(F.size("items") > 1)
        .select("event_date", "items", F.explode("items").alias("low"))
        .select("event_date", "low", F.explode("items").alias("high"))
        .where(F.col("low.item_id") < F.col("high.item_id"))
        .select(
            "event_date",
            F.col("low.item_id").alias("low_id"),
            F.col("high.item_id").alias("high_id"),
            F.least("low.weight", "high.weight").alias("weight"),
        )
    )


def _weight_until(cutoff: date) -> Column:
    return F.sum(F.when(F.col("event_date") <= F.lit(cutoff), F.col("weight")).otherwise(F.lit(0))).cast("bigint")
