"""The clickstream of a clothing shop becomes a feed of visits."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from contracts.errors import FeedInvalid
from jobs.feeds.clothing import import_clothing

HEADER = (
    "year;month;day;order;country;session ID;page 1 (main category);page 2 (clothing model);"
    "colour;location;model photography;price;price 2;page"
)
LINES = (
    "2008;4;1;1;29;1;1;A13;1;5;1;28;2;1",
    "2008;4;1;2;29;1;1;A16;2;6;1;33;2;1",
    "2008;4;1;1;9;2;4;P1;14;1;2;38;2;2",
    "2008;4;2;1;29;3;2;A13;1;5;1;28;2;1",  # one line says that A13 is a skirt
    "2008;4;2;2;29;3;1;A13;1;5;1;28;2;1",
)


def written(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "clicks.csv"
    path.write_text("\r\n".join([HEADER, *lines]) + "\r\n")
    return tmp_path


def test_a_click_is_a_view_of_its_visit_at_noon_and_a_second_for_each_click_before(
    tmp_path, delivered
) -> None:
    told = import_clothing(written(tmp_path, *LINES), tmp_path / "feed")
    first, second, third = delivered(tmp_path / "feed", "events", "2008-04-01")
    assert first == {
        "event_id": "1-0001",
        "user_id": "1",
        "item_id": "A13",
        "event_type": "view",
        "occurred_at": "2008-04-01T10:00:00+00:00",  # noon in Poland
        "session_id": "1",
    }
    assert [row["occurred_at"][-14:] for row in (second, third)] == ["10:00:01+00:00", "10:00:02+00:00"]
    assert [row["session_id"] for row in (second, third)] == ["1", "2"]
    assert (told["days"], told["events"], told["items"], told["users"]) == (2, 5, 3, 3)


def test_a_model_is_described_on_the_day_of_its_first_click_as_most_lines_do(tmp_path, delivered) -> None:
    import_clothing(written(tmp_path, *LINES), tmp_path / "feed")
    trousers, _, on_sale = delivered(tmp_path / "feed", "items", "2008-04-01")
    assert (trousers["category"], trousers["price"]) == ("trousers", "28")
    assert (on_sale["category"], json.loads(on_sale["attributes"])) == (
        "sale",
        {"colour": "white", "page": 2, "photo": "profile", "place": "top left"},
    )
    assert delivered(tmp_path / "feed", "items", "2008-04-02") == []


def test_a_visit_is_a_user_from_a_country(tmp_path, delivered) -> None:
    import_clothing(written(tmp_path, *LINES), tmp_path / "feed")
    _, second = delivered(tmp_path / "feed", "users", "2008-04-01")
    assert second == {
        "user_id": "2",
        "created_at": "2008-04-01T10:00:02+00:00",
        "attributes": '{"country": 9}',
    }


def test_importing_again_changes_no_byte(tmp_path, contents) -> None:
    source = written(tmp_path, *LINES)
    import_clothing(source, tmp_path / "feed")
    before = contents(tmp_path / "feed")
    assert import_clothing(source / "clicks.csv", tmp_path / "feed")["deliveries_written"] == 0
    assert contents(tmp_path / "feed") == before


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "is empty"),
        (f"{HEADER}\n", "holds a header and no row"),
        (f"{HEADER}\n{LINES[0]}\n{LINES[1][:20]}", "is truncated"),
        (f"{HEADER}\n{LINES[0]}\n{LINES[1][:20]}\n", "line 3: found 8 columns, expected 14"),
        (f"a;b\n{LINES[0]}\n", "has another header"),
        (f"{HEADER}\n{LINES[1]}\n", "line 2: found click 2 of visit 1 on 2008-4-1, expected click 1"),
        (f"{HEADER}\n{LINES[0].replace('2008;4;1', '2008;4;31')}\n", "found the day '2008-4-31'"),
        (f"{HEADER}\n{LINES[0].replace(';28;', ';cheap;')}\n", "price 'cheap'"),
        (f"{HEADER}\n{LINES[0].replace(';A13;1;', ';A13;0;')}\n", "colour '0'"),
    ],
)
def test_what_is_cut_or_something_else_is_refused_and_nothing_is_written(tmp_path, content, told) -> None:
    (tmp_path / "clicks.csv").write_text(content)
    with pytest.raises(FeedInvalid, match=told):
        import_clothing(tmp_path, tmp_path / "feed")
    assert not (tmp_path / "feed").exists()
