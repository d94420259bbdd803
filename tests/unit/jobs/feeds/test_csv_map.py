"""Any CSV file becomes a feed by naming its columns."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from contracts.errors import FeedInvalid
from jobs.feeds.csv_map import import_csv

MAPPING = {"occurred_at": "when", "item_id": "sku", "user_id": "who", "title": "name", "price": "cost"}
LINES = """when,sku,who,name,cost
2011-07-02 00:30,a,ann,Kettle,20
2011-07-01 12:00,b,,Lamp,9
2011-07-02 13:00,a,ann,Kettle,
2011-07-03 13:00,a,bob,Kettle,18
2011-07-03 14:00,b,ann,Lamp,9
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "orders.csv"
    path.write_text(LINES)
    return path


def test_lines_become_events_of_their_utc_day(file, tmp_path, delivered) -> None:
    told = import_csv(file, tmp_path / "feed", MAPPING, event_type="purchase", time_zone="Europe/London")
    # Half past midnight in London is still the day before in UTC.
    assert [tuple(row.values()) for row in delivered(tmp_path / "feed", "events", "2011-07-01")] == [
        ("ann", "a", "purchase", "2011-07-01T23:30:00+00:00"),
        ("", "b", "purchase", "2011-07-01T11:00:00+00:00"),
    ]
    assert (told["events"], told["days"], told["items"], told["users"]) == (5, 3, 2, 2)


def test_items_are_told_again_only_when_something_new_is_said_of_them(file, tmp_path, delivered) -> None:
    import_csv(file, tmp_path / "feed", MAPPING, event_type="view")
    told = {
        day: [tuple(row.values()) for row in delivered(tmp_path / "feed", "items", day)]
        for day in ("2011-07-01", "2011-07-02", "2011-07-03")
    }
    assert told == {
        "2011-07-01": [("b", "Lamp", "9")],
        "2011-07-02": [("a", "Kettle", "20")],
        "2011-07-03": [("a", "Kettle", "18")],
    }


def test_users_are_told_on_the_day_they_first_come(file, tmp_path, delivered) -> None:
    import_csv(file, tmp_path / "feed", MAPPING, event_type="view")
    assert delivered(tmp_path / "feed", "users", "2011-07-01") == []
    assert [row["user_id"] for row in delivered(tmp_path / "feed", "users", "2011-07-02")] == ["ann"]
    assert [row["user_id"] for row in delivered(tmp_path / "feed", "users", "2011-07-03")] == ["bob"]


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("2011-07-01T14:00:00+02:00", {"time_zone": "America/New_York"}),
        ("2011-07-01 08:00", {"time_zone": "America/New_York"}),
        ("1309521600", {}),
        ("1309521600000", {}),
        ("1309521600000000", {}),
        ("1/7/2011 12:00", {"time_format": "%d/%m/%Y %H:%M"}),
    ],
)
def test_times_are_understood_however_they_are_told(tmp_path, delivered, text, options) -> None:
    file = tmp_path / "orders.csv"
    file.write_text(f"when,sku\n{text},a\n")
    import_csv(
        file, tmp_path / "feed", {"occurred_at": "when", "item_id": "sku"}, event_type="view", **options
    )
    (event,) = delivered(tmp_path / "feed", "events", "2011-07-01")
    assert event["occurred_at"] == "2011-07-01T12:00:00+00:00"


def test_an_unreadable_time_is_passed_on_with_the_day_of_the_line_before(tmp_path, delivered) -> None:
    file = tmp_path / "orders.csv"
    file.write_text("when,sku,who\n2011-07-01,a,ann\nnever,b,bob\n2011-07-02,c,ann\n")
    mapping = {"occurred_at": "when", "item_id": "sku", "user_id": "who"}
    import_csv(file, tmp_path / "feed", mapping, event_type="view")
    events = delivered(tmp_path / "feed", "events", "2011-07-01")
    assert [(event["item_id"], event["occurred_at"]) for event in events][1] == ("b", "never")
    # Nothing is said about since when a user is known whose only time cannot be read.
    assert delivered(tmp_path / "feed", "users", "2011-07-01")[1] == {"user_id": "bob", "created_at": ""}


def test_the_description_says_what_was_asked_for(file, tmp_path) -> None:
    import_csv(file, tmp_path / "feed", MAPPING, event_type="view", currency="GBP", repeats_allowed=False)
    described = json.loads((tmp_path / "feed" / "feed.json").read_text())
    assert (described["shop"], described["currency"], described["repeats_allowed"]) == (
        "orders",
        "GBP",
        False,
    )
    assert "calendar" not in described


@pytest.mark.parametrize(
    ("change", "options", "complaint"),
    [
        ({"colour": "name"}, {}, "'colour' is no column of a feed"),
        ({"brand": "maker"}, {}, "has no column 'maker'"),
        ({"item_id": None}, {}, "nothing is mapped to item_id"),
        ({"occurred_at": None}, {}, "nothing is mapped to occurred_at"),
        ({}, {"event_type": None}, "--event-type TYPE"),
        ({}, {"event_type": "sold"}, "there are impression"),
        ({"event_type": "name"}, {}, "exclude one another"),
        ({}, {"time_zone": "Atlantis"}, "Atlantis"),
        ({}, {"currency": "pounds"}, "pattern"),
        ({"occurred_at": "name"}, {}, "no line has a readable time"),
    ],
)
def test_a_mapping_that_makes_no_events_is_refused_and_nothing_is_written(
    file, tmp_path, change, options, complaint
) -> None:
    mapping = {ours: theirs for ours, theirs in {**MAPPING, **change}.items() if theirs}
    with pytest.raises(FeedInvalid) as refusal:
        import_csv(file, tmp_path / "feed", mapping, **{"event_type": "view", **options})
    assert complaint in str(refusal.value)
    assert not (tmp_path / "feed").exists()


def test_a_truncated_file_is_refused(file, tmp_path) -> None:
    file.write_text(LINES[:-1])
    with pytest.raises(FeedInvalid, match="truncated"):
        import_csv(file, tmp_path / "feed", MAPPING, event_type="view")
    assert not (tmp_path / "feed").exists()
