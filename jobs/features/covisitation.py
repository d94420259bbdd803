"""Which items one user acts upon within a day.

The pairs of one event day are counted once. Items are numbered while many days are added up, because a pair of
numbers is one integer: millions of pairs of texts would take five times as long.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F  # noqa: N812 - everybody's name for it

from contracts.tables import MAX_NEIGHBOURS
from jobs.features.user_days import MAX_ITEMS_A_DAY

_LOW_BITS = 0xFFFFFFFF
_PAIRS_A_PART = 500_000


def pair_days(user_days: DataFrame) -> DataFrame:
    """One row per event day and pair of items that somebody acted upon on it: the lesser id first.

    Two items of one basket weigh as much as the lesser of them; the weights of all users add up.
    """
    basket = F.arrays_zip(F.col("basket_item_ids").alias("item_id"), F.col("basket_weights").alias("weight"))
    later_ones = F.slice("basket", F.col("place") + 2, MAX_ITEMS_A_DAY)
    return (
        user_days.where(F.size("basket_item_ids") > 1)
        .select("event_date", basket.alias("basket"))
        .select("event_date", "basket", F.posexplode("basket").alias("place", "low"))
        .select("event_date", "low", F.explode(later_ones).alias("high"))
        .groupBy(
            "event_date",
            F.col("low.item_id").alias("item_id"),
            F.col("high.item_id").alias("other_item_id"),
        )
        .agg(F.sum(F.least("low.weight", "high.weight")).alias("weight"))
    )


def covisitation(
    pair_days: DataFrame, cutoffs: Sequence[date], *, num_pairs: int = 0, num_parts: int = 1
) -> DataFrame:
    """One row per cut-off, item and neighbour: the heaviest neighbours by what happened up to the cut-off.

    The rows lie in ``num_parts`` parts by a hash of the item, each in the order of item, cut-off and rank.

    Args:
        pair_days: rows of ``features/pair_days``.
        num_pairs: about how many these are.
    """
    ids = pair_days.select(F.explode(F.array("item_id", "other_item_id")).alias("item_id")).distinct()
    items = _numbered(ids).persist()
    numbered = pair_days
    for number, item_id in (("low", "item_id"), ("high", "other_item_id")):
        numbers = items.select(F.col("item").alias(number), F.col("item_id").alias(item_id))
        numbered = numbered.join(F.broadcast(numbers), on=item_id, how="inner")
    weights = [f"weight_{index}" for index in range(len(cutoffs))]
    pair = (F.shiftleft("low", 32) + F.col("high")).alias("pair")
    summed = (
        numbered.select("event_date", pair, "weight")
        # Moved before they are added up: few pairs occur twice in one part of what is read.
        .repartition(1 + num_pairs // _PAIRS_A_PART, "pair")
        .groupBy("pair")
        .agg(*(_weight_until(cutoff).alias(weight) for cutoff, weight in zip(cutoffs, weights, strict=True)))
        .select(*_items_of("pair", "low", "high"), *weights)
    )
    both_ways = F.array(
        F.struct(F.col("low").alias("item"), F.col("high").alias("neighbour")),
        F.struct(F.col("high").alias("item"), F.col("low").alias("neighbour")),
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


def _numbered(ids: DataFrame) -> DataFrame:
    """The items, numbered from 1 in the order of the ids, so that ties by number are ties by id."""
    by_id = Window.orderBy("item_id").rowsBetween(Window.unboundedPreceding, Window.currentRow)
    return ids.select("item_id", F.row_number().over(by_id).cast("bigint").alias("item"))


def _items_of(pair: str, low: str, high: str) -> tuple[Column, Column]:
    """The two numbers of a pair."""
    return F.shiftright(pair, 32).alias(low), F.col(pair).bitwiseAND(F.lit(_LOW_BITS)).alias(high)


def _weight_until(cutoff: date) -> Column:
    return F.sum(F.when(F.col("event_date") <= F.lit(cutoff), F.col("weight")).otherwise(F.lit(0)))


def _heaviest(weight: str) -> Column:
    """The neighbours with the greatest weights; among equals, those with the lesser ids. Heaviest first."""
    key = F.shiftleft(weight, 32) + (F.lit(_LOW_BITS) - F.col("neighbour"))
    taken = F.when(F.col(weight) > 0, key)
    return F.max_by(taken, taken, MAX_NEIGHBOURS)
