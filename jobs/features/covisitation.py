"""Which items one user acts upon within a day.

The pairs of one event day are counted once. Items are numbered while many days are added up, because a pair of
numbers is one integer: millions of pairs of texts would take five times as long.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F  # noqa: N812 - everybody's name for it

from contracts.tables import MAX_NEIGHBOURS, PAIR_DAYS
from jobs.features.ragged import flat, numbered
from jobs.io.schemas import arrow_schema, spark_schema

_LOW_BITS = 0xFFFFFFFF
_PAIRS_A_PART = 500_000
_PAIRS_AT_ONCE = 4_000_000  # of baskets, before they are added up: 32 bytes each


def pairs_of_users(user_days: DataFrame) -> DataFrame:
    """Pairs of items that somebody acted upon within a day, the lesser id first; what one part knows is added up.

    Two items of one basket weigh as much as the lesser of them; the weights of all users add up.
    """
    baskets = user_days.where(F.size("basket_item_ids") > 1).select(
        "event_date", "basket_item_ids", "basket_weights"
    )
    return baskets.mapInArrow(_pairs_of_partition, spark_schema(PAIR_DAYS))


def add_up_pairs(pairs: DataFrame) -> DataFrame:
    """Rows of ``features/pair_days``, one per event day and pair, in the order of their key within each part.

    Args:
        pairs: all rows of an event day and pair in one part.
    """
    return pairs.mapInArrow(_added_up_partition, spark_schema(PAIR_DAYS))


def _pairs_of_partition(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    read, num_pairs = [], 0
    for batch in batches:
        lengths = pc.list_value_length(batch.column("basket_item_ids")).to_numpy()
        read.append(batch)
        num_pairs += int((lengths * (lengths - 1) // 2).sum())
        if num_pairs > _PAIRS_AT_ONCE:
            yield from of_baskets(pa.Table.from_batches(read)).to_batches()
            read, num_pairs = [], 0
    if read:
        yield from of_baskets(pa.Table.from_batches(read)).to_batches()


def of_baskets(baskets: pa.Table) -> pa.Table:
    """The pairs of some baskets, added up by day: rows of ``features/pair_days``.

    Args:
        baskets: event_date, basket_item_ids in their order, and basket_weights, none above 7.
    """
    lengths_D, items = flat(baskets.column("basket_item_ids"))
    weight_B = flat(baskets.column("basket_weights"))[1].to_numpy().astype(np.int64)
    item_B, names = numbered(items)
    day_D = baskets.column("event_date").combine_chunks().dictionary_encode()
    day_of_D, starts_D = day_D.indices.to_numpy().astype(np.int64), np.cumsum(lengths_D) - lengths_D
    parts = []
    for length in np.unique(lengths_D):  # baskets of one length are a matrix
        is_as_long_D = lengths_D == length
        places = starts_D[is_as_long_D][:, None] + np.arange(length)
        low, high = np.triu_indices(length, 1)
        item, weight = item_B[places], weight_B[places]
        day = day_of_D[is_as_long_D][:, None]
        pair = (day * len(names) + item[:, low]) * len(names) + item[:, high]
        # The weight in the lowest bits: one sort brings equal pairs together, whatever they weigh.
        parts.append((pair * 8 + np.minimum(weight[:, low], weight[:, high])).ravel())
    packed = np.sort(np.concatenate([*parts, np.empty(0, np.int64)]))
    pair = packed >> 3
    first = np.flatnonzero(np.diff(pair, prepend=-1))
    total = np.add.reduceat(packed & 7, first) if len(first) else np.empty(0, np.int64)
    day_and_item, high_item = np.divmod(pair[first], max(len(names), 1))
    day, low_item = np.divmod(day_and_item, max(len(names), 1))
    columns = [
        day_D.dictionary.take(pa.array(day)),
        names.take(pa.array(low_item)),
        names.take(pa.array(high_item)),
        pa.array(total, pa.int64()),
    ]
    return pa.table(columns, schema=arrow_schema(PAIR_DAYS))


def _added_up_partition(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    if read := list(batches):
        yield from added_up(pa.Table.from_batches(read)).to_batches()


def added_up(pairs: pa.Table) -> pa.Table:
    """One row per event day and pair, in the order of the key, with the weights of all its rows added up."""
    low, high = (pairs.column(name).combine_chunks() for name in ("item_id", "other_item_id"))
    item, names = numbered(pa.concat_arrays([low, high]))
    day = pairs.column("event_date").cast(pa.int32()).to_numpy().astype(np.int64)
    pair = ((day - day.min()) * len(names) + item[: len(low)]) * len(names) + item[len(low) :]
    order = np.argsort(pair, kind="stable")
    first = np.flatnonzero(np.diff(pair[order], prepend=-1))
    total = np.add.reduceat(pairs.column("weight").to_numpy()[order], first)
    rows = pairs.take(pa.array(order[first])).drop_columns("weight").append_column("weight", pa.array(total))
    return pa.table(rows.columns, schema=arrow_schema(PAIR_DAYS))


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
