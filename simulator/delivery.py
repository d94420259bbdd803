"""Write what a shop delivers: folders of the feed, each complete once ``_SUCCESS`` stands in it."""

from __future__ import annotations

import gzip
import io
import json
import shutil
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv

from contracts.feed import (
    EVENT_COLUMNS,
    ITEM_COLUMNS,
    SUCCESS,
    USER_COLUMNS,
    FeedDescription,
    delivery_folder,
)

_NUMBERS = {
    "quantity": pa.int64(),
    "unit_price": pa.float64(),
    "value": pa.float64(),
    "dwell_ms": pa.int64(),
    "scroll_depth": pa.float64(),
    "position": pa.int64(),
    "propensity": pa.float64(),
}
EVENT_SCHEMA = pa.schema([(name, _NUMBERS.get(name, pa.string())) for name in EVENT_COLUMNS])
ITEM_SCHEMA = pa.schema([(name, pa.string()) for name in ITEM_COLUMNS])
USER_SCHEMA = pa.schema([(name, pa.string()) for name in USER_COLUMNS])


def table_of(rows: Sequence[tuple[str, ...]], schema: pa.Schema) -> pa.Table:
    """Rows of text as a table; an empty text is nothing."""
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(schema)
    return pa.table([[value or None for value in column] for column in columns], schema=schema)


def write_description(feed: Path, description: FeedDescription) -> None:
    """``feed.json``, replaced whole."""
    feed.mkdir(parents=True, exist_ok=True)
    text = json.dumps(description.model_dump(mode="json", exclude_none=True), indent=2)
    beside = feed / ".feed.json.part"
    beside.write_text(text + "\n", encoding="utf-8")
    beside.replace(feed / "feed.json")


def write_delivery(feed: Path, kind: str, received: date, table: pa.Table) -> None:
    """One delivery as gzipped CSV, written elsewhere in the feed and moved to its place whole."""
    place = feed / delivery_folder(kind, received)
    staged = feed / ".incoming" / f"{kind}-{received}"
    shutil.rmtree(staged.parent, ignore_errors=True)
    staged.mkdir(parents=True)
    (staged / f"{kind}.csv.gz").write_bytes(csv_bytes(table))
    (staged / SUCCESS).touch()
    place.parent.mkdir(exist_ok=True)
    if place.exists():
        place.rename(staged.with_suffix(".old"))
    staged.rename(place)
    shutil.rmtree(staged.parent)


def csv_bytes(table: pa.Table) -> bytes:
    """The table as gzipped CSV with a header; nothing is an empty field. The same table gives the same bytes."""
    plain = io.BytesIO()
    pa_csv.write_csv(table, plain)
    # Level 1: a large day is some hundred megabytes, and more takes longer than the day itself.
    return gzip.compress(plain.getbuffer(), compresslevel=1, mtime=0)
