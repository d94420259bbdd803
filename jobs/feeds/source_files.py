"""Read a data set's files strictly: one that is cut short or has another header is refused, not guessed at."""

from __future__ import annotations

import csv
import gzip
import json
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

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
    text = _whole_text(path, "a header and rows")
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


def read_lines(path: Path, *, encoding: str = "utf-8-sig") -> Iterator[tuple[int, str]]:
    """The lines of a file without a header, each with its number; the file is read and checked as the first is asked for.

    Raises:
        FeedInvalid: no file, empty, cut short, or of another encoding.
    """
    text = _whole_text(path, "lines", encoding)
    begin, number = 0, 0
    while (
        end := text.find("\n", begin)
    ) >= 0:  # one at a time: a list of them would weigh several times the file
        number += 1
        yield number, text[begin:end].removesuffix("\r")
        begin = end + 1


def read_json_object(path: Path) -> dict[str, Any]:
    """The one JSON object that a file holds.

    Raises:
        FeedInvalid: no file, empty, cut short, or something else than one object.
    """
    try:
        found = json.loads(_read_text(path, "utf-8-sig"))
    except ValueError as error:
        raise FeedInvalid(
            f"{path} is cut short or no JSON (found: {error}), expected one object: {_HINT}"
        ) from error
    if not isinstance(found, dict):
        raise FeedInvalid(f"{path} holds {type(found).__name__}, expected a JSON object: {_HINT}")
    return found


def _whole_text(path: Path, expected: str, encoding: str = "utf-8-sig") -> str:
    text = _read_text(path, encoding)
    if not text.strip():
        raise FeedInvalid(f"{path} is empty, expected {expected}: {_HINT}")
    if not text.endswith("\n"):
        raise FeedInvalid(
            f"{path} is truncated: its last line {_last_line(text)!r} has no line end, expected one: {_HINT}"
        )
    return text


def _read_text(path: Path, encoding: str) -> str:
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
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        raise FeedInvalid(
            f"{path} is no UTF-8 (found {error.reason} at byte {error.start}): convert it first"
        ) from error


def _last_line(text: str) -> str:
    return text.rsplit("\n", 1)[-1][:80]
