"""Every row that a shop delivers has exactly one outcome, and nothing is lost."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from contracts import names
from contracts.errors import DayRefused, FeedInvalid
from contracts.feed import EVENT_COLUMNS, days_between
from jobs import land
from jobs.feed_reader import check_feed, is_delivery_complete
from jobs.io.lake import Lake
from jobs.io.state import DELIVERIES, LANDINGS, State
from jobs.io.warehouse import open_warehouse
from jobs.landing.outcomes import REASONS, SET_ASIDE
from jobs.landing.quarantine import list_quarantine
from jobs.runs import StepContext, why_not_live
from tests.shop import DAY, HEADER, NEXT, THIRD, Shop, event

pytestmark = pytest.mark.contract

DOCS = Path(__file__).resolve().parents[2] / "docs" / "landing.md"


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path / "home")


BAD_ROWS: dict[str, dict[str, str]] = {
    "NO_ITEM": {"item_id": ""},
    "BAD_ID": {"user_id": " \u200b"},
    "ID_TOO_LONG": {"user_id": "x" * 129},
    "CTRL_CHAR": {"item_id": "i\t1"},
    "PLACEHOLDER_ID": {"user_id": "NaN"},
    "UNKNOWN_TYPE": {"event_type": "glance"},
    "NO_TS": {"occurred_at": ""},
    "TS_UNIT": {"occurred_at": "12345678901234567e-6"},
    "TS_RANGE": {"occurred_at": "-5"},
    "NO_TZ": {"occurred_at": "2011-03-01 10:00:00"},
    "BAD_DATE": {"occurred_at": "2011-02-29T10:00:00Z"},
    "FUTURE": {"occurred_at": "2011-03-02T00:06:00Z"},
    "TYPE": {"quantity": "many"},
    "NON_FINITE": {"unit_price": "nan"},
    "RANGE": {"quantity": "-1"},
}


@pytest.mark.parametrize("reason", BAD_ROWS)
def test_a_bad_row_is_quarantined_under_its_reason_and_the_others_live(shop: Shop, reason: str) -> None:
    shop.deliver(DAY, [*(event(number) for number in range(199)), event(500, **BAD_ROWS[reason])])
    told = shop.land()
    assert (told["read"], told["good"], told["quarantined"]) == (200, 199, 1)
    assert shop.reasons() == [reason]


@pytest.mark.parametrize(
    ("given", "reason"),
    [("0", "RANGE"), ("1.01", "RANGE"), ("-0.5", "RANGE"), ("nan", "NON_FINITE"), ("most", "TYPE")],
)
def test_a_propensity_is_a_probability_of_what_happened(shop: Shop, given: str, reason: str) -> None:
    shown = {"event_type": "impression"}
    rows = [event(number, **shown, propensity="") for number in range(198)]
    rows += [
        event(200, **shown, propensity="0.25"),
        event(201, **shown, propensity="1"),
        event(500, propensity=given),
    ]
    shop.deliver(DAY, rows)
    shop.land()
    assert shop.reasons() == [reason]
    logged = {row["event_id"]: row["propensity"] for row in shop.events()}
    assert (logged["e0"], logged["e200"], logged["e201"]) == (None, 0.25, 1.0)


def test_rows_of_feeds_that_know_no_propensity_keep_their_hash(shop: Shop) -> None:
    """What was landed before there was such a column is a duplicate when it is delivered again with it."""
    row = event(1)
    before = EVENT_COLUMNS[1 : EVENT_COLUMNS.index("propensity")]
    text = "\x1f".join(row.get(name) or "\x1e" for name in before)
    shop.deliver(DAY, [row])
    shop.land()
    assert [each["body_hash"] for each in shop.events()] == [hashlib.sha256(text.encode()).hexdigest()]
    shop.deliver(NEXT, [event(1, propensity=""), event(2, propensity="0.5")])
    told = shop.land(NEXT)
    assert (told["duplicate"], told["good"]) == (1, 1)
    assert shop.reasons(NEXT) == []


def test_a_home_from_before_a_column_goes_on(shop: Shop) -> None:
    shop.deliver(DAY, [event(1)])
    shop.land()
    lake = Lake.of(shop.settings)
    with State.of(shop.settings).lease("test", "age", 60, is_last=True) as lease:
        old = lake.read(names.RAW_EVENTS, DAY).drop_columns(["propensity"])
        Lake.of(shop.settings, lease).replace(names.RAW_EVENTS, DAY, old, inputs="older")
    with open_warehouse(shop.settings) as warehouse:
        warehouse.execute("alter table raw.events drop column propensity")
    shop.deliver(NEXT, [event(2, propensity="0.5")])
    shop.land(NEXT)
    assert [row["propensity"] for row in shop.events()] == [None, 0.5]
    with open_warehouse(shop.settings) as warehouse:
        query = "select propensity from raw.events order by event_id"
        held = warehouse.read(query, {"propensity": "double precision"})
    assert held.column(0).to_pylist() == [None, 0.5]


def test_rows_without_a_shape_are_quarantined(shop: Shop) -> None:
    path = shop.deliver(DAY, [event(number) for number in range(300)])
    path.write_text(path.read_text() + "e900,u1,i1\n")
    lines = [json.dumps(event(1000)), "{not json", '{"item_id": "a", "item_id": "b"}']
    (path.parent / "more.jsonl").write_text("\n".join(lines) + "\n")
    told = shop.land()
    assert (told["read"], told["good"]) == (304, 301)
    assert sorted(shop.reasons()) == ["DUP_KEY", "NO_JSON", "RAGGED"]


@pytest.mark.parametrize(
    ("given", "instant"),
    [
        ("2011-03-01T10:00:00+00:00", "2011-03-01 10:00:00"),
        ("2011-03-01 10:00:00+01:00", "2011-03-01 09:00:00"),
        ("2011-03-01T10:00Z", "2011-03-01 10:00:00"),
        ("2011-03-01T23:59:60Z", "2011-03-01 23:59:59.999000"),
        ("1298973600", "2011-03-01 10:00:00"),
        ("1298973600123", "2011-03-01 10:00:00.123000"),
        ("1298973600123456", "2011-03-01 10:00:00.123456"),
    ],
)
def test_an_instant_is_understood_in_every_form_of_the_contract(shop: Shop, given: str, instant: str) -> None:
    shop.deliver(DAY, [event(1, occurred_at=given)])
    shop.land()
    assert str(shop.events()[0]["occurred_at"]) == instant


def test_ids_are_text_and_stay_as_they_are(shop: Shop) -> None:
    ids = ["007", "7", "1e5", "'; drop table x;--", "../../etc/passwd", "{{ var('x') }}", "9007199254740993"]
    shop.deliver(DAY, [event(number, user_id=user) for number, user in enumerate(ids)])
    shop.land()
    assert {row["user_id"] for row in shop.events()} == set(ids)


def test_service_lines_and_zero_prices_are_set_aside_and_people_without_a_name_are_kept(shop: Shop) -> None:
    rows = [event(1), event(2, item_id="POST"), event(3, unit_price="0"), event(4, user_id="")]
    shop.deliver(DAY, rows)
    shop.deliver(DAY, [{"user_id": "u1"}], "users.csv", "users")
    told = shop.land()
    assert (told["good"], told["set_aside"], told["anonymous"], told["unknown_user"]) == (2, 2, 1, 0)
    record = State.of(shop.settings).get(LANDINGS, str(DAY))
    assert record is not None
    assert record["accounts"]["events"]["set_aside"] == {"SERVICE_LINE": 1, "ZERO_PRICE": 1}


def test_without_consent_nothing_about_a_user_is_landed(shop: Shop) -> None:
    shop.describe(missing_consent="denied")
    shop.deliver(DAY, [event(1), event(2, user_id="")])
    told = shop.land()
    assert (told["good"], told["set_aside"]) == (1, 1)
    assert [row["user_id"] for row in shop.events()] == [None]


def test_a_repeat_counts_once_and_a_conflict_is_kept_apart(shop: Shop) -> None:
    shop.deliver(DAY, [*(event(number) for number in range(200)), event(5), event(6, quantity="9")])
    told = shop.land()
    assert (told["good"], told["duplicate"], told["quarantined"]) == (200, 1, 1)
    assert shop.reasons() == ["ID_CONFLICT"]
    assert next(row for row in shop.events() if row["event_id"] == "e6")["quantity"] == 1


def test_without_an_id_the_content_is_the_id(shop: Shop) -> None:
    shop.deliver(DAY, [event(1, event_id=""), event(1, event_id=""), event(2, event_id="")])
    told = shop.land()
    assert (told["good"], told["duplicate"]) == (2, 1)


def test_a_second_copy_of_the_same_data_adds_nothing(shop: Shop) -> None:
    rows = [event(number) for number in range(50)]
    shop.deliver(DAY, rows)
    shop.land()
    before = shop.events()
    shop.deliver(NEXT, rows)
    told = shop.land(NEXT)
    assert (told["good"], told["duplicate"]) == (0, 50)
    assert shop.events() == before


def test_landing_twice_lands_once(shop: Shop) -> None:
    shop.deliver(DAY, [event(1)])
    first = shop.land()
    again = shop.land()
    assert again == {**first, "unchanged": True}


def test_order_files_and_formats_change_nothing(tmp_path: Path) -> None:
    rows = [event(number) for number in range(60)]
    one, two, three = (Shop(tmp_path / name) for name in ("one", "two", "three"))
    one.deliver(DAY, rows)
    two.deliver(DAY, rows[40:][::-1], "b.csv")
    two.deliver(DAY, rows[:40], "a.csv")
    path = three.deliver(DAY, rows[:20], "a.csv")
    columns = list(reversed(HEADER))
    lines = "".join(json.dumps({name: row[name] for name in columns}) + "\n" for row in rows[20:40])
    (path.parent / "b.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    pq.write_table(pa.Table.from_pylist(rows[40:]), path.parent / "c.parquet")
    for each in (one, two, three):
        each.land()
    assert one.digests() == two.digests() == three.digests()


def test_half_a_percent_of_bad_rows_goes_through_and_five_percent_stops_the_day(shop: Shop) -> None:
    bad = [event(1000 + number, item_id="") for number in range(10)]
    shop.deliver(DAY, [*(event(number) for number in range(199)), *bad[:1]])
    assert shop.land()["quarantined"] == 1
    shop.deliver(
        NEXT, [*(event(2000 + number, occurred_at="2011-03-02T09:00:00Z") for number in range(190)), *bad]
    )
    before = shop.digests()
    with pytest.raises(DayRefused, match=r"5\.0% of 200 rows are malformed, mostly NO_ITEM"):
        shop.land(NEXT)
    assert shop.digests() == before
    assert State.of(shop.settings).get(LANDINGS, str(NEXT)) is None
    assert shop.reasons(NEXT) == ["NO_ITEM"] * 10  # kept, to be looked at


def test_an_operator_lets_a_refused_day_through_with_a_reason(shop: Shop) -> None:
    shop.deliver(DAY, [event(1), event(2, item_id="")])
    with pytest.raises(DayRefused):
        shop.land()
    assert shop.land(accept="the shop was being moved")["accepted"] == "the shop was being moved"
    record = State.of(shop.settings).get(LANDINGS, str(DAY))
    assert record is not None
    assert record["accepted_reason"] == "the shop was being moved"


def test_a_missing_delivery_stops_the_day_unless_the_shop_is_closed(shop: Shop) -> None:
    shop.describe(calendar={"closed_weekdays": ["saturday"], "closed_days": ["2011-03-02"]})
    with pytest.raises(DayRefused, match="the delivery of 2011-03-01 is missing"):
        shop.land(DAY)
    assert not is_delivery_complete(shop.settings, DAY, THIRD)
    assert is_delivery_complete(shop.settings, NEXT, THIRD)
    assert shop.land(NEXT)["read"] == 0


@pytest.mark.parametrize("num_rows", [4, 2000])
def test_an_odd_volume_stops_the_day(shop: Shop, num_rows: int) -> None:
    for number in range(1, 7):
        day = date(2011, 3, number)
        rows = [event(100 * number + index, occurred_at=f"{day}T10:00:00Z") for index in range(100)]
        shop.deliver(day, rows)
    shop.land(date(2011, 3, 6), first=DAY)
    rows = [event(10_000 + index, occurred_at="2011-03-07T10:00:00Z") for index in range(num_rows)]
    shop.deliver(date(2011, 3, 7), rows)
    with pytest.raises(DayRefused, match="volume_low"):
        shop.land(date(2011, 3, 7))


def _of_day(number: int) -> list[dict[str, str]]:
    """A day's delivery with a late event, a repeat of the day before, and something bad."""
    day = date(2011, 3, number)
    rows = [
        event(1000 * number + index, occurred_at=f"{day}T10:00:{index % 60:02d}Z") for index in range(120)
    ]
    rows.append(event(1000 * (number - 1) + 5, occurred_at=f"{date(2011, 3, max(number - 1, 1))}T10:00:05Z"))
    rows.append(event(90000 + number, occurred_at=f"{date(2011, 3, max(number - 1, 1))}T23:00:00Z"))
    rows.append(event(91000 + number, event_type="?"))
    return rows


def test_a_history_in_one_pass_equals_day_after_day(tmp_path: Path) -> None:
    bulk, daily = Shop(tmp_path / "bulk"), Shop(tmp_path / "daily")
    days = [date(2011, 3, number) for number in range(1, 6)]
    for shop in (bulk, daily):
        for day in days:
            shop.deliver(day, _of_day(day.day))
            shop.deliver(
                day, [{"item_id": "i1", "title": f"Cup {day}", "price": "1.25"}], "items.csv", "items"
            )
    bulk.land(days[-1], first=days[0])
    for day in days:
        daily.land(day)
    assert bulk.digests() == daily.digests()
    assert {key: record["known_date"] for key, record in State.of(bulk.settings).all(DELIVERIES).items()} == {
        key: record["known_date"] for key, record in State.of(daily.settings).all(DELIVERIES).items()
    }


def test_a_late_event_revises_its_day_and_says_since_when_it_is_known(shop: Shop) -> None:
    shop.deliver(DAY, [event(1)])
    shop.land()
    shop.deliver(NEXT, [event(2, occurred_at="2011-03-01T12:00:00Z")])
    assert shop.land(NEXT)["event_days"] == 1
    assert {row["event_id"]: row["known_date"] for row in shop.events()} == {"e1": DAY, "e2": NEXT}
    manifest = Lake.of(shop.settings).manifest(names.RAW_EVENTS, DAY)
    assert manifest is not None
    assert manifest.revision == 2


def test_a_delivery_that_comes_after_its_day_has_run_is_known_from_the_next_run_on(shop: Shop) -> None:
    shop.deliver(NEXT, [event(1)])
    shop.land(NEXT)
    shop.deliver(DAY, [event(2)])
    shop.land(date(2011, 3, 3))
    assert {row["event_id"]: row["known_date"] for row in shop.events()} == {
        "e1": NEXT,
        "e2": date(2011, 3, 3),
    }


def test_lake_and_warehouse_hold_the_same_rows(shop: Shop) -> None:
    shop.deliver(DAY, [event(number) for number in range(9)])
    shop.land()
    with open_warehouse(shop.settings) as warehouse:
        stored = warehouse.read(
            "select event_id, unit_price_cents from raw.events order by event_id",
            {"event_id": "text", "unit_price_cents": "bigint"},
        )
        accounts = warehouse.read(
            "select outcome, num_rows from ops.row_accounts order by outcome",
            {"outcome": "text", "num_rows": "bigint"},
        )
    assert stored.to_pylist() == [
        {"event_id": row["event_id"], "unit_price_cents": 250} for row in shop.events()
    ]
    assert accounts.to_pylist() == [
        {"outcome": "duplicate", "num_rows": 0},
        {"outcome": "good", "num_rows": 9},
    ]


def test_deliveries_of_a_day_that_land_apart_keep_both_their_accounts(shop: Shop) -> None:
    shop.deliver(DAY, [event(1)])
    shop.land()
    shop.deliver(DAY, [{"user_id": "u1"}], "users.csv", "users")
    shop.land(NEXT)
    with open_warehouse(shop.settings) as warehouse:
        found = warehouse.read("select distinct kind from ops.row_accounts order by 1", {"kind": "text"})
    assert found.column("kind").to_pylist() == ["events", "users"]


def _torn_gzip(path: Path) -> None:
    path.with_suffix(".csv.gz").write_bytes(gzip.compress(path.read_bytes())[:-20])
    path.unlink()


def _rewrite(change: Callable[[str], str], encoding: str = "utf-8") -> Callable[[Path], None]:
    return lambda path: path.write_bytes(change(path.read_text()).encode(encoding)) and None


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_torn_gzip, "is torn"),
        (_rewrite(lambda text: ""), "is empty"),
        (_rewrite(lambda text: text.replace("item_id", "item", 1)), "column 'item_id' is missing"),
        (_rewrite(lambda text: text.replace("value", "valeu", 1)), "Did you mean 'value'"),
        (_rewrite(lambda text: text.replace("value", "quantity", 1)), "stands twice"),
        (_rewrite(lambda text: text, "utf-16"), "UTF-16"),
        (lambda path: path.rename(path.with_suffix(".xlsx")), "a delivery holds .csv"),
        (lambda path: (path.parent / "link.csv").symlink_to(path), "not a plain file"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_trusted_is_refused_whole(
    shop: Shop, spoil: Callable[[Path], Any], message: str
) -> None:
    spoil(shop.deliver(DAY, [event(number) for number in range(20)]))
    with pytest.raises(FeedInvalid, match=message):
        shop.land()
    assert shop.digests() == {}
    assert [str(problem) for problem in check_feed(str(shop.feed), shop.settings)]


def test_a_delivery_that_changes_after_its_landing_is_refused(shop: Shop) -> None:
    path = shop.deliver(DAY, [event(1)])
    shop.land()
    State.of(shop.settings).put(LANDINGS, str(DAY), {})  # as if the day were asked for again
    path.write_text(path.read_text().replace("2.50", "2.51"))
    with (
        State.of(shop.settings).lease("test", "land", 60, is_last=True) as lease,
        pytest.raises(FeedInvalid, match="has changed"),
    ):
        land.new_deliveries(DAY, StepContext.of(shop.settings, lease))


def test_a_delivery_without_success_is_not_there_yet(shop: Shop) -> None:
    path = shop.deliver(DAY, [event(1)])
    (path.parent / "_SUCCESS").unlink()
    assert shop.land()["read"] == 0


def test_users_are_masked_in_quarantine(shop: Shop) -> None:
    shop.deliver(
        DAY, [*(event(number) for number in range(199)), event(500, user_id="jane@example.org", item_id="")]
    )
    shop.land()
    rows = Lake.of(shop.settings).read("quarantine/events", DAY).to_pylist()
    assert "jane" not in json.dumps(rows, default=str)
    assert list_quarantine(shop.settings, None)[0]["rows"] == 1


def test_the_documentation_lists_exactly_the_reasons(shop: Shop) -> None:
    assert set(re.findall(r"^\| `([A-Z_0-9]+)` \|", DOCS.read_text(), re.MULTILINE)) == {*REASONS, *SET_ASIDE}


def test_a_good_feed_has_no_problems(shop: Shop) -> None:
    shop.deliver(DAY, [event(1)])
    assert check_feed(str(shop.feed), shop.settings) == []


def delivered(shop: Shop, *days: date) -> None:
    for day in days:
        rows = [event(number, event_id=f"{day}-{number}") for number in range(150)]
        shop.deliver(day, rows)


def test_after_an_outage_only_the_newest_of_the_delivered_days_may_go_live(shop: Shop) -> None:
    first, second, third, fourth = days_between(DAY, DAY + timedelta(days=3))
    state = State.of(shop.settings)
    delivered(shop, first)
    shop.land(first)
    assert why_not_live(state, first) is None
    delivered(shop, second, third, fourth)
    (shop.feed / "events" / f"received={fourth}" / "_SUCCESS").unlink()
    shop.land(second)
    assert "the feed was 1 days ahead (the landing before: 0)" in str(why_not_live(state, second))
    shop.land(third)
    assert why_not_live(state, third) is None
    assert "not the newest" in str(why_not_live(state, second))


def test_a_shop_whose_next_delivery_is_always_there_is_published_daily(shop: Shop) -> None:
    first, second, third, fourth = days_between(DAY, DAY + timedelta(days=3))
    state = State.of(shop.settings)
    delivered(shop, first, second)
    shop.land(first)
    assert why_not_live(state, first) is not None  # nobody knows yet that it is a habit
    delivered(shop, third)
    shop.land(second)
    assert why_not_live(state, second) is None
    delivered(shop, fourth)
    shop.land(third)
    assert why_not_live(state, third) is None
