"""The day's Spark work: histories and co-visitation; for a retraining its training set as well.

Spark hands out tasks (``jobs/features/tasks.py``) and sees to it that each is done; what a task computes, it computes over
Arrow in a Python worker. Rows that passed through the JVM would cost it more than all there is to compute.
"""

from __future__ import annotations

import math
import shutil
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contracts import names
from contracts.errors import PartitionMissing
from contracts.tables import TABLES
from jobs.features.cutoffs import cutoffs_of
from jobs.io.lake import Lake, Manifest
from jobs.runs import StepContext, settings_of_run

if TYPE_CHECKING:
    from pyspark import SparkContext

#: Events of a day whose users share a file: with all days that are looked back on, what a task holds of the users.
_EVENTS_A_FILE = 125_000
#: Events of a day, and pairs of all days, that one task holds: one or two gigabytes.
_EVENTS_A_TASK = 4_000_000
_PAIRS_A_TASK = 16_000_000

#: What is built of a day, by the settings that it depends on; a training set only where a retraining asks for it.
_OF_DAY = (names.HISTORIES, names.COVISITATION)
_OF_TRAINING = (names.SEQUENCES, names.TRAINING_COVISITATION)
_OF_IMPRESSIONS = (names.TRAINING_IMPRESSIONS,)
_SETTINGS = {
    _OF_DAY: ("history_days", "history_length"),
    _OF_TRAINING: ("history_days", "judge_days", "rank_days"),
    _OF_IMPRESSIONS: ("history_days", "judge_days", "rank_days"),
}


def run(day: date, context: StepContext, *, kind: str = names.DAILY) -> dict[str, Any]:
    """Build the day's ordered tables from the interactions that it may see; a current day starts no JVM.

    A retraining's are also its training set: of the interactions, and of the impressions.

    What one event day settles is built once and kept (``PARTS_BY_EVENT_DAY``): a run reads the interactions of
    those days only that are new or were revised, and puts its tables together from the parts of all days.

    Raises:
        PartitionMissing: no interactions were ever exported for the days that are looked back on.
        PartitionTorn: a partition is not what its manifest says.
    """
    chosen = settings_of_run(context, day)
    lake = context.lake
    read = _interaction_manifests(lake, day, chosen["history_days"])
    made_of: dict[tuple[str, ...], list[Manifest]] = {_OF_DAY: read}
    if kind == names.RETRAIN:
        made_of |= {
            _OF_TRAINING: read,
            _OF_IMPRESSIONS: _impression_manifests(lake, day, chosen["history_days"]),
        }
    inputs: dict[str, str] = {}
    for tables, manifests in made_of.items():
        digest = lake.input_digest(
            day.isoformat(),
            {name: chosen[name] for name in _SETTINGS[tables]},
            *(list(TABLES[table].columns) for table in tables),
            *([manifest.day, manifest.digest] for manifest in manifests),
        )
        inputs |= dict.fromkeys(tables, digest)
    due = {table: digest for table, digest in inputs.items() if not lake.is_current(table, day, digest)}
    if not due:
        return {"rows": {table: lake.verify(table, day).num_rows for table in inputs}, "unchanged": True}
    from jobs.io.spark import spark_context

    stale = _stale(lake, read, day)
    event_days = [_day_of(manifest) for manifest in read]
    with spark_context(context.settings) as spark:
        _build_parts(spark, stale, day, lake)
        _put_together(spark, event_days, made_of.get(_OF_IMPRESSIONS, []), day, chosen, lake, due)
    return {
        "rows": {table: lake.verify(table, day).num_rows for table in inputs},
        "event_days": len(read),
        "built_event_days": len(stale),
    }


@dataclass(frozen=True)
class _Part:
    """An event day whose parts are to be built, and the digest of what they depend on."""

    manifest: Manifest  # of its interactions
    inputs: str

    @property
    def num_buckets(self) -> int:
        """Files of users: what follows from the day alone, so that its bytes do, whatever is built beside it."""
        return _power_of_two(self.manifest.num_rows / _EVENTS_A_FILE)

    @property
    def num_shares(self) -> int:
        """Tasks that the users are shared among, each of whole buckets."""
        return min(self.num_buckets, _power_of_two(self.manifest.num_rows / _EVENTS_A_TASK))


def _interaction_manifests(lake: Lake, day: date, history_days: int) -> list[Manifest]:
    """The partitions that the day looks back on, each verified."""
    first = day - timedelta(days=history_days - 1)
    days = lake.days(names.FCT_INTERACTIONS, first=first, until=day)
    if not days:
        raise PartitionMissing(
            f"{names.FCT_INTERACTIONS} has no partition from {first} to {day}. Build it: foretaste step transform --day {day}"
        )
    return [lake.verify(names.FCT_INTERACTIONS, found) for found in days]


def _impression_manifests(lake: Lake, day: date, history_days: int) -> list[Manifest]:
    """The partitions of impressions of the same days, each verified; none where nobody is shown anything."""
    days = lake.days(names.FCT_IMPRESSIONS, first=day - timedelta(days=history_days - 1), until=day)
    return [lake.verify(names.FCT_IMPRESSIONS, found) for found in days]


def _stale(lake: Lake, read: list[Manifest], day: date) -> list[_Part]:
    """The event days whose parts are not those of their interactions as the run of ``day`` knows them.

    A run that knows all of an event day shares its parts with every later one; only a past day that is run again
    after a late delivery sees less than there is.
    """
    parts = []
    for manifest in read:
        knows_all = _latest_known(lake, _day_of(manifest)) <= day
        inputs = lake.input_digest(
            "buckets by crc32",
            _EVENTS_A_FILE,
            _EVENTS_A_TASK,
            *(list(TABLES[table].columns) for table in names.PARTS_BY_EVENT_DAY),
            manifest.digest,
            "all" if knows_all else day.isoformat(),
        )
        if not all(lake.is_current(table, _day_of(manifest), inputs) for table in names.PARTS_BY_EVENT_DAY):
            parts.append(_Part(manifest, inputs))
    return parts


def _latest_known(lake: Lake, event_day: date) -> date:
    """When the last of an event day's interactions became known, from the files' footers."""
    import pyarrow.parquet as pq

    latest = date.min
    for path in lake.files(names.FCT_INTERACTIONS, [event_day]):
        footer = pq.read_metadata(path)
        column = footer.schema.names.index("known_date")
        for group in range(footer.num_row_groups):
            statistics = footer.row_group(group).column(column).statistics
            latest = max(latest, statistics.max)
    return latest


def _build_parts(spark: SparkContext, stale: list[_Part], day: date, lake: Lake) -> None:
    """Build and commit the parts of some event days, side by side."""
    from jobs.features.tasks import EventDay, run_on_spark

    # One folder for all days, as a day's own staging folder would be that of the next.
    staged = {table: lake.staging(table, day) for table in names.PARTS_BY_EVENT_DAY}
    tasks = []
    for part in stale:
        event_day = _day_of(part.manifest)
        folders = [staged[table] / part.manifest.day for table in names.PARTS_BY_EVENT_DAY]
        for folder in folders:
            folder.mkdir()
        of_share = partial(
            EventDay,
            interactions=tuple(lake.files(names.FCT_INTERACTIONS, [event_day])),
            known_until=day,
            num_shares=part.num_shares,
            num_buckets=part.num_buckets,
            to_user_days=folders[0],
            to_pair_days=folders[1],
        )
        tasks += [of_share(share=share) for share in range(part.num_shares)]
    run_on_spark(spark, tasks)
    for part in stale:
        for table, folder in staged.items():
            _commit(lake, table, _day_of(part.manifest), folder / part.manifest.day, part.inputs)
    for folder in staged.values():
        shutil.rmtree(folder)


def _put_together(
    spark: SparkContext,
    event_days: list[date],
    impressions: list[Manifest],
    day: date,
    chosen: dict[str, Any],
    lake: Lake,
    due: dict[str, str],
) -> None:
    """Build and commit those of the day's tables that are due, with their inputs, from the parts of the event days."""
    from jobs.features.tasks import (
        Histories,
        ItemBucket,
        TrainingImpressions,
        TrainingSet,
        run_on_spark,
    )

    for each in event_days:
        lake.verify(names.USER_DAYS, each)
    num_pairs = sum(lake.verify(names.PAIR_DAYS, each).num_rows for each in event_days)
    user_days = tuple(tuple(lake.files(names.USER_DAYS, [each])) for each in event_days)
    num_user_buckets = max(map(len, user_days))
    pair_days = tuple(lake.files(names.PAIR_DAYS, event_days))
    of_items = partial(ItemBucket, pair_days, num_buckets=_item_buckets(num_pairs))
    ends = cutoffs_of(day, chosen)
    num_shown = sum(manifest.num_rows for manifest in impressions)
    shown = tuple(tuple(lake.files(names.FCT_IMPRESSIONS, [_day_of(manifest)])) for manifest in impressions)
    task_of: dict[
        str, partial[Histories] | partial[TrainingSet] | partial[ItemBucket] | partial[TrainingImpressions]
    ] = {
        names.HISTORIES: partial(
            Histories, user_days, num_buckets=num_user_buckets, length=chosen["history_length"]
        ),
        names.SEQUENCES: partial(TrainingSet, user_days, num_buckets=num_user_buckets, cutoffs=ends),
        names.COVISITATION: partial(of_items, cutoffs=(day,), has_cutoff=False),
        names.TRAINING_COVISITATION: partial(of_items, cutoffs=tuple(sorted(set(ends[1:]))), has_cutoff=True),
        names.TRAINING_IMPRESSIONS: partial(
            TrainingImpressions, shown, num_buckets=_power_of_two(num_shown / _EVENTS_A_TASK), cutoffs=ends
        ),
    }
    staged = {table: lake.staging(table, day) for table in due}
    tasks = [
        task_of[table](bucket=bucket, to=folder)
        for table, folder in staged.items()
        for bucket in range(task_of[table].keywords["num_buckets"])
    ]
    run_on_spark(spark, tasks)
    for table, folder in staged.items():
        _commit(lake, table, day, folder, due[table])


def _commit(lake: Lake, table: str, day: date, folder: Path, inputs: str) -> None:
    import pyarrow.parquet as pq

    num_rows = sum(pq.read_metadata(path).num_rows for path in folder.glob("*.parquet"))
    lake.commit(table, day, folder, num_rows=num_rows, inputs=inputs)


def _day_of(manifest: Manifest) -> date:
    return date.fromisoformat(manifest.day)


def _item_buckets(num_pairs: int) -> int:
    """Tasks that the items are shared among: of n buckets, each needs the pairs of which either item is its own."""
    return 1 if num_pairs <= _PAIRS_A_TASK else 1 + 2 * num_pairs // _PAIRS_A_TASK


def _power_of_two(least: float) -> int:
    """The first power of two that is not less."""
    return 1 << max(0, math.ceil(math.log2(max(least, 1))))
