"""The day's Spark work, in one session: histories, co-visitation and the training set."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contracts import names
from contracts.errors import PartitionMissing
from contracts.tables import FCT_INTERACTIONS, Table
from jobs.features.cutoffs import cutoffs
from jobs.io.lake import Lake, Manifest
from jobs.runs import StepContext, settings_of_run

if TYPE_CHECKING:
    from pyspark.sql import SparkSession
    from pyspark.sql.types import StructType

_OUTPUTS = (names.HISTORIES, names.COVISITATION, names.SEQUENCES)
_NEEDED = ("event_id", "user_id", "item_id", "occurred_at", "event_date", "known_date", "weight")
_ROWS_A_FILE = 400_000
#: Below this many rows Spark's JVM spends more on optimizing its code than on running it.
_ROWS_OF_A_SHORT_SESSION = 600_000


def run(day: date, context: StepContext) -> dict[str, Any]:
    """Build the day's ordered tables from the interactions that it may see; a current day starts no JVM.

    Raises:
        PartitionMissing: no interactions were ever exported for the days that are looked back on.
        PartitionTorn: a partition is not what its manifest says.
    """
    chosen = settings_of_run(context, day)
    lake = context.lake
    read = _interaction_manifests(lake, day, chosen["history_days"])
    inputs = lake.input_digest(
        day.isoformat(),
        {name: chosen[name] for name in ("history_days", "history_length", "judge_days")},
        *([manifest.day, manifest.digest] for manifest in read),
    )
    if all(lake.is_current(table, day, inputs) for table in _OUTPUTS):
        return {"rows": {table: lake.verify(table, day).num_rows for table in _OUTPUTS}, "unchanged": True}
    from jobs.io.spark import spark_session

    paths = lake.files(names.FCT_INTERACTIONS, [date.fromisoformat(manifest.day) for manifest in read])
    num_rows = sum(manifest.num_rows for manifest in read)
    num_files = 1 + num_rows // _ROWS_A_FILE
    with spark_session(context.settings, is_short=num_rows < _ROWS_OF_A_SHORT_SESSION) as spark:
        written = _build(spark, paths, day, chosen, lake, num_files, inputs)
    return {"rows": written, "event_days": len(read)}


def _interaction_manifests(lake: Lake, day: date, history_days: int) -> list[Manifest]:
    """The partitions that the day looks back on, each verified."""
    first = day - timedelta(days=history_days - 1)
    days = lake.days(names.FCT_INTERACTIONS, first=first, until=day)
    if not days:
        raise PartitionMissing(
            f"{names.FCT_INTERACTIONS} has no partition from {first} to {day}. Build it: foretaste step transform --day {day}"
        )
    return [lake.verify(names.FCT_INTERACTIONS, found) for found in days]


def _build(
    spark: SparkSession,
    paths: list[Path],
    day: date,
    chosen: dict[str, Any],
    lake: Lake,
    num_files: int,
    inputs: str,
) -> dict[str, int]:
    from jobs.features.covisitation import covisitation, number_items
    from jobs.features.histories import known_interactions, ordered_histories, ordered_steps
    from jobs.features.training_set import training_set

    read = spark.read.schema(spark_schema(FCT_INTERACTIONS, _NEEDED)).parquet(
        *(escape_glob(path) for path in paths)
    )
    # Kept by user and in order, in a number of parts that follows from the input alone: every table begins with
    # what one user did, and none has to move or sort those rows again.
    interactions = (
        known_interactions(read, day, chosen["history_days"])
        .repartition(num_files, "user_id")
        .sortWithinPartitions("user_id", "occurred_at", "event_id")
        .persist()
    )
    steps = ordered_steps(interactions).persist()
    items = number_items(interactions).persist()
    # Equal bytes on every run: each has its rows in files by a hash of the first key, in the order of a unique one.
    built = {
        names.SEQUENCES: training_set(steps, day, chosen["judge_days"]),
        names.HISTORIES: ordered_histories(
            interactions, steps, chosen["history_length"]
        ).sortWithinPartitions("user_id"),
        names.COVISITATION: covisitation(interactions, items, cutoffs(day, chosen["judge_days"]), num_files),
    }
    written = {}
    for table, rows in built.items():
        folder = lake.staging(table, day)
        rows.write.parquet(str(folder / "spark"))
        written[table] = lake.commit(table, day, folder, num_rows=_count_rows(folder), inputs=inputs).num_rows
    for kept in (items, steps, interactions):
        kept.unpersist()
    return written


def spark_schema(table: Table, columns: tuple[str, ...]) -> StructType:
    """Some columns of a contracted table as Spark reads them."""
    from pyspark.sql import types as T  # noqa: N812 - everybody's name for it

    of = {
        "text": T.StringType(),
        "bigint": T.LongType(),
        "integer": T.IntegerType(),
        "date": T.DateType(),
        "timestamp": T.TimestampNTZType(),
    }
    return T.StructType([T.StructField(name, of[table.columns[name]]) for name in columns])


def escape_glob(path: Path) -> str:
    """A path as Spark takes it literally: it would expand brackets and stars."""
    return "".join(f"\\{letter}" if letter in "[]{}*?\\" else letter for letter in str(path))


def _count_rows(folder: Path) -> int:
    """Rows of a staged folder, from the files' footers."""
    import pyarrow.parquet as pq

    return sum(pq.read_metadata(path).num_rows for path in folder.rglob("*.parquet"))
