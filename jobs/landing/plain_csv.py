"""CSV in which every row is one line, read by all cores: what nearly every shop delivers.

Whoever asks gets an answer only where Python's own strict reader would give the very same. That one is slower,
and is asked for the rest: quotes that stand inside a value or never close, values of several lines.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    Positions = npt.NDArray[np.int64]

#: Longer lines may hold a value that Python's reader takes for an error.
_LONGEST_LINE = csv.field_size_limit()
_NEWLINE, _RETURN, _QUOTE, _COMMA = b'\n\r",'


@dataclass(frozen=True)
class PlainCsv:
    """A header and the rows below it: well-formed ones as columns, the others as they stand, each with its line."""

    header: list[str]
    columns: pa.Table
    lines: pa.Array
    ragged: list[tuple[int, list[str]]]


def read_plain_csv(raw: bytes) -> PlainCsv | None:
    """The rows of a file, values as text; None for what only Python's reader can read.

    Args:
        raw: UTF-8, without a mark in front.
    """
    import numpy as np
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    if b"\0" in raw or raw.count(b"\r") != raw.count(b"\r\n"):
        return None
    bytes_ = np.frombuffer(raw, np.uint8)
    ends = np.flatnonzero(bytes_ == _NEWLINE)
    if len(ends) == 0 or ends[-1] != len(raw) - 1:
        ends = np.append(ends, len(raw))
    starts = np.append(0, ends[:-1] + 1)
    sizes = ends - starts - (bytes_[ends - 1] == _RETURN)
    quotes = np.flatnonzero(bytes_ == _QUOTE)
    if sizes.max() > _LONGEST_LINE or sizes[0] == 0 or not _is_plain(bytes_, quotes, ends):
        return None
    header = _values(raw, starts[0], sizes[0])
    num_ragged = 0

    def skip(row: object) -> str:
        nonlocal num_ragged
        num_ragged += 1
        return "skip"

    try:
        columns = arrow_csv.read_csv(
            pa.py_buffer(raw),
            read_options=arrow_csv.ReadOptions(column_names=header, skip_rows=1),
            parse_options=arrow_csv.ParseOptions(invalid_row_handler=skip),
            convert_options=arrow_csv.ConvertOptions(column_types=dict.fromkeys(header, pa.string())),
        )
    except pa.ArrowInvalid:  # no UTF-8
        return None
    is_row = sizes > 0
    is_row[0] = False
    is_ragged = np.zeros(len(ends), bool)
    if num_ragged:
        is_ragged = is_row & (_num_commas(bytes_, quotes, ends) != len(header) - 1)
        is_row &= ~is_ragged
    if int(is_row.sum()) != columns.num_rows:
        raise AssertionError(f"{int(is_row.sum())} lines are rows but {columns.num_rows} rows were read")
    ragged = [(int(line) + 1, _values(raw, starts[line], sizes[line])) for line in np.flatnonzero(is_ragged)]
    return PlainCsv(header, columns, pa.array(np.flatnonzero(is_row) + 1), ragged)


def _values(raw: bytes, start: int, size: int) -> list[str]:
    return next(csv.reader([raw[start : start + size].decode(errors="surrogateescape")]))


def _is_plain(bytes_: npt.NDArray[np.uint8], quotes: Positions, ends: Positions) -> bool:
    """Does every quote open or close a value of one line, or stand doubled inside one?"""
    import numpy as np

    if len(quotes) == 0:
        return True
    if len(quotes) % 2:
        return False
    opening, closing = quotes[0::2], quotes[1::2]
    before = np.where(opening > 0, bytes_[opening - 1], _NEWLINE)
    after = np.where(closing + 1 < len(bytes_), bytes_[np.minimum(closing + 1, len(bytes_) - 1)], _NEWLINE)
    is_on_one_line = np.searchsorted(ends, opening) == np.searchsorted(ends, closing)
    return bool(
        np.isin(before, (_NEWLINE, _COMMA, _QUOTE)).all()
        and np.isin(after, (_NEWLINE, _RETURN, _COMMA, _QUOTE)).all()
        and is_on_one_line.all()
    )


def _num_commas(bytes_: npt.NDArray[np.uint8], quotes: Positions, ends: Positions) -> Positions:
    """How many commas of each line part values."""
    import numpy as np

    commas = np.flatnonzero(bytes_ == _COMMA)
    parting = commas[np.searchsorted(quotes, commas) % 2 == 0]
    return np.bincount(np.searchsorted(ends, parting), minlength=len(ends))
