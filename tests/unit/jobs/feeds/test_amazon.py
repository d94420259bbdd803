"""Amazon's 5-core sequences become a feed that knows order and no time."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from contracts.errors import FeedInvalid
from jobs.feeds.amazon import import_amazon

SEQUENCES, ATTRIBUTES = "Beauty.txt", "Beauty_item2attributes.json"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / SEQUENCES).write_text("1 5 3 4\n2 4 5\n")
    (folder / ATTRIBUTES).write_text('{"5": [1, 2], "3": [3], "4": [2, 3]}')
    return folder


def test_a_line_is_a_persons_items_in_their_order(source, tmp_path, delivered) -> None:
    told = import_amazon(source, tmp_path / "feed")
    feed = tmp_path / "feed"
    days = sorted(path.name.removeprefix("received=") for path in (feed / "events").iterdir())
    rows = [row for day in days for row in delivered(feed, "events", day)]
    assert [row["item_id"] for row in rows if row["user_id"] == "1"] == ["5", "3", "4"]
    assert [row["item_id"] for row in rows if row["user_id"] == "2"] == ["4", "5"]
    assert {row["event_type"] for row in rows} == {"view"}
    assert (told["shop"], told["events"], told["items"], told["users"]) == ("Amazon Beauty", 5, 3, 2)
    assert (told["first_day"], told["last_day"]) == (days[0], days[-1])
    assert json.loads((feed / "feed.json").read_text())["clock"] == "order"


def test_items_carry_their_attributes_as_the_numbers_they_are(source, tmp_path, delivered) -> None:
    import_amazon(source, tmp_path / "feed")
    items = {row["item_id"]: row for row in delivered(tmp_path / "feed", "items", "2000-01-01")}
    assert json.loads(items["4"]["attributes"]) == {"attributes": [2, 3]}
    assert list(items) == ["3", "4", "5"]
    assert [row["user_id"] for row in delivered(tmp_path / "feed", "users", "2000-01-01")] == ["1", "2"]


def test_importing_again_changes_no_byte(source, tmp_path, contents) -> None:
    import_amazon(source, tmp_path / "feed")
    before = contents(tmp_path / "feed")
    assert import_amazon(source, tmp_path / "feed")["deliveries_written"] == 0
    assert contents(tmp_path / "feed") == before


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        (SEQUENCES, "", "Beauty.txt is empty"),
        (SEQUENCES, "1 5 3 4\n2 4", "Beauty.txt is truncated"),
        (SEQUENCES, "1 5 3 4\n2\n", "line 2: found '2', expected a user and the items"),
        (SEQUENCES, "user,item\n", "line 1: found 'user,item'"),
        (SEQUENCES, "1 5 3 4\n1 4 5\n", "line 2: user 1 stands twice"),
        (SEQUENCES, "2 4 5\n", "Beauty.txt lacks item 3"),
        (SEQUENCES, "1 5 3 4\n2 4 6\n", "item2attributes.json lacks item 6"),
        (ATTRIBUTES, "", "cut short or no JSON"),
        (ATTRIBUTES, '{"5": [1, 2], "3": [3', "cut short or no JSON"),
        (ATTRIBUTES, "[1]", "holds list, expected a JSON object"),
        (ATTRIBUTES, '{"5": [1], "3": "x", "4": [2]}', "expected a list of numbers for each item"),
    ],
)
def test_what_is_cut_or_something_else_is_refused_and_nothing_is_written(
    source, tmp_path, name, text, told
) -> None:
    (source / name).write_text(text)
    with pytest.raises(FeedInvalid, match=told):
        import_amazon(source, tmp_path / "feed")
    assert not (tmp_path / "feed").exists()


def test_a_folder_of_no_set_or_of_two_is_refused(source, tmp_path) -> None:
    (source / "Toys_item2attributes.json").write_text("{}")
    with pytest.raises(FeedInvalid, match="holds 2 files named like .*, Beauty, Toys"):
        import_amazon(source, tmp_path / "feed")
    with pytest.raises(FeedInvalid, match="holds 0 files"):
        import_amazon(tmp_path / "nowhere", tmp_path / "feed")
