"""Each fault spoils a delivery in the one way that it promises."""

from __future__ import annotations

import csv
import gzip
from datetime import date
from pathlib import Path

import pytest

from simulator import faults
from simulator.shop import Shop, ShopConfig

DAY = date(2026, 1, 5)


@pytest.fixture
def feed(tmp_path: Path) -> Path:
    Shop(ShopConfig(seed=3, num_users=150, num_items=64, num_categories=8, start=DAY)).deliver(
        tmp_path / "feed", DAY
    )
    return tmp_path / "feed"


def rows(feed: Path, name: str = "events.csv.gz") -> list[dict[str, str]]:
    with gzip.open(feed / "events" / f"received={DAY}" / name, "rt", newline="") as stream:
        return list(csv.DictReader(stream))


def test_a_share_of_rows_is_spoilt_each_in_one_way(feed: Path) -> None:
    before = rows(feed)
    told = faults.spoil_rows(feed, DAY, 0.2)
    after = rows(feed)
    changed = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    assert len(changed) == sum(told.values()) == round(0.2 * len(before))
    assert told.keys() == faults.MALFORMATIONS.keys()
    assert max(told.values()) - min(told.values()) <= 1
    assert all(sum(old[name] != new[name] for name in old) == 1 for old, new in changed)


def test_a_delivery_that_was_cut_short_cannot_be_unpacked(feed: Path) -> None:
    faults.cut_short(feed, DAY)
    with pytest.raises(EOFError):
        rows(feed)


def test_a_column_is_renamed_or_left_out(feed: Path) -> None:
    before = rows(feed)
    faults.rename_column(feed, DAY, "item_id", "sku")
    assert [row["sku"] for row in rows(feed)] == [row["item_id"] for row in before]
    faults.drop_column(feed, DAY, "sku")
    assert "sku" not in rows(feed)[0]


def test_the_same_rows_lie_there_twice(feed: Path) -> None:
    assert faults.deliver_twice(feed, DAY) == len(rows(feed))
    assert rows(feed, "again-events.csv.gz") == rows(feed)


@pytest.mark.parametrize("factor", [0.1, 5])
def test_the_volume_is_another_and_every_id_is_new(feed: Path, factor: float) -> None:
    before = rows(feed)
    assert faults.scale_volume(feed, DAY, factor) == len(rows(feed)) == round(factor * len(before))
    assert len({row["event_id"] for row in rows(feed)}) >= min(factor, 1) * 0.95 * len(before)
    if factor > 1:
        assert len({row["event_id"] for row in rows(feed)}) == factor * len(
            {row["event_id"] for row in before}
        )


def test_shuffled_people_did_as_much_as_before_and_other_things(feed: Path) -> None:
    before = rows(feed)
    faults.shuffle_people(feed, DAY)
    after = rows(feed)
    assert sorted({row["event_id"]: row["user_id"] for row in after}.values()) == sorted(
        {row["event_id"]: row["user_id"] for row in before}.values()
    )
    moved = sum(one["user_id"] != other["user_id"] for one, other in zip(before, after, strict=True))
    assert moved > len(before) / 2
    assert [{**row, "user_id": ""} for row in after] == [{**row, "user_id": ""} for row in before]
    assert [row["event_id"] for row in after if not row["user_id"]] == [
        row["event_id"] for row in before if not row["user_id"]
    ]
