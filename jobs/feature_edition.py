"""The features of a day, packed for the online store: column by column, many rows at once.

R rows of a table, sorted by entity · E entities, sorted · F columns of a packed row · W bytes of a packed row
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from contracts.errors import GateRefused
from contracts.online_features import (
    DTYPES,
    ENTITIES,
    Catalogue,
    PackedColumn,
    PackedTable,
    Rows,
    text_field,
)
from contracts.tables import TABLES, Table

ByteArray = npt.NDArray[np.uint8]
IntArray = npt.NDArray[np.int64]

#: Rows that are moved to their entities at once: few enough for the caches, many enough for NumPy.
_BLOCK = 4096
_SIGNED, _UNSIGNED = "bhiq", "BHI"


def online_tables() -> tuple[Table, ...]:
    """The feature tables, all of which are published: of users and items, by day, with at most one more key (a category)."""
    return tuple(table for table in TABLES.values() if table.short_name.startswith("feat_"))


def further_key(table: Table) -> str | None:
    """The column that tells an entity's rows apart; None where each entity has one row."""
    return next((column for column in table.key[1:] if column != "feature_date"), None)


@dataclass(frozen=True)
class FeatureEdition:
    """What a version publishes of features, ready to be written, and the tables that it was made of."""

    catalogue: Catalogue
    ids: dict[str, list[str]]  # of each entity, rising
    packed: dict[str, list[bytes]]  # likewise
    texts: dict[str, str]  # field → text
    tables: dict[str, pa.Table]

    @property
    def num_fields(self) -> int:
        return sum(map(len, self.ids.values())) + len(self.texts)

    @property
    def num_bytes(self) -> int:
        """What the store has to hold, without what it needs for itself."""
        ids = sum(len(each) for found in self.ids.values() for each in found)
        packed = sum(len(each) for found in self.packed.values() for each in found)
        return ids + packed + sum(len(field) + len(text) for field, text in self.texts.items())

    def offline(self, entity: str, ids: Sequence[str]) -> dict[str, Rows]:
        """What the tables themselves say of some entities, in the shape in which a reader gets it."""
        of_entity = self.catalogue.of(entity)
        found: dict[str, Rows] = {each: {table.name: [] for table in of_entity} for each in ids}
        for table in of_entity:
            rows = self.tables[table.name]
            rows = rows.filter(pc.is_in(rows[entity], pa.array(ids, pa.string())))
            columns = [rows[column.name].to_pylist() for column in table.columns]
            for each, *values in zip(rows[entity].to_pylist(), *columns, strict=True):
                found[each][table.name].append(tuple(values))
        return found


@dataclass(frozen=True)
class _Packed:
    """A table's rows, packed, and whose they are."""

    table: PackedTable
    rows_RW: ByteArray
    entity_R: IntArray  # index into the entities, rising
    texts: dict[str, str]


def feature_edition_of(day: date, rows: Mapping[str, pa.Table]) -> FeatureEdition:
    """The edition of a day's feature tables, given by their short names.

    Raises:
        GateRefused: a row is nobody's, or an entity has a second row where it can have but one.
    """
    tables, packed = dict[str, pa.Table](), list[_Packed]()
    ids, packed_of = dict[str, list[str]](), dict[str, list[bytes]]()
    digest = hashlib.sha256()
    for entity in ENTITIES:
        declared = [table for table in online_tables() if table.key[0] == entity]
        of_entity = {table.short_name: rows[table.short_name] for table in declared}
        everyone = _everyone(entity, of_entity)
        first = len(packed)
        for table in declared:
            ordered, entity_R = _ordered(table, of_entity[table.short_name], everyone)
            tables[table.short_name] = ordered
            packed.append(_pack(table, ordered, entity_R))
        text, ends = _side_by_side(packed[first:], len(everyone))
        ids[entity] = everyone.to_pylist()
        packed_of[entity] = [text[begin:end] for begin, end in pairwise(ends)]
        digest.update("\x1f".join([entity, *ids[entity]]).encode())
        digest.update(text)
    texts = {field: told for each in packed for field, told in each.texts.items()}
    catalogue = Catalogue(
        day=day.isoformat(),
        digest="",
        num_entities={entity: len(found) for entity, found in ids.items()},
        tables=tuple(each.table for each in packed),
    )
    digest.update(json.dumps([asdict(catalogue), texts], sort_keys=True).encode())
    return FeatureEdition(replace(catalogue, digest=digest.hexdigest()), ids, packed_of, texts, tables)


def _everyone(entity: str, tables: Mapping[str, pa.Table]) -> pa.Array:
    """The ids of all tables of an entity, each once, rising."""
    chunks = [chunk for rows in tables.values() for chunk in rows[entity].chunks]
    found = pa.chunked_array(chunks, pa.string()).unique()
    if found.null_count:
        raise GateRefused(f"a row of {' or '.join(tables)} has no {entity}: nothing is published")
    return found.take(pc.array_sort_indices(found))


def _ordered(table: Table, rows: pa.Table, everyone: pa.Array) -> tuple[pa.Table, IntArray]:
    """The rows in the order of their entities, and each one's entity as an index."""
    entity_R = _numpy(pc.index_in(rows[table.key[0]], everyone)).astype(np.int64)
    by = further_key(table)
    if by or (np.diff(entity_R) < 0).any():
        rows = rows.sort_by([(column, "ascending") for column in (table.key[0], by) if column])
        entity_R = np.sort(entity_R)
    if not by and len(entity_R) and (np.diff(entity_R) == 0).any():
        twice = everyone[int(entity_R[np.argmin(np.diff(entity_R))])].as_py()
        raise GateRefused(
            f"{table.short_name} has two rows of {twice!r}: nothing is published. Build the day again"
        )
    return rows, entity_R


def _pack(table: Table, rows: pa.Table, entity_R: IntArray) -> _Packed:
    by = further_key(table)
    columns, values, texts = list[PackedColumn](), list[npt.NDArray[Any]](), dict[str, str]()
    described = {feature.name: feature for feature in table.features}
    for name in (*([by] if by else []), *described):
        code, stored_R, words = _stored(rows[name], table.columns[name])
        about = described.get(name)
        columns.append(
            PackedColumn(
                name, table.columns[name], code, about.unit if about else "", about.missing if about else None
            )
        )
        values.append(stored_R)
        texts |= {text_field(table.short_name, name, at): word for at, word in enumerate(words)}
    packed = PackedTable(table.short_name, table.key[0], table.grain, by, tuple(columns))
    rows_RW = np.zeros((rows.num_rows, packed.row_bytes), np.uint8)
    is_null_RF = np.stack([_numpy(pc.is_null(rows[column.name])) for column in columns], axis=1)
    rows_RW[:, : packed.num_mask_bytes] = np.packbits(is_null_RF, axis=1, bitorder="little")
    at = packed.num_mask_bytes
    for stored_R in values:
        width = stored_R.dtype.itemsize
        rows_RW[:, at : at + width] = stored_R.view(np.uint8).reshape(-1, width)
        at += width
    return _Packed(packed, rows_RW, entity_R, texts)


def _stored(column: pa.ChunkedArray, data_type: str) -> tuple[str, npt.NDArray[Any], list[str]]:
    """A column in the narrowest type that holds it, as ``struct`` and NumPy know it; nulls are zeros. A text is a code."""
    words: list[str] = []
    if data_type == "text":
        vocabulary = pc.drop_null(column.unique())
        vocabulary = vocabulary.take(pc.array_sort_indices(vocabulary))
        words = vocabulary.to_pylist()
        column, code = pc.index_in(column, vocabulary), _narrowest(_UNSIGNED, 0, len(words))
    elif data_type == "boolean":
        code = "?"
    elif data_type == "double precision":
        code = "d"
    else:
        span = pc.min_max(column).as_py()
        code = _narrowest(_SIGNED, span["min"] or 0, span["max"] or 0)
    filled = pc.fill_null(column, False if code == "?" else 0)
    return code, np.ascontiguousarray(_numpy(filled).astype(DTYPES[code])), words


def _narrowest(codes: str, low: int, high: int) -> str:
    bounds = ((code, np.iinfo(DTYPES[code])) for code in codes)
    return next(code for code, info in bounds if info.min <= low and high <= info.max)


def _side_by_side(parts: Sequence[_Packed], num_entities: int) -> tuple[bytes, list[int]]:
    """Each entity's count and rows of every table, one entity after the other; and where each begins and the last ends."""
    counts = [np.bincount(part.entity_R, minlength=num_entities) for part in parts]
    heads = [struct.calcsize("<" + part.table.count_code) for part in parts]
    lengths = [
        head + count * part.table.row_bytes for part, head, count in zip(parts, heads, counts, strict=True)
    ]
    ends = np.concatenate([[0], np.cumsum(np.sum(lengths, axis=0, dtype=np.int64))])
    found = np.zeros(int(ends[-1]), np.uint8)
    begin_E = ends[:-1].copy()
    for part, head, count_E, length_E in zip(parts, heads, counts, lengths, strict=True):
        width = part.table.row_bytes
        counted = np.ascontiguousarray(count_E.astype(DTYPES[part.table.count_code]))
        found[begin_E[:, None] + np.arange(head)] = counted.view(np.uint8).reshape(-1, head)
        # The rows of an entity stand in one stretch: the n-th of all begins n widths after the first of the entity's.
        ordinal_R = np.arange(len(part.entity_R)) - (np.cumsum(count_E) - count_E)[part.entity_R]
        at_R = begin_E[part.entity_R] + head + ordinal_R * width
        for start in range(0, len(at_R), _BLOCK):
            block = slice(start, start + _BLOCK)
            found[at_R[block, None] + np.arange(width)] = part.rows_RW[block]
        begin_E += length_E
    return found.tobytes(), ends.tolist()


def _numpy(values: pa.Array | pa.ChunkedArray) -> npt.NDArray[Any]:
    found: npt.NDArray[Any] = (
        values.to_numpy() if isinstance(values, pa.ChunkedArray) else values.to_numpy(zero_copy_only=False)
    )
    return found
