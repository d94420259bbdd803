"""An engine without a file of its own: it reads the lake's Parquet and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from functools import cache
from typing import TYPE_CHECKING

from contracts.tables import TABLES
from jobs.io.lake import Lake

if TYPE_CHECKING:
    import duckdb


def engine(threads: int) -> duckdb.DuckDBPyConnection:
    """DuckDB in memory: a connection of its own, whose temporary tables nobody else sees, to one engine of this process."""
    return _engine(threads).cursor()


@cache
def _engine(threads: int) -> duckdb.DuckDBPyConnection:
    """To make one takes longer than most of what it is asked; files are read anew each time, as a partition may change."""
    import duckdb

    return duckdb.connect(config={"threads": threads, "enable_external_file_cache": False})


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
