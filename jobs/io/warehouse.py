"""DuckDB or PostgreSQL behind two verbs: read and replace."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import date
from typing import TYPE_CHECKING, Any, Protocol

from contracts import names
from contracts.errors import ServiceUnreachable
from contracts.settings import Settings
from contracts.tables import Table
from jobs.io.commit import cross
from jobs.io.state import Lease

if TYPE_CHECKING:
    import pyarrow as pa


class Warehouse(Protocol):
    """What a step may ask of either warehouse."""

    def read(self, sql: str, columns: dict[str, str]) -> pa.Table:
        """The rows of a query, in its order, with the columns and types that are named."""

    def execute(self, sql: str) -> None:
        """Run one statement that returns nothing."""

    def replace(
        self, schema: str, table: Table, column: str, values: Sequence[date], rows: pa.Table, lease: Lease
    ) -> None:
        """Replace, in one transaction, every row whose ``column`` is one of ``values``."""

    def given(self, name: str, columns: dict[str, str], rows: pa.Table) -> AbstractContextManager[None]:
        """Rows that queries may read under a name as long as the context lasts; nobody else sees them."""

    def columns(self, schema: str, name: str) -> set[str]:
        """The columns of a table or view; none where it does not exist."""


def prepare(warehouse: Warehouse, schema: str, table: Table) -> None:
    """Create a table where it is missing, and in one that an older Foretaste has made the columns that it lacks."""
    target = f"{schema}.{table.short_name}"
    present = warehouse.columns(schema, table.short_name)
    if not present:
        columns = ", ".join(f"{name} {sql_type}" for name, sql_type in table.columns.items())
        warehouse.execute(f"create table if not exists {target} ({columns})")
    for name, sql_type in table.columns.items():
        if present and name not in present:
            warehouse.execute(f"alter table {target} add column if not exists {name} {sql_type}")


@contextmanager
def open_warehouse(settings: Settings) -> Iterator[Warehouse]:
    """Open the warehouse that the settings name, with the landing and ops schemas in place.

    Raises:
        ServiceUnreachable: another process owns the DuckDB file, or PostgreSQL does not answer.
    """
    opened = _open_duckdb(settings) if settings.is_warehouse_embedded else _open_postgres(settings)
    with opened as warehouse:
        for schema in (names.WAREHOUSE_RAW, names.WAREHOUSE_OPS):
            warehouse.execute(f"create schema if not exists {schema}")
        yield warehouse


class _DuckDB:
    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def read(self, sql: str, columns: dict[str, str]) -> pa.Table:
        from jobs.io.schemas import schema_of

        table = self._connection.sql(sql).to_arrow_table()
        return table.select(list(columns)).cast(schema_of(columns))

    def execute(self, sql: str) -> None:
        self._connection.execute(sql)

    @contextmanager
    def given(self, name: str, columns: dict[str, str], rows: pa.Table) -> Iterator[None]:
        self._connection.register(name, rows.select(list(columns)))
        try:
            yield
        finally:
            self._connection.unregister(name)

    def columns(self, schema: str, name: str) -> set[str]:
        found = self._connection.execute(
            "select column_name from information_schema.columns where table_schema = ? and table_name = ?",
            [schema, name],
        ).fetchall()
        return {column for (column,) in found}

    def replace(
        self, schema: str, table: Table, column: str, values: Sequence[date], rows: pa.Table, lease: Lease
    ) -> None:
        connection = self._connection
        prepare(self, schema, table)
        target = f"{schema}.{table.short_name}"
        connection.register("replacing_rows", rows)
        connection.execute("begin")
        try:
            connection.execute(
                f"delete from {target} where {column} in (select unnest(?::date[]))", [list(values)]
            )
            connection.execute(f"insert into {target} by name select * from replacing_rows")
            cross("warehouse:replaced")
            with lease.guard():
                connection.execute("commit")
        except BaseException:
            connection.execute("rollback")
            raise
        finally:
            connection.unregister("replacing_rows")
        cross("warehouse:committed")


@contextmanager
def _open_duckdb(settings: Settings) -> Iterator[Warehouse]:
    import duckdb

    path = settings.duckdb_path
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        connection = duckdb.connect(
            str(path), config={"threads": settings.threads, "temp_directory": str(path.parent / "spill")}
        )
    except duckdb.IOException as error:
        raise ServiceUnreachable(
            f"the warehouse file {path} is owned by another process: {str(error).splitlines()[0]}. "
            "Wait for that step to end; under Airflow the pool 'warehouse' sees to it."
        ) from error
    try:
        yield _DuckDB(connection)
    finally:
        connection.close()


class _Postgres:
    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def read(self, sql: str, columns: dict[str, str]) -> pa.Table:
        from pyarrow import csv

        from jobs.io.schemas import schema_of

        schema = schema_of(columns)
        buffer = io.BytesIO()
        command = f"copy ({sql}) to stdout (format csv, header true)"
        with self._connection.cursor() as cursor, cursor.copy(command) as stream:
            for chunk in stream:
                buffer.write(chunk)
        self._connection.commit()
        buffer.seek(0)
        options = csv.ConvertOptions(
            column_types=schema,
            include_columns=list(columns),
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            null_values=[""],
            true_values=["t"],
            false_values=["f"],
        )
        parse = csv.ParseOptions(newlines_in_values=True)
        return csv.read_csv(buffer, convert_options=options, parse_options=parse).cast(schema)

    def execute(self, sql: str) -> None:
        self._connection.execute(sql)
        self._connection.commit()

    @contextmanager
    def given(self, name: str, columns: dict[str, str], rows: pa.Table) -> Iterator[None]:
        declared = ", ".join(f"{column} {sql_type}" for column, sql_type in columns.items())
        self._connection.execute(f"create temporary table {name} ({declared})")
        try:
            self._copy(name, rows.select(list(columns)))
            self._connection.execute(f"analyze {name}")  # nobody else ever counts a temporary table's rows
            self._connection.commit()
            yield
        finally:
            self._connection.rollback()
            self.execute(f"drop table if exists {name}")

    def columns(self, schema: str, name: str) -> set[str]:
        found = self._connection.execute(
            "select column_name from information_schema.columns where table_schema = %s and table_name = %s",
            [schema, name],
        ).fetchall()
        self._connection.commit()
        return {column for (column,) in found}

    def replace(
        self, schema: str, table: Table, column: str, values: Sequence[date], rows: pa.Table, lease: Lease
    ) -> None:
        connection = self._connection
        target = f"{schema}.{table.short_name}"
        prepare(self, schema, table)
        try:
            connection.execute(f"delete from {target} where {column} = any(%s)", [list(values)])
            self._copy(target, rows.select(list(table.columns)))
            cross("warehouse:replaced")
            with lease.guard():
                connection.commit()
        except BaseException:
            connection.rollback()
            raise
        cross("warehouse:committed")

    def _copy(self, target: str, rows: pa.Table) -> None:
        """Append rows to a table that has their columns, within the transaction that is open."""
        from pyarrow import csv

        buffer = io.BytesIO()
        csv.write_csv(rows, buffer, csv.WriteOptions(include_header=False, quoting_style="needed"))
        command = f"copy {target} ({', '.join(rows.column_names)}) from stdin (format csv)"
        with self._connection.cursor() as cursor, cursor.copy(command) as stream:
            stream.write(buffer.getvalue())


@contextmanager
def _open_postgres(settings: Settings) -> Iterator[Warehouse]:
    import psycopg

    try:
        connection = psycopg.connect(settings.warehouse_url.get_secret_value(), options="-c timezone=UTC")
    except psycopg.OperationalError as error:
        raise ServiceUnreachable(
            f"the warehouse (FORETASTE_WAREHOUSE_URL) does not answer: {str(error).splitlines()[0]}"
        ) from error
    with connection:
        yield _Postgres(connection)
