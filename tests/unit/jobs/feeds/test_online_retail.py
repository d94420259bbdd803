"""Online Retail becomes the feed that its shop would have sent, with what is real in it kept."""

from __future__ import annotations

import gzip
import json
from datetime import date
from pathlib import Path

import pytest

from contracts.errors import FeedInvalid
from contracts.feed import FeedDescription
from jobs.feeds.gift_categories import category_of
from jobs.feeds.online_retail import event_rows, import_online_retail, item_id, to_utc, user_id

HEADER = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"
# Thursday, Friday, (Saturday closed, Sunday without a file), Monday.
DAYS = {
    "2011-06-02": """536365,85123a,WHITE HANGING HEART T-LIGHT HOLDER,6,2011-06-02 08:26:00,2.55,17850.0,United Kingdom
536365,85123A,WHITE HANGING HEART T-LIGHT HOLDER,6,2011-06-02 08:26:00,2.55,17850.0,United Kingdom
536365,POST,POSTAGE,1,2011-06-02 08:26:00,18.0,17850.0,United Kingdom
536366,22423,"REGENCY CAKESTAND, 3 TIER",1,2011-06-02 09:01:00,12.75,,France
""",
    "2011-06-03": """536367,85123A,CREAM HANGING HEART T-LIGHT HOLDER,1,2011-06-03 10:00:00,2.95,17850.0,United Kingdom
C536368,22423,"REGENCY CAKESTAND, 3 TIER",-1,2011-06-03 10:02:00,10.95,12583.0,France
536369,22423,damaged,-4,2011-06-03 10:03:00,0.0,,United Kingdom
536369,22423,found,3,2011-06-03 10:03:00,0.0,,United Kingdom
""",
    "2011-06-06": """536370,85123A,CREAM HANGING HEART T-LIGHT HOLDER,1,2011-06-06 10:00:00,2.95,17850.0,Germany
536370,85123A,CREAM HANGING HEART T-LIGHT HOLDER,1,2011-06-06 10:00:00,2.95,17850.0,Germany
""",
}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    for day, lines in DAYS.items():
        (folder / f"{day}.csv").write_text(HEADER + lines)
    return folder


@pytest.fixture
def feed(source: Path, tmp_path: Path) -> Path:
    import_online_retail(source, tmp_path / "feed")
    return tmp_path / "feed"


def test_a_line_is_a_purchase_named_by_invoice_and_line(feed, delivered) -> None:
    first, second, *_ = delivered(feed, "events", "2011-06-02")
    assert first == {
        "event_id": "536365-0001",
        "user_id": "17850",
        "item_id": "85123A",
        "event_type": "purchase",
        "occurred_at": "2011-06-02T07:26:00+00:00",  # British Summer Time is an hour ahead
        "session_id": "536365",
        "quantity": "6",
        "unit_price": "2.55",
    }
    assert second == {**first, "event_id": "536365-0002"}


def test_a_cancellation_is_a_return_with_a_positive_quantity(feed, delivered) -> None:
    _, cancelled, written_off, _ = delivered(feed, "events", "2011-06-03")
    assert (cancelled["event_type"], cancelled["quantity"], cancelled["user_id"]) == ("return", "1", "12583")
    assert (written_off["event_type"], written_off["quantity"], written_off["unit_price"]) == (
        "return",
        "4",
        "0.0",
    )


def test_a_line_without_a_customer_stays_anonymous(feed, delivered) -> None:
    assert delivered(feed, "events", "2011-06-02")[3]["user_id"] == ""
    assert [user["user_id"] for user in delivered(feed, "users", "2011-06-02")] == ["17850"]


def test_service_lines_are_delivered_and_named_but_are_no_items(feed, delivered) -> None:
    description = FeedDescription(**json.loads((feed / "feed.json").read_text()))
    assert "POST" in description.service_items
    assert "POST" in [event["item_id"] for event in delivered(feed, "events", "2011-06-02")]
    assert "POST" not in [item["item_id"] for item in delivered(feed, "items", "2011-06-02")]


def test_the_calendar_knows_closed_saturdays_and_days_without_a_file(feed) -> None:
    description = FeedDescription(**json.loads((feed / "feed.json").read_text()))
    expected = [day for day in range(2, 7) if description.expects_delivery(date(2011, 6, day))]
    assert expected == [2, 3, 6]


def test_items_are_described_by_what_was_known_on_the_day(feed, delivered) -> None:
    assert [tuple(item.values()) for item in delivered(feed, "items", "2011-06-02")] == [
        ("22423", "REGENCY CAKESTAND, 3 TIER", "baking", "", "12.75"),
        ("85123A", "WHITE HANGING HEART T-LIGHT HOLDER", "lighting", "", "2.55"),
    ]
    # A note about the stock is no title, a cancelled price is none of today's.
    assert [tuple(item.values()) for item in delivered(feed, "items", "2011-06-03")] == [
        ("85123A", "WHITE HANGING HEART T-LIGHT HOLDER", "lighting", "", "2.95"),
    ]
    # From now on the other title is the more usual one.
    assert [item["title"] for item in delivered(feed, "items", "2011-06-06")] == [
        "CREAM HANGING HEART T-LIGHT HOLDER"
    ]


def test_a_user_is_told_again_after_moving_to_another_country(feed, delivered) -> None:
    (before,) = delivered(feed, "users", "2011-06-02")
    (after,) = delivered(feed, "users", "2011-06-06")
    assert json.loads(before["attributes"]) == {"country": "United Kingdom"}
    assert after == {**before, "attributes": '{"country": "Germany"}'}
    assert before["created_at"] == "2011-06-02T07:26:00+00:00"


def test_importing_again_changes_no_byte(feed, source, contents) -> None:
    before = contents(feed)
    told = import_online_retail(source, feed)
    assert contents(feed) == before
    assert (told["deliveries_written"], told["deliveries_unchanged"]) == (0, len(before) // 2)


def test_importing_day_by_day_gives_what_one_import_gives(feed, source, tmp_path, contents) -> None:
    for day in DAYS:
        import_online_retail(source, tmp_path / "daily", date.fromisoformat(day), date.fromisoformat(day))
    assert contents(tmp_path / "daily") == contents(feed)


def test_a_feed_that_starts_late_tells_of_everything_known_by_then(source, tmp_path, delivered) -> None:
    import_online_retail(source, tmp_path / "late", first=date(2011, 6, 3))
    assert [item["item_id"] for item in delivered(tmp_path / "late", "items", "2011-06-03")] == [
        "22423",
        "85123A",
    ]
    assert [user["user_id"] for user in delivered(tmp_path / "late", "users", "2011-06-03")] == [
        "12583",
        "17850",
    ]
    assert delivered(tmp_path / "late", "events", "2011-06-02") == []


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "is empty"),
        (HEADER.encode(), "no row"),
        ((HEADER + DAYS["2011-06-06"]).encode()[:-20], "truncated"),
        (
            (HEADER + DAYS["2011-06-06"] + "536371,22423,CAKESTAND\n").encode(),
            "line 4: found 3 columns, expected 8",
        ),
        (b"invoice,item\n1,2\n", "another header: found ['invoice', 'item'], expected ['InvoiceNo'"),
        (HEADER.encode() + b"536371,22423,CAF\xc9,1,2011-06-06 10:00:00,1,1,France\n", "no UTF-8"),
    ],
)
def test_a_file_that_is_not_whole_is_refused_and_nothing_is_written(
    source, tmp_path, content, complaint
) -> None:
    (source / "2011-06-06.csv").write_bytes(content)
    with pytest.raises(FeedInvalid) as refusal:
        import_online_retail(source, tmp_path / "feed")
    assert "2011-06-06.csv" in str(refusal.value)
    assert complaint in str(refusal.value)
    assert not (tmp_path / "feed").exists()


def test_a_gzip_file_is_read_and_a_cut_one_is_refused(source, tmp_path, delivered) -> None:
    packed = gzip.compress((HEADER + DAYS["2011-06-06"]).encode())
    (source / "2011-06-06.csv").unlink()
    (source / "2011-06-06.csv.gz").write_bytes(packed)
    import_online_retail(source, tmp_path / "feed")
    assert len(delivered(tmp_path / "feed", "events", "2011-06-06")) == 2
    (source / "2011-06-06.csv.gz").write_bytes(packed[:-12])
    with pytest.raises(FeedInvalid, match="cut short"):
        import_online_retail(source, tmp_path / "other")


def test_a_folder_that_holds_another_shop_is_left_alone(source, tmp_path, contents) -> None:
    feed = tmp_path / "feed"
    feed.mkdir()
    (feed / "feed.json").write_text('{"shop": "Tea and Things"}')
    with pytest.raises(FeedInvalid, match="Tea and Things"):
        import_online_retail(source, feed)
    assert list(contents(feed)) == ["feed.json"]


def test_a_source_without_daily_files_is_refused(tmp_path) -> None:
    with pytest.raises(FeedInvalid, match=r"2010-12-01\.csv"):
        import_online_retail(tmp_path, tmp_path / "feed")


@pytest.mark.parametrize(
    ("local", "utc"),
    [
        ("2011-01-05 12:00:00", "2011-01-05T12:00:00+00:00"),
        ("2011-07-05 12:00:00", "2011-07-05T11:00:00+00:00"),
        ("2011-03-27 01:30:00", "2011-03-27T01:30:00+00:00"),  # skipped by the clock: as if not moved yet
        ("2011-10-30 01:30:00", "2011-10-30T00:30:00+00:00"),  # comes twice: the first
        ("soon", "soon"),  # the landing quarantines it
    ],
)
def test_british_time_becomes_utc(local, utc) -> None:
    assert to_utc(local) == utc


def test_ids_are_normalised_where_the_set_spells_one_thing_in_two_ways() -> None:
    assert item_id("85123a") == item_id(" 85123A") == "85123A"
    assert user_id("17850.0") == user_id("17850") == "17850"
    assert user_id("") == ""


def test_line_numbers_count_within_the_invoice_even_when_lines_are_mixed() -> None:
    line = ["1", "A", "", "1", "2011-06-06 10:00:00", "1", "", "France"]
    other = ["2", *line[1:]]
    assert [row[0] for row in event_rows([line, other, line])] == ["1-0001", "2-0001", "1-0002"]


@pytest.mark.parametrize(
    ("title", "category"),
    [
        ("CHOCOLATE HOT WATER BOTTLE", "comfort"),
        ("LUNCH BAG RED RETROSPOT", "lunch and picnic"),
        ("JUMBO BAG RED RETROSPOT", "bags"),
        ("PARTY METAL SIGN", "signs"),
        ("ASSIGNED SEATING", "other"),  # "sign" counts as a word only
        ("PLAIN DESIGN", "other"),
        ("", "other"),
        (None, "other"),
    ],
)
def test_a_title_decides_the_category_the_special_before_the_general(title, category) -> None:
    assert category_of(title) == category
