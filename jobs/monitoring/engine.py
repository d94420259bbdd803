"""An engine without a file of its own: it reads the lake's Parquet and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING

from contracts.tables import TABLES
from jobs.io.lake import Lake

if TYPE_CHECKING:
    import duckdb


def engine(threads: int) -> duckdb.DuckDBPyConnection:
    """DuckDB in memory."""
    import duckdb

    return duckdb.connect(config={"threads": threads})


def source(lake: Lake, table: str, days: Sequence[date]) -> str:
    """Some partitions, verified, as a relation in SQL; without any, one of the same columns and no rows.

    Raises:
        PartitionMissing: one of the days has no partition.
        PartitionTorn: a file's bytes are not those of its manifest.
    """
    for day in days:
        lake.verify(table, day)
    files = [str(path).replace("'", "''") for path in lake.files(table, days)]
    if files:
        listed = ", ".join(f"'{path}'" for path in files)
        return f"read_parquet([{listed}], hive_partitioning = false)"
    columns = ", ".join(f"cast(null as {kind}) as {name}" for name, kind in TABLES[table].columns.items())
    return f"(select {columns} where false)"
