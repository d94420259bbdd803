"""What is remembered on disk is a whole version's popular list, or nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from serving.arrange import arrange
from serving.snapshot import Snapshot
from tests.serving_shop import bundle


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "serving" / "snapshot"
    Snapshot(path).write(bundle())
    return path


def test_the_popular_list_and_its_items_are_remembered(path: Path) -> None:
    found, written = Snapshot(path).read(), bundle()
    assert found is not None
    assert (found.pointer, found.published_at) == (written.pointer, written.published_at)
    assert found.popular == written.popular
    assert found.items == {index: written.items[index] for index in written.popular.indices}
    assert not found.is_whole


def test_the_rules_are_remembered_and_what_they_give_a_place(path: Path) -> None:
    pins = [{"name": "hero", "item": "i5", "position": 1}]
    Snapshot(path).write(bundle(rules={"default": {"pins": pins}}))
    found = Snapshot(path).read()
    assert found is not None
    assert found.items[5].item_id == "i5"  # no popular item
    assert arrange(found.popular.indices, found.rules.of("home"), 2).indices == [5, 0]


def test_no_file_is_no_memory(tmp_path: Path) -> None:
    assert Snapshot(tmp_path / "none").read() is None


def test_a_file_that_broke_off_anywhere_is_ignored(path: Path) -> None:
    whole = path.read_bytes()
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        assert Snapshot(path).read() is None, size


def test_a_file_with_a_flipped_bit_anywhere_is_ignored(path: Path) -> None:
    whole = path.read_bytes()
    for place in range(len(whole)):
        flipped = bytearray(whole)
        flipped[place] ^= 1
        path.write_bytes(flipped)
        assert Snapshot(path).read() is None, place


def test_a_later_version_takes_the_place_of_the_one_before_and_leaves_nothing_else(path: Path) -> None:
    later = bundle(published_at="2026-01-06T11:00:00+00:00")
    Snapshot(path).write(later)
    found = Snapshot(path).read()
    assert found is not None
    assert found.published_at == later.published_at
    assert [each.name for each in path.parent.iterdir()] == ["snapshot"]


def test_a_folder_that_cannot_be_written_costs_the_memory_alone(tmp_path: Path) -> None:
    (tmp_path / "serving").write_text("a file in the folder's place")
    Snapshot(tmp_path / "serving" / "snapshot").write(bundle())
