"""A feed's deliveries are written whole, and the same bytes for the same rows."""

from __future__ import annotations

import gzip
from datetime import date
from pathlib import Path

from jobs.feeds.writer import FeedWriter

DAY = date(2011, 3, 1)


def test_what_a_killed_import_left_behind_is_no_delivery_and_goes_away(tmp_path: Path) -> None:
    left = tmp_path / ".incoming" / "events-2011-03-01"
    left.mkdir(parents=True)
    (left / "events.csv.gz").write_bytes(b"half")
    writer = FeedWriter(tmp_path)
    assert writer.delivered_days("events") == []
    writer.deliver("events", DAY, ("item_id",), [("a",)])
    assert writer.delivered_days("events") == [DAY]
    assert not left.parent.exists()


def test_another_content_replaces_the_delivery_whole(tmp_path: Path) -> None:
    writer = FeedWriter(tmp_path)
    writer.deliver("events", DAY, ("item_id",), [("a",)])
    (tmp_path / "events" / "received=2011-03-01" / "left-over.csv").write_text("item_id\nb\n")
    writer.deliver("events", DAY, ("item_id",), [("a",)])
    files = sorted(path.name for path in (tmp_path / "events" / "received=2011-03-01").iterdir())
    assert files == ["_SUCCESS", "events.csv.gz"]
    assert (writer.num_written, writer.num_unchanged) == (2, 0)


def test_bytes_hold_no_clock(tmp_path: Path) -> None:
    FeedWriter(tmp_path).deliver("events", DAY, ("item_id", "value"), [("a", None)])
    content = (tmp_path / "events" / "received=2011-03-01" / "events.csv.gz").read_bytes()
    assert content[4:8] == b"\0\0\0\0"  # gzip's time of modification
    assert gzip.decompress(content) == b"item_id,value\na,\n"
