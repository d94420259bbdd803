"""How published features are packed and unpacked, and what a reader may think of each: jobs write them, readers read them.

Everything that a version knows about one user (or one item) is one field of a hash. It holds the feature tables of that
entity one after the other, in the order of the version's catalogue: how many rows there are (one byte for a table with a
row an entity, four for one with more), then each row: a bitmap of what is missing, bit i for column i, then the values,
little-endian, in the types that the catalogue names. A text is a code; the version's ``feature_texts`` say which.

The catalogue is written once a version: tables, columns, types, units, and the words for what is missing.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

USER, ITEM = "user_id", "item_id"
ENTITIES = (USER, ITEM)

FRESH = "fresh"
MISSING = "missing"  # null, or the entity has no row at all
OUTDATED = "outdated"  # of a day too long ago to be relied upon
UNKNOWN = "unknown"  # there is nobody of that id
WITHHELD = "withheld"  # the user has withdrawn consent since it was published
STATUSES = (FRESH, MISSING, OUTDATED, UNKNOWN, WITHHELD)

#: What a code of ``struct`` is to NumPy; a writer takes the narrowest that holds a column's values.
DTYPES = {
    "?": "u1", "b": "i1", "h": "<i2", "i": "<i4", "q": "<i8", "B": "u1", "H": "<u2", "I": "<u4", "d": "<f8",
}  # fmt: skip


@dataclass(frozen=True)
class PackedColumn:
    """A column of a packed row."""

    name: str
    data_type: str  # as the table declares it
    code: str  # how it is stored, as ``struct`` writes it
    unit: str = ""
    missing: str | None = None  # what it means when it is null

    @property
    def is_text(self) -> bool:
        return self.data_type == "text"


@dataclass(frozen=True)
class PackedTable:
    """A feature table as a version holds it; with a further key its first column is that key."""

    name: str
    entity: str
    grain: str
    by: str | None
    columns: tuple[PackedColumn, ...]

    @property
    def count_code(self) -> str:
        return "I" if self.by else "B"

    @property
    def num_mask_bytes(self) -> int:
        return -(-len(self.columns) // 8)

    @property
    def values_code(self) -> str:
        return "<" + "".join(column.code for column in self.columns)

    @property
    def row_bytes(self) -> int:
        return self.num_mask_bytes + struct.calcsize(self.values_code)


Row = tuple[Any, ...]
#: Table → its rows, each value in the order of the table's columns.
Rows = dict[str, list[Row]]


@dataclass(frozen=True)
class Catalogue:
    """What features a version holds: written once, read before everything else of them."""

    day: str  # whose end they describe
    digest: str
    num_entities: dict[str, int]
    tables: tuple[PackedTable, ...]

    def of(self, entity: str) -> tuple[PackedTable, ...]:
        return tuple(table for table in self.tables if table.entity == entity)

    def to_json(self) -> str:
        return json.dumps(asdict(self), sort_keys=True, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str | bytes) -> Catalogue:
        values = json.loads(text)
        tables = tuple(
            PackedTable(**table | {"columns": tuple(PackedColumn(**column) for column in table["columns"])})
            for table in values["tables"]
        )
        return cls(**values | {"tables": tables})


def unpack(tables: Sequence[PackedTable], packed: bytes) -> Rows:
    """One entity's rows by table; texts are still codes, see :func:`text_fields`.

    Raises:
        ValueError: the bytes are no rows of these tables.
    """
    found: Rows = {}
    at = 0
    try:
        for table in tables:
            (num_rows,) = struct.unpack_from("<" + table.count_code, packed, at)
            at += struct.calcsize("<" + table.count_code)
            rows = []
            for _ in range(num_rows):
                mask = int.from_bytes(packed[at : at + table.num_mask_bytes], "little")
                values = struct.unpack_from(table.values_code, packed, at + table.num_mask_bytes)
                rows.append(tuple(None if mask >> place & 1 else value for place, value in enumerate(values)))
                at += table.row_bytes
            found[table.name] = rows
    except struct.error as error:
        raise ValueError(
            f"{len(packed)} bytes are no features of {[table.name for table in tables]}"
        ) from error
    if at != len(packed):
        raise ValueError(
            f"{len(packed)} bytes hold more than the features of {[table.name for table in tables]}"
        )
    return found


def text_field(table: str, column: str, code: int) -> str:
    """The field of ``feature_texts`` that says what a code means."""
    return f"{table}.{column}:{code}"


def text_fields(tables: Sequence[PackedTable], rows: Rows) -> list[str]:
    """The fields of ``feature_texts`` that are needed to read some rows, none twice."""
    found = {
        text_field(table.name, column.name, row[place])
        for table in tables
        for place, column in enumerate(table.columns)
        if column.is_text
        for row in rows[table.name]
        if row[place] is not None
    }
    return sorted(found)


def with_texts(tables: Sequence[PackedTable], rows: Rows, texts: Mapping[str, str]) -> Rows:
    """The rows with texts in place of codes."""
    return {
        table.name: [
            tuple(
                texts[text_field(table.name, column.name, value)]
                if column.is_text and value is not None
                else value
                for column, value in zip(table.columns, row, strict=True)
            )
            for row in rows[table.name]
        ]
        for table in tables
    }


@dataclass(frozen=True)
class OnlineFeature:
    """One published value and what may be thought of it; only what is ``fresh`` may be taken for how things are."""

    table: str
    name: str
    of: str | None  # the category, say, of a table that has several rows an entity
    value: Any
    unit: str
    status: str
    why: str = ""  # it is not fresh


def judge(
    catalogue: Catalogue,
    entity: str,
    rows: Rows | None,
    *,
    is_known: bool,
    today: date,
    max_age_days: int,
    withheld: str = "",
) -> list[OnlineFeature]:
    """Every feature of an entity with its status, as of a day.

    Args:
        rows: None where the version holds nothing of that id.
        is_known: has the version anything else of that id, a list say?
        withheld: why nothing of that id may be told, or "".
    """
    age = (today - date.fromisoformat(catalogue.day)).days
    late = (
        f"describes {catalogue.day}, {age} days ago; more than {max_age_days} are too many"
        if age > max_age_days
        else ""
    )
    found = []
    for table in catalogue.of(entity):
        for of, column, value, exists in _values(table, (rows or {}).get(table.name, [])):
            if withheld:
                status, why = WITHHELD, withheld
            elif rows is None and not is_known:
                status, why = UNKNOWN, f"nothing of this id was known on {catalogue.day}"
            elif late:
                status, why = OUTDATED, late
            elif not exists:
                status, why = (
                    MISSING,
                    f"{table.name} has no row of it on {catalogue.day}. It has: {table.grain}",
                )
            elif value is None:
                status, why = MISSING, column.missing or "null, which its description does not foresee"
            else:
                status, why = FRESH, ""
            found.append(OnlineFeature(table.name, column.name, of, value, column.unit, status, why))
    return found


def _values(table: PackedTable, rows: Sequence[Row]) -> Iterator[tuple[str | None, PackedColumn, Any, bool]]:
    """Key, column, value, and whether there was a row, for each value; without rows each feature once."""
    first = 1 if table.by else 0
    for row in rows or [(None,) * len(table.columns)]:
        of = row[0] if table.by else None
        for column, value in zip(table.columns[first:], row[first:], strict=True):
            yield of, column, value, bool(rows)
