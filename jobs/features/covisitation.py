"""Which items one user acts upon within a day.

Items are numbered while they are counted, because a pair of numbers is one integer: adding up millions of
pairs of texts would take five times as long.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F  # noqa: N812 - everybody's name for it

from contracts.tables import MAX_NEIGHBOURS

#: An item counts for at most this much on one day of one user: as much as a purchase.
MAX_WEIGHT = 5
#: Only a user's latest items of a day are paired, so that no reseller or robot explodes the join.
MAX_ITEMS_A_DAY = 50

_LOW_BITS = 0xFFFFFFFF
#: The lowest bits of an item in a basket hold its weight: up to MAX_WEIGHT.
_WEIGHT_BITS = 3
_WEIGHTS = (1 << _WEIGHT_BITS) - 1


def number_items(interactions: DataFrame) -> DataFrame:
    """One row per item, numbered from 1 in the order of the ids, so that ties by number are ties by id."""
    by_id = Window.orderBy("item_id").rowsBetween(Window.unboundedPreceding, Window.currentRow)
    items = interactions.where(F.col("weight") > 0).select("item_id").distinct()
    return items.select("item_id", F.row_number().over(by_id).cast("bigint").alias("item"))


def covisitation(
    interactions: DataFrame, items: DataFrame, cutoffs: Sequence[date], num_parts: int = 1
) -> DataFrame:
    """One row per cut-off, item and neighbour: the heaviest neighbours by what happened up to the cut-off.

    Two items of one user and day weigh as much as the lesser of them; the weights of all users and days add up.
    The rows lie in ``num_parts`` parts by a hash of the item, each in the order of item, cut-off and rank.

    Args:
        items: the numbers of the items, from :func:`number_items`.
    """
    pairs = _pairs(_baskets(interactions, items))
    weights = [f"weight_{index}" for index in range(len(cutoffs))]
    summed = pairs.groupBy("pair").agg(
        *(_weight_until(cutoff).alias(weight) for cutoff, weight in zip(cutoffs, weights, strict=True))
    )
    low, high = F.shiftright("pair", 32), F.col("pair").bitwiseAND(F.lit(_LOW_BITS))
    both_ways = F.array(
        F.struct(low.alias("item"), high.alias("neighbour")),
        F.struct(high.alias("item"), low.alias("neighbour")),
    )
    directed = summed.select(F.explode(both_ways).alias("of"), *weights).select("of.*", *weights)
    heaviest = directed.groupBy("item").agg(*(_heaviest(weight).alias(weight) for weight in weights))
    by_cutoff = F.array(
        *(
            F.struct(F.lit(cutoff).alias("cutoff_date"), F.col(weight).alias("keys"))
            for cutoff, weight in sorted(zip(cutoffs, weights, strict=True))
        )
    )
    neighbours = items.select(F.col("item_id").alias("neighbour_id"), F.col("item").alias("neighbour"))
    # Put in order while there is one row an item; what follows opens the rows where they stand.
    ordered = (
        heaviest.join(F.broadcast(items), on="item", how="inner")
        .repartition(num_parts, "item_id")
        .sortWithinPartitions("item_id")
    )
    return (
        ordered.select("item_id", F.explode(by_cutoff).alias("of"))
        .select("item_id", "of.cutoff_date", F.posexplode("of.keys").alias("position", "key"))
        .select(
            "cutoff_date",
            "item_id",
            (F.lit(_LOW_BITS) - F.col("key").bitwiseAND(F.lit(_LOW_BITS))).alias("neighbour"),
            F.shiftright("key", 32).alias("weight"),
            (F.col("position") + 1).alias("neighbour_rank"),
        )
        .join(F.broadcast(neighbours), on="neighbour", how="inner")
        .select("cutoff_date", "item_id", "neighbour_id", "weight", "neighbour_rank")
    )


def _baskets(interactions: DataFrame, items: DataFrame) -> DataFrame:
    """One row per user and day with two items or more: the latest items, each with its weight in one integer."""
    of_item = (
        interactions.where(F.col("weight") > 0)
        .join(F.broadcast(items), on="item_id", how="inner")
        .groupBy("user_id", "event_date", "item")
        .agg(
            F.max("occurred_at").alias("last_at"),
            F.least(F.sum("weight"), F.lit(MAX_WEIGHT)).cast("bigint").alias("weight"),
        )
    )
    weighed = F.shiftleft("item", _WEIGHT_BITS) + F.col("weight")
    basket = F.collect_list(F.struct("last_at", weighed.alias("weighed")))
    latest = F.slice(F.sort_array("items", asc=False), 1, MAX_ITEMS_A_DAY)
    return (
        of_item.groupBy("user_id", "event_date")
        .agg(basket.alias("items"))
        .where(F.size("items") > 1)
        .select(
            "event_date",
            F.when(F.size("items") > MAX_ITEMS_A_DAY, latest)
            .otherwise(F.col("items"))["weighed"]
            .alias("items"),
        )
    )


def _pairs(baskets: DataFrame) -> DataFrame:
    """Every unordered pair of each basket: the lower number in the upper half of one integer."""
    item_of_low, item_of_high = F.shiftright("low", _WEIGHT_BITS), F.shiftright("high", _WEIGHT_BITS)
    weight_of_low, weight_of_high = (F.col(of).bitwiseAND(F.lit(_WEIGHTS)) for of in ("low", "high"))
    return (
        baskets.select("event_date", "items", F.explode("items").alias("low"))
        .select("event_date", "low", F.explode("items").alias("high"))
        .where(F.col("low") < F.col("high"))
        .select(
            "event_date",
            (F.shiftleft(item_of_low, 32) + item_of_high).alias("pair"),
            F.least(weight_of_low, weight_of_high).alias("weight"),
        )
    )


def _weight_until(cutoff: date) -> Column:
    return F.sum(F.when(F.col("event_date") <= F.lit(cutoff), F.col("weight")).otherwise(F.lit(0)))


def _heaviest(weight: str) -> Column:
    """The neighbours with the greatest weights; among equals, those with the lesser ids. Heaviest first."""
    key = F.shiftleft(weight, 32) + (F.lit(_LOW_BITS) - F.col("neighbour"))
    taken = F.when(F.col(weight) > 0, key)
    return F.max_by(taken, taken, MAX_NEIGHBOURS)
