"""The contracts' column types as Arrow types: one place, so that every room writes the same Parquet."""

from __future__ import annotations

import pyarrow as pa

from contracts.tables import Table

_ARROW: dict[str, pa.DataType] = {
    "text": pa.string(),
    "bigint": pa.int64(),
    "integer": pa.int32(),
    "double precision": pa.float64(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us"),
    "boolean": pa.bool_(),
    "text[]": pa.list_(pa.string()),
    "integer[]": pa.list_(pa.int32()),
    "double[]": pa.list_(pa.float64()),
}


def arrow_schema(table: Table) -> pa.Schema:
    """The Arrow schema of a contracted table."""
    return schema_of(table.columns)


def schema_of(columns: dict[str, str]) -> pa.Schema:
    """The Arrow schema of columns with SQL types (see ``contracts.tables``)."""
    return pa.schema([(name, _ARROW[sql_type]) for name, sql_type in columns.items()])
