"""Partitions are swapped whole, by content, under a fence."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest

from contracts import names
from contracts.errors import FenceStale, PartitionMissing, PartitionTorn
from jobs.io.lake import Lake
from jobs.io.state import Lease, State

pytestmark = pytest.mark.contract

TABLE = names.FEAT_ITEM_DAILY
DAY = date(2011, 3, 1)


@pytest.fixture
def state(tmp_path: Path) -> State:
    return State(f"sqlite:///{tmp_path / 'state.sqlite'}")


@pytest.fixture
def lease(state: State) -> Iterator[Lease]:
    with state.lease("run", "step", 60, is_last=True) as lease:
        yield lease


@pytest.fixture
def lake(tmp_path: Path, lease: Lease) -> Lake:
    return Lake(tmp_path / "lake", lease)


def rows(*items: str) -> pa.Table:
    return pa.table({"item_id": list(items)})


def test_a_partition_reads_back_as_it_was_written(lake: Lake) -> None:
    lake.replace(TABLE, DAY, rows("a", "b"), inputs="one")
    assert lake.read(TABLE, DAY).column("item_id").to_pylist() == ["a", "b"]
    assert lake.days(TABLE) == [DAY]


def test_the_same_rows_are_no_new_revision(lake: Lake) -> None:
    first = lake.replace(TABLE, DAY, rows("a"), inputs="one")
    again = lake.replace(TABLE, DAY, rows("a"), inputs="one")
    other = lake.replace(TABLE, DAY, rows("b"), inputs="two")
    assert (first.revision, again.revision, other.revision) == (1, 1, 2)
    assert first.digest == again.digest != other.digest


def test_what_a_footer_says_beside_the_schema_is_no_content(lake: Lake) -> None:
    first = lake.replace(TABLE, DAY, rows("a"), inputs="one")
    told = lake.replace(TABLE, DAY, rows("a").replace_schema_metadata({"by": "another JVM"}), inputs="one")
    assert told.files != first.files
    assert (told.digest, told.revision) == (first.digest, 1)
    assert lake.read(TABLE, DAY).column("item_id").to_pylist() == ["a"]
    renamed = lake.replace(TABLE, DAY, rows("a").rename_columns(["user_id"]), inputs="one")
    assert (renamed.digest != first.digest, renamed.revision) == (True, 2)


def test_files_of_the_revision_before_stay_for_readers_and_older_ones_go(lake: Lake) -> None:
    lake.replace(TABLE, DAY, rows("a"), inputs="1")
    held = lake.files(TABLE, [DAY])
    lake.replace(TABLE, DAY, rows("b"), inputs="2")
    assert all(path.exists() for path in held)
    lake.replace(TABLE, DAY, rows("c"), inputs="3")
    assert not any(path.exists() for path in held)


def test_a_changed_byte_is_found(lake: Lake) -> None:
    lake.replace(TABLE, DAY, rows("a"), inputs="1")
    path = lake.files(TABLE, [DAY])[0]
    path.write_bytes(path.read_bytes()[:-1] + b"\0")
    with pytest.raises(PartitionTorn, match=str(path.name)):
        lake.read(TABLE, DAY)


def test_a_missing_partition_says_how_to_build_it(lake: Lake) -> None:
    with pytest.raises(PartitionMissing, match="foretaste run --day 2011-03-01"):
        lake.read(TABLE, DAY)


def test_a_stale_attempt_writes_nothing(tmp_path: Path, state: State) -> None:
    clock = [0.0]
    slow = State(f"sqlite:///{tmp_path / 'state.sqlite'}", clock=lambda: clock[0])
    with slow.lease("old", "step", 60, is_last=True) as stale:
        clock[0] = 100.0  # silent for longer than its lease
        with slow.lease("new", "step", 60, is_last=True) as fresh:
            Lake(tmp_path / "lake", fresh).replace(TABLE, DAY, rows("new"), inputs="1")
            with pytest.raises(FenceStale, match="old"):
                Lake(tmp_path / "lake", stale).replace(TABLE, DAY, rows("old"), inputs="1")
    assert Lake(tmp_path / "lake").read(TABLE, DAY).column("item_id").to_pylist() == ["new"]


def test_writing_without_a_lease_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PermissionError, match="lease"):
        Lake(tmp_path).replace(TABLE, DAY, rows("a"), inputs="1")
