"""The day's Spark work, in one session: histories and co-visitation; for a retraining its training set as well."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contracts import names
from contracts.errors import PartitionMissing
from contracts.tables import FCT_INTERACTIONS, PAIR_DAYS, TABLES, USER_DAYS, Table
from jobs.features.cutoffs import cutoffs
from jobs.io.lake import Lake, Manifest
from jobs.io.schemas import spark_schema
from jobs.runs import StepContext, settings_of_run

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

#: What is built of a day, by the settings that it depends on; a training set only where a retraining asks for it.
_OF_DAY = (names.HISTORIES, names.COVISITATION)
_OF_TRAINING = (names.SEQUENCES, names.TRAINING_COVISITATION)
_SETTINGS = {_OF_DAY: ("history_days", "history_length"), _OF_TRAINING: ("history_days", "judge_days")}
_NEEDED = ("event_id", "user_id", "item_id", "occurred_at", "event_date", "known_date", "weight")
_ROWS_A_FILE = 100_000
#: Below this many rows Spark's JVM spends more on optimizing its code than on running it.
_ROWS_OF_A_SHORT_SESSION = 300_000


def run(day: date, context: StepContext, *, kind: str = names.DAILY) -> dict[str, Any]:
    """Build the day's ordered tables from the interactions that it may see; a current day starts no JVM.

    What one event day settles is built once and kept (``PARTS_BY_EVENT_DAY``): a run reads the interactions of
    those days only that are new or were revised, and puts its tables together from the parts of all days.

    Raises:
        PartitionMissing: no interactions were ever exported for the days that are looked back on.
        PartitionTorn: a partition is not what its manifest says.
    """
    chosen = settings_of_run(context, day)
    lake = context.lake
    read = _interaction_manifests(lake, day, chosen["history_days"])
    inputs: dict[str, str] = {}
    for tables in (_OF_DAY, _OF_TRAINING) if kind == names.RETRAIN else (_OF_DAY,):
        digest = lake.input_digest(
            day.isoformat(),
            {name: chosen[name] for name in _SETTINGS[tables]},
            *(list(TABLES[table].columns) for table in tables),
            *([manifest.day, manifest.digest] for manifest in read),
        )
        inputs |= dict.fromkeys(tables, digest)
    due = {table: digest for table, digest in inputs.items() if not lake.is_current(table, day, digest)}
    if not due:
        return {"rows": {table: lake.verify(table, day).num_rows for table in inputs}, "unchanged": True}
    from jobs.io.spark import spark_session

    stale = _stale(lake, read, day)
    num_rows = sum(part.manifest.num_rows for part in stale) + sum(found.num_rows for found in read) // 8
    with spark_session(context.settings, is_short=num_rows < _ROWS_OF_A_SHORT_SESSION) as spark:
        if stale:
            _build_parts(spark, stale, day, lake)
        _put_together(spark, [_day_of(manifest) for manifest in read], day, chosen, lake, due)
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
    def num_files(self) -> int:
        """Of each table: what follows from the day alone, so that its bytes do, whatever is built beside it."""
        return 1 + self.manifest.num_rows // _ROWS_A_FILE


def _interaction_manifests(lake: Lake, day: date, history_days: int) -> list[Manifest]:
    """The partitions that the day looks back on, each verified."""
    first = day - timedelta(days=history_days - 1)
    days = lake.days(names.FCT_INTERACTIONS, first=first, until=day)
    if not days:
        raise PartitionMissing(
            f"{names.FCT_INTERACTIONS} has no partition from {first} to {day}. Build it: foretaste step transform --day {day}"
        )
    return [lake.verify(names.FCT_INTERACTIONS, found) for found in days]


def _stale(lake: Lake, read: list[Manifest], day: date) -> list[_Part]:
    """The event days whose parts are not those of their interactions as the run of ``day`` knows them.

    A run that knows all of an event day shares its parts with every later one; only a past day that is run again
    after a late delivery sees less than there is.
    """
    parts = []
    for manifest in read:
        knows_all = _latest_known(lake, _day_of(manifest)) <= day
        inputs = lake.input_digest(
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


def _build_parts(spark: SparkSession, stale: list[_Part], day: date, lake: Lake) -> None:
    """Build and commit the parts of some event days, all in one pass."""
    from jobs.features.covisitation import add_up_pairs, pairs_of_users
    from jobs.features.user_days import known_interactions, user_days

    days = [_day_of(part.manifest) for part in stale]
    interactions = known_interactions(_rows_of(spark, lake, FCT_INTERACTIONS, days, _NEEDED), day)
    _write_parts(USER_DAYS, user_days(_by_file(interactions, "user_id", stale)), stale, day, lake)
    pairs = pairs_of_users(_rows_of(spark, lake, USER_DAYS, days))
    _write_parts(PAIR_DAYS, add_up_pairs(_by_file(pairs, "item_id", stale)), stale, day, lake)


def _by_file(rows: DataFrame, key: str, stale: list[_Part]) -> DataFrame:
    """Rows of several event days, moved so that a part is a file: of one event day, by a hash of the key."""
    from pyspark.sql import functions as F  # noqa: N812 - everybody's name for it

    first = _day_of(stale[0].manifest)
    num_files = {(_day_of(part.manifest) - first).days: part.num_files for part in stale}
    counts = [num_files.get(place, 0) for place in range(max(num_files) + 1)]
    place = F.datediff("event_date", F.lit(first)) + 1
    file = F.pmod(F.xxhash64(key), _at(place, counts)).cast("int")
    return rows.repartitionById(sum(counts), _at(place, list(accumulate(counts, initial=0))) + file)


def _write_parts(table: Table, rows: DataFrame, stale: list[_Part], day: date, lake: Lake) -> None:
    """Write and commit rows of several event days whose parts are files, each in the order of its key."""
    rows.write.parquet(str(staged := lake.staging(table.name, day) / "spark"))
    written = sorted(staged.glob("part-*.parquet"))  # part-00017-….parquet; a part without rows has none
    ends = list(accumulate(part.num_files for part in stale))
    for part, end in zip(stale, ends, strict=True):
        folder = staged / part.manifest.day
        folder.mkdir()
        for path in written:
            if end - part.num_files <= int(path.name.split("-")[1]) < end and _num_rows(path):
                path.rename(folder / path.name)
        lake.commit(
            table.name,
            _day_of(part.manifest),
            folder,
            num_rows=_count_rows(folder),
            inputs=part.inputs,
        )
    shutil.rmtree(staged.parent)


def _at(place: Column, values: list[int]) -> Column:
    """The value at a place, counted from 1."""
    from pyspark.sql import functions as F  # noqa: N812 - everybody's name for it

    return F.element_at(F.array(*map(F.lit, values)), place)


def _put_together(
    spark: SparkSession,
    event_days: list[date],
    day: date,
    chosen: dict[str, Any],
    lake: Lake,
    due: dict[str, str],
) -> None:
    """Build and commit those of the day's tables that are due, with their inputs, from the parts of the event days."""
    from jobs.features.covisitation import covisitation
    from jobs.features.histories import ordered_histories
    from jobs.features.training_set import training_set

    num_user_days, num_pairs = (
        sum(lake.verify(table, found).num_rows for found in event_days) for table in names.PARTS_BY_EVENT_DAY
    )
    num_files = 1 + num_user_days // _ROWS_A_FILE
    # Equal bytes on every run: each table has its rows in files by a hash of the first key, in the order of a unique
    # one, in a number of files that follows from the input alone.
    user_days = (
        _rows_of(spark, lake, USER_DAYS, event_days)
        .repartition(num_files, "user_id")
        .sortWithinPartitions("user_id", "event_date")
    )
    neighbours = partial(
        covisitation,
        _rows_of(spark, lake, PAIR_DAYS, event_days),
        num_pairs=num_pairs,
        num_parts=num_files,
    )
    _, *earlier = cutoffs(day, chosen["judge_days"])
    build_of: dict[str, Callable[[], DataFrame]] = {
        names.SEQUENCES: lambda: training_set(user_days, day, chosen["judge_days"]),
        names.HISTORIES: lambda: ordered_histories(user_days, chosen["history_length"]).sortWithinPartitions(
            "user_id"
        ),
        names.COVISITATION: lambda: neighbours([day]).drop("cutoff_date"),
        names.TRAINING_COVISITATION: lambda: neighbours(sorted(set(earlier))),
    }
    for table, inputs in due.items():
        folder = lake.staging(table, day)
        build_of[table]().write.parquet(str(folder / "spark"))
        lake.commit(table, day, folder, num_rows=_count_rows(folder), inputs=inputs)
    spark.catalog.clearCache()


def _rows_of(
    spark: SparkSession, lake: Lake, table: Table, days: list[date], columns: tuple[str, ...] | None = None
) -> DataFrame:
    """Several partitions of a table as one frame; verify them first."""
    paths = [escape_glob(path) for path in lake.files(table.name, days)]
    schema = spark_schema(table, columns)
    return spark.read.schema(schema).parquet(*paths) if paths else spark.createDataFrame([], schema)


def _day_of(manifest: Manifest) -> date:
    return date.fromisoformat(manifest.day)


def escape_glob(path: Path) -> str:
    """A path as Spark takes it literally: it would expand brackets and stars."""
    return "".join(f"\\{letter}" if letter in "[]{}*?\\" else letter for letter in str(path))


def _count_rows(folder: Path) -> int:
    """Rows of a staged folder, from the files' footers."""
    return sum(_num_rows(path) for path in folder.rglob("*.parquet"))


def _num_rows(path: Path) -> int:
    import pyarrow.parquet as pq

    return int(pq.read_metadata(path).num_rows)
