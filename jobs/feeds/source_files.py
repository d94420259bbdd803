"""Read a data set's files strictly: one that is cut short or has another header is refused, not guessed at."""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Sequence
from pathlib import Path

from contracts.errors import FeedInvalid

_HINT = "get the file again, whole; nothing was written"


def read_rows(
    path: Path, header: Sequence[str] | None, *, delimiter: str = ",", is_quoted: bool = True
) -> tuple[list[str], list[list[str]]]:
    """The header and the rows of a delimited UTF-8 file, plain or gzip.

    Args:
        header: what the first line has to say; None takes any.
        is_quoted: False where a quotation mark is a character like any other.

    Raises:
        FeedInvalid: no file, empty, cut short, another header, or a row with more or fewer columns.
    """
    text = _read_text(path)
    if not text.strip():
        raise FeedInvalid(f"{path} is empty, expected a header and rows: {_HINT}")
    if not text.endswith("\n"):
        raise FeedInvalid(
            f"{path} is truncated: its last line {_last_line(text)!r} has no line end, expected one: {_HINT}"
        )
    reader = csv.reader(
        text.splitlines(keepends=True),
        delimiter=delimiter,
        quoting=csv.QUOTE_MINIMAL if is_quoted else csv.QUOTE_NONE,
        strict=True,
    )
    try:
        found = next(reader)
        if header is not None and found != list(header):
            raise FeedInvalid(f"{path} has another header: found {found}, expected {list(header)}")
        if len(set(found)) != len(found):
            raise FeedInvalid(f"{path} has a column twice: found {found}, expected distinct names")
        rows = []
        for row in reader:
            if len(row) != len(found):
                raise FeedInvalid(
                    f"{path}, line {reader.line_num}: found {len(row)} columns, expected {len(found)} "
                    f"({delimiter.join(row)[:80]!r}): {_HINT}"
                )
            rows.append(row)
    except csv.Error as error:
        raise FeedInvalid(f"{path}, line {reader.line_num}: found {error}, expected CSV: {_HINT}") from error
    if not rows:
        raise FeedInvalid(f"{path} holds a header and no row, expected rows: {_HINT}")
    return found, rows


def _read_text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise FeedInvalid(
            f"{path} cannot be read ({error.strerror}): name the data set's file or folder"
        ) from error
    if path.suffix == ".gz":
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error) as error:
            raise FeedInvalid(
                f"{path} is cut short or no gzip (found: {error}), expected a whole one: {_HINT}"
            ) from error
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FeedInvalid(
            f"{path} is no UTF-8 (found {error.reason} at byte {error.start}): convert it first"
        ) from error


def _last_line(text: str) -> str:
    return text.rsplit("\n", 1)[-1][:80]
