"""Read a delivery's files into one Arrow table of text, with the file and line of every row.

Whoever reads on decides what a value means; here only the shape of a file matters. A row that has no
shape (ragged, not UTF-8, not JSON) comes back apart, with its reason.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import json
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contracts.errors import FeedInvalid
from contracts.feed import COLUMNS, COLUMNS_REQUIRED
from jobs.feed_reader import Delivery
from jobs.landing.plain_csv import read_plain_csv

if TYPE_CHECKING:
    import pyarrow as pa

_MAX_RATIO = 200  # a gzip file that grows more than this is no delivery
_MAX_BYTES = 8 << 30
_ENCODINGS = ((b"\xff\xfe", "UTF-16"), (b"\xfe\xff", "UTF-16"))


@dataclass(frozen=True)
class Unshaped:
    """A row that could not even be split into columns."""

    source_file: str
    line: int
    reason: str
    raw_line: str


def read_delivery(delivery: Delivery) -> tuple[pa.Table, list[Unshaped]]:
    """Every row of a delivery as text columns of the contract, ``source_file`` and ``line``; and what has no shape.

    Raises:
        FeedInvalid: a file is empty, torn, of another encoding, or has other columns than the contract.
    """
    import pyarrow as pa

    tables, unshaped = [], []
    for path in delivery.files:
        table, bad = _read_file(path, delivery.kind)
        tables.append(table)
        unshaped += bad
    if not tables:
        raise FeedInvalid(
            f"{delivery.key} is complete but holds no file. Deliver one, with a header at least, or remove the folder"
        )
    return pa.concat_tables(tables), unshaped


def _read_file(path: Path, kind: str) -> tuple[pa.Table, list[Unshaped]]:
    name = path.name.removesuffix(".gz")
    if name.endswith(".parquet"):
        return _read_parquet(path, kind), []
    raw = _unpacked(path)
    return _read_csv(path, kind, raw) if name.endswith(".csv") else _read_json_lines(path, kind, _text(raw))


def _unpacked(path: Path) -> bytes:
    """What a file holds, without the mark that says UTF-8."""
    raw = path.read_bytes()
    if path.name.endswith(".gz"):
        try:
            with gzip.open(path) as stream:
                limit = min(_MAX_BYTES, max(len(raw) * _MAX_RATIO, 1 << 20))
                unpacked = stream.read(limit + 1)
        except (OSError, EOFError, zlib.error) as error:
            raise FeedInvalid(f"{path} is torn: {error}. Deliver it again, whole") from error
        if len(unpacked) > limit:
            raise FeedInvalid(
                f"{path} unpacks to more than {limit >> 20} MiB, {_MAX_RATIO} times its size. Deliver smaller files"
            )
        raw = unpacked
    for mark, encoding in _ENCODINGS:
        if raw.startswith(mark):
            raise FeedInvalid(
                f"{path} is {encoding}; a feed is UTF-8. Convert it: iconv -f {encoding} -t UTF-8"
            )
    if not raw.strip():
        raise FeedInvalid(f"{path} is empty. Deliver at least its header, or remove the file")
    return raw.removeprefix(codecs.BOM_UTF8)


def _text(raw: bytes) -> io.StringIO:
    """Bytes that are no UTF-8 become lone surrogates, which a row is then refused for."""
    return io.StringIO(raw.decode(errors="surrogateescape"), newline="")


def _read_csv(path: Path, kind: str, raw: bytes) -> tuple[pa.Table, list[Unshaped]]:
    if plain := read_plain_csv(raw):
        _check_header(path, kind, plain.header)
        return _completed(path, kind, plain.columns, plain.lines), [
            Unshaped(path.name, line, "RAGGED", ",".join(row)) for line, row in plain.ragged
        ]
    reader = csv.reader(_text(raw), strict=True)
    header = next(reader)
    _check_header(path, kind, header)
    rows, lines, unshaped = [], [], []
    width = len(header)
    for row, line, error in _csv_rows(reader):
        if error or len(row) != width:
            if row or error:
                unshaped.append(Unshaped(path.name, line, "RAGGED", ",".join(row)))
            continue
        rows.append(row)
        lines.append(line)
    return _as_table(path, kind, header, rows, lines), unshaped


def _csv_rows(reader: Any) -> Iterator[tuple[list[str], int, bool]]:
    """Rows with their line; a quote that never closes gives one row that is an error, and ends the file."""
    while True:
        line = reader.line_num + 1
        try:
            yield next(reader), line, False
        except StopIteration:
            return
        except csv.Error:
            yield [f"unreadable from line {line} on"], line, True
            if reader.line_num + 1 == line:
                return


def _read_json_lines(path: Path, kind: str, text: io.StringIO) -> tuple[pa.Table, list[Unshaped]]:
    rows, lines, unshaped = [], [], []
    columns: dict[str, None] = {}
    for line, raw in enumerate(text, start=1):
        if not raw.strip():
            continue
        try:
            values = json.loads(raw, parse_constant=lambda constant: constant, object_pairs_hook=_unique)
            if not isinstance(values, dict):
                raise TypeError("not an object")
        except (ValueError, TypeError, RecursionError) as error:
            unshaped.append(
                Unshaped(path.name, line, "DUP_KEY" if "twice" in str(error) else "NO_JSON", raw.rstrip())
            )
            continue
        columns.update(dict.fromkeys(values))
        rows.append({key: _as_text(value) for key, value in values.items()})
        lines.append(line)
    header = list(columns)
    _check_header(path, kind, header, is_sparse=True)
    return _as_table(
        path, kind, header, [[row.get(name) for name in header] for row in rows], lines
    ), unshaped


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        raise ValueError("a key stands twice")
    return values


def _as_text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def _read_parquet(path: Path, kind: str) -> pa.Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    if path.stat().st_size == 0:
        raise FeedInvalid(f"{path} is empty. Deliver at least its schema, or remove the file")
    try:
        source = io.BytesIO(gzip.decompress(path.read_bytes())) if path.name.endswith(".gz") else path
        table = pq.read_table(source)
    except (pa.ArrowInvalid, OSError, EOFError, zlib.error) as error:
        raise FeedInvalid(f"{path} is torn: {str(error).splitlines()[0]}. Deliver it again, whole") from error
    _check_header(path, kind, table.column_names)
    columns = {}
    for name in table.column_names:
        column = table.column(name)
        if pa.types.is_timestamp(column.type):
            # An Arrow timestamp with a zone is an instant; one without is a local time, and stays without an offset.
            zone = "+00:00" if column.type.tz else ""
            column = pa.chunked_array(
                [[None if value is None else f"{value.isoformat()}{zone}" for value in _utc(column)]],
                pa.string(),
            )
        elif not pa.types.is_string(column.type):
            column = pa.array([_as_text(value) for value in column.to_pylist()], pa.string())
        columns[name] = column
    return _completed(path, kind, pa.table(columns), range(1, table.num_rows + 1))


def _utc(column: Any) -> list[Any]:
    values = column.to_pylist()
    return [
        None if value is None else value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value
        for value in values
    ]


def _check_header(path: Path, kind: str, header: list[str], *, is_sparse: bool = False) -> None:
    known, required = COLUMNS[kind], COLUMNS_REQUIRED[kind]
    if repeated := sorted({name for name in header if header.count(name) > 1}):
        raise FeedInvalid(f"{path}: column {repeated[0]!r} stands twice in the header. Rename or drop one")
    if missing := [name for name in required if name not in header]:
        raise FeedInvalid(
            f"{path}: column {missing[0]!r} is missing; found {', '.join(header) or 'nothing'}. See docs/feeds.md"
        )
    if unknown := [name for name in header if name not in known]:
        near = _nearest(unknown[0], known)
        hint = f"Did you mean {near!r}?" if near else f"Known are {', '.join(known)}."
        raise FeedInvalid(
            f"{path}: column {unknown[0]!r} is not in the contract of {kind}. {hint} See docs/feeds.md"
        )


def _nearest(name: str, known: tuple[str, ...]) -> str | None:
    import difflib

    found = difflib.get_close_matches(name.lower(), known, n=1)
    return found[0] if found else None


def _as_table(path: Path, kind: str, header: list[str], rows: list[list[Any]], lines: list[int]) -> pa.Table:
    import pyarrow as pa

    by_column: Any = zip(*rows, strict=True) if rows else [[] for _ in header]
    columns = {}
    for name, values in zip(header, by_column, strict=True):
        try:
            columns[name] = pa.array(values, pa.string())
        except (
            UnicodeEncodeError,
            pa.ArrowInvalid,
        ):  # a lone surrogate: the row is refused later, by its mark
            columns[name] = pa.array(
                [None if value is None else _marked(value) for value in values], pa.string()
            )
    return _completed(path, kind, pa.table(columns), lines)


#: Stands for bytes that are no UTF-8; the classification refuses whatever holds it.
BAD_UTF8 = "\ufffd"


def _marked(value: str) -> str:
    return value.encode("utf-8", errors="surrogateescape").decode("utf-8", errors="replace")


def _completed(path: Path, kind: str, table: pa.Table, lines: Sequence[int] | pa.Array) -> pa.Table:
    """Every column of the contract, in its order, and where each row stood."""
    import pyarrow as pa

    nothing = pa.nulls(table.num_rows, pa.string())
    columns = {name: table.column(name) if name in table.column_names else nothing for name in COLUMNS[kind]}
    columns["source_file"] = pa.repeat(pa.scalar(path.name), table.num_rows)
    columns["line"] = lines if isinstance(lines, pa.Array) else pa.array(lines, pa.int64())
    return pa.table(columns)
