"""Spoil what a shop has delivered, each time in one known way: tests and fault drills see what holds.

Every function rewrites one delivery of events in its place. None of them touches ``_SUCCESS``: to whoever
reads the feed, the delivery looks complete.
"""

from __future__ import annotations

import csv
import gzip
import io
from collections import Counter
from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np

from contracts.feed import delivery_folder

Row = dict[str, str]


def _setting(column: str, value: str) -> Callable[[Row], None]:
    def spoil(row: Row) -> None:
        row[column] = value

    return spoil


def _without_offset(row: Row) -> None:
    row["occurred_at"] = row["occurred_at"].removesuffix("Z")


#: What can be wrong with a row, by the code under which it goes to quarantine (docs/landing.md).
MALFORMATIONS: dict[str, Callable[[Row], None]] = {
    "NO_ITEM": _setting("item_id", ""),
    "UNKNOWN_TYPE": _setting("event_type", "teleported"),
    "BAD_DATE": _setting("occurred_at", "yesterday afternoon"),
    "NO_TZ": _without_offset,
    "FUTURE": _setting("occurred_at", "2098-05-01T12:00:00Z"),
    "TYPE": _setting("quantity", "a dozen"),
    "NON_FINITE": _setting("unit_price", "nan"),
    "RANGE": _setting("unit_price", "-1"),
}


def spoil_rows(feed: Path, day: date, share: float, seed: int = 0) -> dict[str, int]:
    """Make a share of a delivery's rows malformed, in each way in turn; returns how many rows each way got."""
    columns, rows = _read(feed, day)
    chosen = np.sort(np.random.default_rng(seed).permutation(len(rows))[: round(share * len(rows))])
    ways = list(MALFORMATIONS)
    for turn, index in enumerate(chosen):
        MALFORMATIONS[ways[turn % len(ways)]](rows[index])
    _write(feed, day, columns, rows)
    return dict(Counter(ways[turn % len(ways)] for turn in range(len(chosen))))


def cut_short(feed: Path, day: date) -> None:
    """Keep only the first half of the compressed bytes, as an upload that broke off."""
    file = _file(feed, day)
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])


def rename_column(feed: Path, day: date, column: str, other: str) -> None:
    """Give a column another name, as a tracker's release that nobody announced."""
    columns, rows = _read(feed, day)
    _write(feed, day, columns, rows, header=[other if name == column else name for name in columns])


def drop_column(feed: Path, day: date, column: str) -> None:
    """Leave a column out."""
    columns, rows = _read(feed, day)
    _write(feed, day, [name for name in columns if name != column], rows)


def deliver_twice(feed: Path, day: date) -> int:
    """Put a second file with the same rows beside the first; returns how many rows there are twice now."""
    file = _file(feed, day)
    file.with_name(f"again-{file.name}").write_bytes(file.read_bytes())
    return len(_read(feed, day)[1])


def scale_volume(feed: Path, day: date, factor: float) -> int:
    """Deliver ``factor`` times as many events: rows left out, or told again under new ids; returns how many."""
    columns, rows = _read(feed, day)
    scaled = []
    for number in range(round(factor * len(rows))):
        again, index = divmod(number, len(rows))
        row = dict(rows[index])
        if again:
            row["event_id"] = f"{row['event_id']}-{again}"
        scaled.append(row)
    _write(feed, day, columns, scaled)
    return len(scaled)


def shuffle_people(feed: Path, day: date, seed: int = 0) -> None:
    """Deal what happened to other people at random: who did something is somebody else, as often as before."""
    columns, rows = _read(feed, day)
    by_event = {row["event_id"]: row["user_id"] for row in rows if row["user_id"]}
    dealt = np.random.default_rng(seed).permutation(list(by_event.values()))
    other = dict(zip(by_event, dealt.tolist(), strict=True))
    for row in rows:
        row["user_id"] = other.get(row["event_id"], row["user_id"])
    _write(feed, day, columns, rows)


def _file(feed: Path, day: date) -> Path:
    return feed / delivery_folder("events", day) / "events.csv.gz"


def _read(feed: Path, day: date) -> tuple[list[str], list[Row]]:
    with gzip.open(_file(feed, day), "rt", encoding="utf-8", newline="") as stream:
        reader = csv.DictReader(stream)
        rows = list(reader)
    return list(reader.fieldnames or ()), rows


def _write(
    feed: Path, day: date, columns: list[str], rows: list[Row], header: list[str] | None = None
) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header or columns)
    writer.writerows([row[name] for name in columns] for row in rows)
    _file(feed, day).write_bytes(gzip.compress(text.getvalue().encode("utf-8"), compresslevel=1, mtime=0))
