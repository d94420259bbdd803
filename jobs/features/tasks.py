"""What Spark's workers are given to do: each task reads files of the lake, computes over Arrow, and writes files.

A task holds no more than its share of an event day, of the users or of the pairs of items in memory. Run again, it
writes the same bytes to the same files; what counts is committed by whoever has asked for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from uuid import uuid4

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from contracts.tables import FCT_IMPRESSIONS, FCT_INTERACTIONS, PAIR_DAYS, USER_DAYS
from jobs.features import histories
from jobs.features import training_impressions as impressions
from jobs.features.copurchase import bought_pairs
from jobs.features.covisitation import neighbours, pair_days
from jobs.features.cutoffs import Cutoffs
from jobs.features.ragged import bucket_of
from jobs.features.training_set import training_set
from jobs.features.user_days import NEEDED, user_days
from jobs.io.schemas import arrow_schema

if TYPE_CHECKING:
    from pyspark import SparkContext

_ROWS_A_GROUP = 1 << 17


class Task(Protocol):
    """Something to do on some worker, once or again."""

    def run(self) -> None: ...


def file_of(folder: Path, number: int) -> Path:
    """The file of a bucket, or of a share: files are read in the order of their names."""
    return folder / f"{number:05d}.parquet"


@dataclass(frozen=True)
class EventDay:
    """A share of the users of an event day: their steps and baskets, in buckets, and the pairs of items in these."""

    interactions: tuple[Path, ...]
    known_until: date  # what became known later does not count
    share: int
    num_shares: int  # a power of two, at most num_buckets
    num_buckets: int  # a power of two
    to_user_days: Path
    to_pair_days: Path

    def run(self) -> None:
        rows = user_days(pa.concat_tables([_empty_events(), *self._events()]))
        bucket = bucket_of(rows.column("user_id"), self.num_buckets)
        for number in range(self.share, self.num_buckets, self.num_shares):
            _write(rows.filter(pa.array(bucket == number)), file_of(self.to_user_days, number))
        _write(pair_days(rows), file_of(self.to_pair_days, self.share))

    def _events(self) -> Iterator[pa.Table]:
        for path in self.interactions:
            file = pq.ParquetFile(path)
            for group in range(file.num_row_groups):
                rows = file.read_row_group(group, columns=[*NEEDED, "known_date"])
                is_ours = pc.less_equal(rows.column("known_date"), self.known_until)
                if self.num_shares > 1:
                    share = bucket_of(rows.column("user_id"), self.num_shares)
                    is_ours = pc.and_(is_ours, pa.array(share == self.share))
                yield rows.filter(is_ours).select(list(NEEDED))


@dataclass(frozen=True)
class UserBucket:
    """A bucket of the users: what each acted upon, in order, over all days that are looked back on."""

    user_days: tuple[tuple[Path, ...], ...]  # by event day, each in its own number of buckets, a power of two
    bucket: int
    num_buckets: int  # as many as any of the days has
    to: Path

    def days(self) -> pa.Table:
        """Their rows of ``features/user_days``, without baskets, in the order of user and time."""
        columns = list(histories.NEEDED)
        empty = arrow_schema(USER_DAYS).empty_table().select(columns)
        return histories.by_user([empty, *(self._of_day(files, columns) for files in self.user_days)])

    def _of_day(self, files: tuple[Path, ...], columns: list[str]) -> pa.Table:
        rows = pq.read_table(files[self.bucket % len(files)], columns=columns, partitioning=None)
        if len(files) == self.num_buckets:
            return rows
        is_ours = bucket_of(rows.column("user_id"), self.num_buckets) == self.bucket
        return rows.filter(pa.array(is_ours))


@dataclass(frozen=True)
class Histories(UserBucket):
    """The histories of a bucket of the users, and the pairs of items that they bought."""

    length: int
    day: date
    to_bought_pairs: Path

    def run(self) -> None:
        days = self.days()
        rows = histories.ordered_histories(days, self.length, self.day)
        _write(rows, file_of(self.to, self.bucket))
        _write(bought_pairs(days), file_of(self.to_bought_pairs, self.bucket))


@dataclass(frozen=True)
class TrainingSet(UserBucket):
    """The part of a bucket of the users in a training set."""

    cutoffs: Cutoffs

    def run(self) -> None:
        _write(training_set(self.days(), self.cutoffs), file_of(self.to, self.bucket))


@dataclass(frozen=True)
class TrainingImpressions:
    """The impressions of a bucket of the event days in a training set, in the order of time."""

    impressions: tuple[tuple[Path, ...], ...]  # by event day
    bucket: int
    num_buckets: int
    to: Path
    cutoffs: Cutoffs

    def run(self) -> None:
        num_days = len(self.impressions)
        first, last = (num_days * end // self.num_buckets for end in (self.bucket, self.bucket + 1))
        columns = list(impressions.NEEDED)
        parts = [arrow_schema(FCT_IMPRESSIONS).empty_table().select(columns)]
        for files in self.impressions[first:last]:
            parts += [pq.read_table(path, columns=columns, partitioning=None) for path in files]
        rows = impressions.training_impressions(pa.concat_tables(parts), self.cutoffs)
        _write(rows, file_of(self.to, self.bucket))


@dataclass(frozen=True)
class ItemBucket:
    """The neighbours of a bucket of the items, by pairs of items."""

    pairs: tuple[Path, ...]  # files of features/pair_days, or like them
    bucket: int
    num_buckets: int
    to: Path

    def run(self) -> None:
        empty = _with_numbers(arrow_schema(PAIR_DAYS).empty_table())
        pairs = pa.concat_tables([empty, *self._pairs()])
        rows = neighbours(pairs, bucket=self.bucket, num_buckets=self.num_buckets)
        _write(rows, file_of(self.to, self.bucket))

    def _pairs(self) -> Iterator[pa.Table]:
        for path in self.pairs:
            file = pq.ParquetFile(path)
            for group in range(file.num_row_groups):
                rows = _with_numbers(file.read_row_group(group))
                if self.num_buckets > 1:
                    low, high = (
                        bucket_of(rows.column(name), self.num_buckets)
                        for name in ("item_id", "other_item_id")
                    )
                    rows = rows.filter(pa.array((low == self.bucket) | (high == self.bucket)))
                yield rows


def run_on_spark(spark: SparkContext, tasks: Sequence[Task]) -> None:
    """Do all of the tasks, side by side as far as there are workers."""
    if tasks:
        spark.parallelize(tasks, len(tasks)).foreach(_run)


def _run(task: Task) -> None:
    task.run()


def _empty_events() -> pa.Table:
    return arrow_schema(FCT_INTERACTIONS).empty_table().select(list(NEEDED))


def _with_numbers(pairs: pa.Table) -> pa.Table:
    """Pairs whose ids are numbers into a dictionary: a few texts stand for millions."""
    for name in ("item_id", "other_item_id"):
        column = pairs.column(name).dictionary_encode()
        pairs = pairs.set_column(pairs.column_names.index(name), name, column)
    return pairs


def _write(rows: pa.Table, path: Path) -> None:
    """Write a file whole or not at all: a task that was given up on may still be at it when another has done it."""
    begun = path.with_suffix(f".{uuid4().hex}")
    pq.write_table(rows, begun, compression="zstd", row_group_size=_ROWS_A_GROUP)
    begun.replace(path)
