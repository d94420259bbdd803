"""Rows as gzipped CSV: the same bytes for the same rows."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterable, Sequence


def packed_csv(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    """A header and the rows; None is an empty field. No clock and no name goes into gzip's header."""
    packed = io.BytesIO()
    with (
        gzip.GzipFile(filename="", mode="wb", fileobj=packed, mtime=0, compresslevel=6) as file,
        io.TextIOWrapper(file, encoding="utf-8", newline="") as text,
    ):
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)
    return packed.getvalue()
