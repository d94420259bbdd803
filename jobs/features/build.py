"""The day's Spark work: histories, co-visitation and co-purchase; for a retraining its training set as well.

Spark hands out tasks (``jobs/features/tasks.py``) and sees to it that each is done; what a task computes, it computes over
Arrow in a Python worker. Rows that passed through the JVM would cost it more than all there is to compute.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterable, Sequence
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
from jobs.io.state import HEARD
from jobs.runs import StepContext, has_begun, settings_of_cutoff, settings_of_run

if TYPE_CHECKING:
    from pyspark import SparkContext

    from jobs.features.tasks import ItemBucket, Task

#: Events of a day whose users share a file: with all days that are looked back on, what a task holds of the users.
_EVENTS_A_FILE = 125_000
#: Events of a day, and pairs of all days, that one task holds: one or two gigabytes.
_EVENTS_A_TASK = 4_000_000
_PAIRS_A_TASK = 16_000_000

#: What is built of a day, by the settings that it depends on; a training set only where a retraining asks for it.
_OF_TRAINING = (names.SEQUENCES,)
_OF_IMPRESSIONS = (names.TRAINING_IMPRESSIONS,)
_SETTINGS = {
    names.LOOKING_BACK: ("history_days", "history_length"),
    _OF_TRAINING: ("history_days", "judge_days", "rank_days"),
    _OF_IMPRESSIONS: ("history_days", "judge_days", "rank_days"),
}


def run(day: date, context: StepContext, *, kind: str = names.DAILY) -> dict[str, Any]:
    """Build the day's ordered tables from the interactions that it may see; a current day starts no JVM.

    A retraining's are also its training set, of the interactions and of the impressions, and what is missing of its earlier
    cut-offs: the tables of these days as their own runs would have built them.

    What one event day settles is built once and kept (``PARTS_BY_EVENT_DAY``): a run reads the interactions of
    those days only that are new or were revised, and puts its tables together from the parts of all days.

    Raises:
        PartitionMissing: no interactions were ever exported for the days that are looked back on.
        PartitionTorn: a partition is not what its manifest says.
    """
    chosen = settings_of_run(context, day)
    lake = context.lake
    read = _interaction_manifests(lake, day, chosen["history_days"])
    if not read:
        first = day - timedelta(days=chosen["history_days"] - 1)
        raise PartitionMissing(
            f"{names.FCT_INTERACTIONS} has no partition from {first} to {day}. Build it: foretaste step transform --day {day}"
        )
    made_of: dict[tuple[str, ...], list[Manifest]] = {names.LOOKING_BACK: read}
    if kind == names.RETRAIN:
        made_of[_OF_TRAINING] = read
        made_of[_OF_IMPRESSIONS] = _impression_manifests(lake, day, chosen["history_days"])
    of_day = _DayToBuild(
        day, chosen, read, _inputs(lake, day, chosen, made_of), made_of.get(_OF_IMPRESSIONS, [])
    )
    earlier = _earlier_days(context, day, chosen) if kind == names.RETRAIN else []
    to_build = [each for each in (*earlier, of_day) if each.due(lake)]
    built_event_days = 0
    if to_build:
        from jobs.io.spark import spark_context

        with spark_context(context.settings) as spark:
            # The day itself comes last: it knows the most, and the parts that it leaves serve the days after it.
            for each in to_build:
                stale = _stale(lake, each.read, each.day)
                _build_parts(spark, stale, each.day, lake)
                _put_together(spark, each, lake)
                built_event_days += len(stale)
    told: dict[str, Any] = {"rows": {table: lake.verify(table, day).num_rows for table in of_day.inputs}}
    if not to_build:
        return told | {"unchanged": True}
    if kind == names.RETRAIN:
        told["cutoffs_built"] = [str(each.day) for each in to_build if each is not of_day]
    return told | {"event_days": len(read), "built_event_days": built_event_days}


@dataclass(frozen=True)
class _DayToBuild:
    """A day, what its tables are made of, and the digest of what each of them depends on."""

    day: date
    chosen: dict[str, Any]
    read: Sequence[Manifest]  # of interactions
    inputs: dict[str, str]  # by table
    shown: Sequence[Manifest] = ()  # of impressions

    def due(self, lake: Lake) -> dict[str, str]:
        """Those of the tables, with their inputs, that are not current; what looks back is built together."""
        due = {
            table: inputs
            for table, inputs in self.inputs.items()
            if not lake.is_current(table, self.day, inputs)
        }
        if due.keys() & set(names.LOOKING_BACK):
            due |= {table: self.inputs[table] for table in names.LOOKING_BACK}
        return due


def _inputs(
    lake: Lake, day: date, chosen: dict[str, Any], made_of: dict[tuple[str, ...], list[Manifest]]
) -> dict[str, str]:
    """Of each table the digest of what it depends on."""
    inputs: dict[str, str] = {}
    for tables, manifests in made_of.items():
        digest = lake.input_digest(
            day.isoformat(),
            {name: chosen[name] for name in _SETTINGS[tables]},
            *(list(TABLES[table].columns) for table in tables),
            *([manifest.day, manifest.digest] for manifest in manifests),
        )
        inputs |= dict.fromkeys(tables, digest)
    return inputs


def _earlier_days(context: StepContext, day: date, chosen: dict[str, Any]) -> list[_DayToBuild]:
    """The earlier cut-offs of a retraining, oldest first, whose tables are to be built: as known then.

    What a day's own run has built stands: no later event changes it, though its partitions of interactions may have been
    revised since; it does not where it counts who has withdrawn since, see ``jobs.transform.build_without_withdrawn``. Of
    days that were only loaded, nothing was built yet. A day before all interactions has no tables.
    """
    lake, found = context.lake, []
    for cutoff in sorted(set(cutoffs_of(day, chosen)) - {day}):
        heard = (context.state.get(HEARD, cutoff.isoformat()) or {}).get("until", cutoff.isoformat())
        if (
            has_begun(context.state, cutoff)
            and heard == cutoff.isoformat()
            and all(_stands(lake, table, cutoff) for table in names.LOOKING_BACK)
        ):
            continue
        own = settings_of_cutoff(context, cutoff, chosen)
        read = _interaction_manifests(lake, cutoff, own["history_days"])
        if read:
            inputs = _inputs(lake, cutoff, own, {names.LOOKING_BACK: read})
            found.append(_DayToBuild(cutoff, own, read, inputs))
    return found


def _stands(lake: Lake, table: str, day: date) -> bool:
    """Is there a partition, with the columns of now?"""
    import pyarrow.parquet as pq

    if lake.manifest(table, day) is None:
        return False
    return all(pq.read_schema(path).names == list(TABLES[table].columns) for path in lake.files(table, [day]))


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
    return [lake.verify(names.FCT_INTERACTIONS, found) for found in days]


def _impression_manifests(lake: Lake, day: date, history_days: int) -> list[Manifest]:
    """The partitions of impressions of the same days, each verified; none where nobody is shown anything."""
    days = lake.days(names.FCT_IMPRESSIONS, first=day - timedelta(days=history_days - 1), until=day)
    return [lake.verify(names.FCT_IMPRESSIONS, found) for found in days]


def _stale(lake: Lake, read: Sequence[Manifest], day: date) -> list[_Part]:
    """The event days whose parts are not those of their interactions as the run of ``day`` knows them.

    A run that knows all of an event day shares its parts with every later one; only a past day that is run again, or that a
    retraining looks back to, after a late delivery sees less than there is. Days that see the same of it share its parts.
    """
    parts = []
    for manifest in read:
        knows_all = _latest_known(lake, _day_of(manifest)) <= day
        known_until = "all" if knows_all else str(_latest_known_by(lake, _day_of(manifest), day))
        inputs = lake.input_digest(
            "buckets by crc32",
            _EVENTS_A_FILE,
            _EVENTS_A_TASK,
            *(list(TABLES[table].columns) for table in names.PARTS_BY_EVENT_DAY),
            manifest.digest,
            known_until,
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
            if statistics is not None:  # on a day of nobody but strangers there is nothing to tell of
                latest = max(latest, statistics.max)
    return latest


def _latest_known_by(lake: Lake, event_day: date, day: date) -> date | None:
    """When the last of what a day knows of an event day's interactions became known; None where it knows nothing."""
    import pyarrow.compute as pc

    known = lake.read(names.FCT_INTERACTIONS, event_day, ["known_date"]).column("known_date")
    latest: date | None = pc.max(known.filter(pc.less_equal(known, day))).as_py()
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


def _put_together(spark: SparkContext, of: _DayToBuild, lake: Lake) -> None:
    """Build and commit those of a day's tables that are due, from the parts of the event days."""
    from jobs.features.tasks import Histories, ItemBucket, TrainingImpressions, TrainingSet, run_on_spark

    due, day, event_days = of.due(lake), of.day, [_day_of(manifest) for manifest in of.read]
    for each in event_days:
        lake.verify(names.USER_DAYS, each)
    num_pairs = sum(lake.verify(names.PAIR_DAYS, each).num_rows for each in event_days)
    user_days = tuple(tuple(lake.files(names.USER_DAYS, [each])) for each in event_days)
    num_user_buckets = max(map(len, user_days))
    staged = {table: lake.staging(table, day) for table in due}
    bought_pairs = lake.staging(f"{names.COPURCHASE}.pairs", day)
    tasks: list[Task] = []
    if names.HISTORIES in due:
        histories = partial(
            Histories, user_days, num_buckets=num_user_buckets, length=of.chosen["history_length"], day=day,
            to=staged[names.HISTORIES], to_bought_pairs=bought_pairs,
        )  # fmt: skip
        tasks += [histories(bucket=bucket) for bucket in range(num_user_buckets)]
        pair_days = tuple(lake.files(names.PAIR_DAYS, event_days))
        tasks += _of_items(ItemBucket, pair_days, num_pairs, staged[names.COVISITATION])
    if names.SEQUENCES in due:
        sequences = partial(
            TrainingSet, user_days, num_buckets=num_user_buckets, cutoffs=cutoffs_of(day, of.chosen),
            to=staged[names.SEQUENCES],
        )  # fmt: skip
        tasks += [sequences(bucket=bucket) for bucket in range(num_user_buckets)]
    if names.TRAINING_IMPRESSIONS in due:
        num_buckets = _power_of_two(sum(manifest.num_rows for manifest in of.shown) / _EVENTS_A_TASK)
        shown = tuple(tuple(lake.files(names.FCT_IMPRESSIONS, [_day_of(manifest)])) for manifest in of.shown)
        impressions = partial(
            TrainingImpressions, shown,
            num_buckets=num_buckets, cutoffs=cutoffs_of(day, of.chosen), to=staged[names.TRAINING_IMPRESSIONS],
        )  # fmt: skip
        tasks += [impressions(bucket=bucket) for bucket in range(num_buckets)]
    run_on_spark(spark, tasks)
    if names.COPURCHASE in due:  # it needs the pairs of all users
        files = tuple(sorted(bought_pairs.glob("*.parquet")))
        run_on_spark(spark, _of_items(ItemBucket, files, _num_rows(files), staged[names.COPURCHASE]))
    shutil.rmtree(bought_pairs)
    for table, folder in staged.items():
        _commit(lake, table, day, folder, due[table])


def _of_items(task: type[ItemBucket], pairs: tuple[Path, ...], num_pairs: int, to: Path) -> list[Task]:
    """The tasks that find the neighbours of all items; of n buckets, each needs the pairs of which either item is its own."""
    num_buckets = 1 if num_pairs <= _PAIRS_A_TASK else 1 + 2 * num_pairs // _PAIRS_A_TASK
    return [task(pairs, bucket, num_buckets, to) for bucket in range(num_buckets)]


def _commit(lake: Lake, table: str, day: date, folder: Path, inputs: str) -> None:
    lake.commit(table, day, folder, num_rows=_num_rows(folder.glob("*.parquet")), inputs=inputs)


def _num_rows(files: Iterable[Path]) -> int:
    """How many rows some files hold, from their footers."""
    import pyarrow.parquet as pq

    return sum(pq.read_metadata(path).num_rows for path in files)


def _day_of(manifest: Manifest) -> date:
    return date.fromisoformat(manifest.day)


def _power_of_two(least: float) -> int:
    """The first power of two that is not less."""
    return 1 << max(0, math.ceil(math.log2(max(least, 1))))
