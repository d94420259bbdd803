"""Replace the partitions that new rows belong to, whole, in lake and warehouse."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING

from contracts import names
from contracts.feed import HAPPENED
from contracts.tables import (
    RAW_CONSENTS,
    RAW_DECISIONS,
    RAW_EVENTS,
    RAW_IDENTITIES,
    RAW_ITEMS,
    RAW_USERS,
    Table,
)
from jobs.io.commit import digest_of
from jobs.io.lake import Lake
from jobs.io.schemas import arrow_schema
from jobs.io.state import DELIVERIES
from jobs.io.warehouse import open_warehouse
from jobs.runs import StepContext

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

TABLES = {
    "events": RAW_EVENTS,
    "decisions": RAW_DECISIONS,
    "items": RAW_ITEMS,
    "users": RAW_USERS,
    "consents": RAW_CONSENTS,
    "identities": RAW_IDENTITIES,
}
DAY_COLUMN = {kind: "event_date" if kind in HAPPENED else "received_date" for kind in TABLES}


def replace_partitions(
    rows: Mapping[str, pa.Table],
    known: Mapping[str, date],
    context: StepContext,
    left: Mapping[str, Collection[date]] | None = None,
) -> list[date]:
    """Replace every partition that new rows belong to; returns the days on which something new happened.

    ``rows`` are by kind, ``known`` is the first day whose run may see the rows of a delivery, by its key; ``left`` are the
    days, by kind, of other partitions that a killed landing may have written.
    What a partition holds of deliveries that were never recorded is what a killed landing left, and goes: with the whole
    partition, where there is nothing else in it. Rows that it has already, because this was cut short before, are not doubled.
    """
    import duckdb
    import pyarrow as pa

    touched: set[date] = set()
    recorded = context.state.all(DELIVERIES).values()
    connection = duckdb.connect(config={"threads": context.settings.threads})
    try:
        with open_warehouse(context.settings) as warehouse:
            for kind in (kind for kind in TABLES if kind in rows or (left or {}).get(kind)):
                table, column = TABLES[kind], DAY_COLUMN[kind]
                received = [each["received_date"] for each in recorded if each["kind"] == kind]
                arrived = _arrive(connection, kind, rows.get(kind, _nothing_of(table)), known)
                days = sorted({*arrived, *(left or {}).get(kind, ())})
                partitions = []
                for day in days:
                    partition = _merged_partition(connection, table, column, day, received, context.lake)
                    if partition.num_rows:
                        context.lake.replace(table.name, day, partition, inputs=_partition_inputs(partition))
                    else:
                        context.lake.drop(table.name, day)
                    partitions.append(partition)
                if partitions:
                    warehouse.replace(
                        names.WAREHOUSE_RAW, table, column, days, pa.concat_tables(partitions), context.lease
                    )
                if kind in HAPPENED:
                    touched.update(arrived)
    finally:
        connection.close()
    return sorted(touched)


def _nothing_of(table: Table) -> pa.Table:
    return arrow_schema(table).empty_table().drop_columns(["known_date"])


def _arrive(
    connection: duckdb.DuckDBPyConnection, kind: str, new: pa.Table, known: Mapping[str, date]
) -> list[date]:
    """Make ``arrived`` of new rows and their known_date; returns the days of the partitions they belong to."""
    import pyarrow as pa

    of_kind = {key.partition("/")[2]: day for key, day in known.items() if key.startswith(f"{kind}/")}
    knowns = pa.table(
        {
            "received_date": pa.array([date.fromisoformat(each) for each in of_kind], pa.date32()),
            "known_date": pa.array(of_kind.values(), pa.date32()),
        }
    )
    connection.register("new_rows", new)
    connection.register("knowns", knowns)
    connection.execute(
        "create or replace temp table arrived as select * from new_rows join knowns using (received_date)"
    )
    found = connection.execute(f"select distinct {DAY_COLUMN[kind]} from arrived order by 1").fetchall()
    return [row[0] for row in found]


def _merged_partition(
    connection: duckdb.DuckDBPyConnection,
    table: Table,
    column: str,
    day: date,
    received: Sequence[str],
    lake: Lake,
) -> pa.Table:
    """What a partition held of recorded deliveries, and what has arrived, in the order of its key."""
    columns = ", ".join(table.columns)
    parts = [f"select {columns} from arrived where {column} = date '{day}'"]
    if received and lake.manifest(table.name, day) is not None:
        connection.register("held", _completed(lake.read(table.name, day), table))
        among = ", ".join(f"date '{each}'" for each in received)
        parts.append(
            f"select {columns} from held anti join arrived using ({', '.join(table.key)}) where received_date in ({among})"
        )
    merged = connection.sql(
        f"select * from ({' union all '.join(parts)}) order by {', '.join(table.key)}"
    ).to_arrow_table()
    return merged.select(list(table.columns)).cast(arrow_schema(table))


def _completed(rows: pa.Table, table: Table) -> pa.Table:
    """Rows with every column of the contract: a partition that was written before a column was lacks it."""
    import pyarrow as pa

    for field in arrow_schema(table):
        if field.name not in rows.column_names:
            rows = rows.append_column(field, pa.nulls(rows.num_rows, field.type))
    return rows


def _partition_inputs(partition: pa.Table) -> str:
    """The deliveries that a partition's rows came with, and since when they are known."""
    told = partition.group_by(["received_date", "known_date"]).aggregate([]).to_pylist()
    return digest_of(sorted(f"{row['received_date']} {row['known_date']}" for row in told))
