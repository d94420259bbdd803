"""Transform on a tiny shop: values worked out by hand, days in any order, both warehouses."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from contracts import names
from contracts.errors import GateRefused, PartitionMissing
from contracts.feed import days_between
from contracts.settings import Settings, load_settings
from contracts.tables import RAW_CONSENTS, RAW_DECISIONS, RAW_EVENTS, RAW_ITEMS, RAW_USERS, TABLES, Table
from jobs import transform
from jobs.dbt_docs import refresh_docs
from jobs.io import dbt
from jobs.io.lake import Lake
from jobs.io.schemas import arrow_schema
from jobs.io.state import DELIVERIES, LANDINGS, RUNS, State
from jobs.io.warehouse import open_warehouse
from jobs.run import rebuild_days
from jobs.runs import StepContext
from tests.postgres import postgres

pytestmark = pytest.mark.integration

D1, D2, D3, D4 = DAYS = days_between(date(2011, 3, 1), date(2011, 3, 4))
EXPORTED = (*names.BY_EVENT_DAY, *names.BY_FEATURE_DAY)


def event(
    event_id: str, user: str | None, item: str, kind: str, at: str, known: date | None = None, **more: Any
) -> dict[str, Any]:
    occurred = datetime.fromisoformat(f"2011-{at}:00")
    known_date = known or occurred.date()
    return {
        "event_id": event_id,
        "user_id": user,
        "item_id": item,
        "event_type": kind,
        "occurred_at": occurred,
        "event_date": occurred.date(),
        "received_date": known_date,
        "known_date": known_date,
        **more,
    }


EVENTS = [
    # ann buys two cups after looking closely, sends one back, and her mug is reported two days late
    event(
        "a0",
        "ann",
        "cup",
        "impression",
        "03-01 09:00",
        surface="home",
        position=1,
        propensity=0.5,
        decision_id="v1:ann",
    ),
    event("a1", "ann", "cup", "view", "03-01 10:00", dwell_ms=40_000),
    event("a2", "ann", "cup", "cart", "03-01 10:05"),
    event("a3", "ann", "cup", "purchase", "03-01 10:10", quantity=2, unit_price_cents=1000),
    event("a4", "ann", "mug", "view", "03-02 08:00"),
    event("a5", "ann", "mug", "purchase", "03-02 08:05", known=D4, quantity=1, unit_price_cents=500),
    event("a6", "ann", "cup", "return", "03-03 12:00", quantity=-1, unit_price_cents=1000),
    # bob buys the bag that is sold out from the third day on
    event("b1", "bob", "bag", "view", "03-02 11:00", scroll_depth=0.7),
    event("b2", "bob", "bag", "purchase", "03-02 11:30", quantity=1, unit_price_cents=3000),
    # cid looks at a pen that the shop tells of three days later
    event("c1", "cid", "pen", "view", "03-01 15:00"),
    # dan pays a fee: no item of the catalogue
    event("d1", "dan", "fee", "purchase", "03-02 16:00", quantity=1, unit_price_cents=250),
    # eve is shown a mug; her click becomes known two days later
    event("e1", "eve", "mug", "impression", "03-02 17:00", surface="home", position=2, decision_id="v1:eve"),
    event("e2", "eve", "mug", "view", "03-02 17:01", known=D4),
    # nobody we know
    event("n1", None, "cup", "view", "03-02 18:00"),
    event("n2", None, "cup", "purchase", "03-02 18:05", quantity=1, unit_price_cents=1000),
    event("n3", None, "mug", "impression", "03-02 18:06"),
    # fay and gus rate, hal returns what he bought before our time, ida views an item twice at midnight
    event("f1", "fay", "hat", "rating", "03-01 20:00", value=5.0),
    event("f2", "fay", "mug", "rating", "03-03 20:00", value=1.0),
    event("g1", "gus", "hat", "rating", "03-02 20:00", value=3.0),
    event("h1", "hal", "bag", "return", "03-03 21:00", quantity=1, unit_price_cents=3000),
    event("i1", "ida", "mug", "view", "03-01 23:59"),
    event("i2", "ida", "mug", "view", "03-02 00:00"),
    # jon, kim and lea: carts, late and on time
    event("j1", "jon", "mug", "cart", "03-01 12:00"),
    event("j2", "jon", "cup", "cart", "03-03 12:00"),
    event("k1", "kim", "bag", "cart", "03-01 12:00", known=D2),
    event("k2", "kim", "hat", "cart", "03-04 12:00"),
    event("l1", "lea", "cup", "view", "03-01 13:00", known=D3),
    event("l2", "lea", "pen", "purchase", "03-04 14:00", quantity=3, unit_price_cents=200),
]


def item(
    item_id: str, category: str | None, price: int | None, received: date, **more: Any
) -> dict[str, Any]:
    return {
        "item_id": item_id,
        "title": item_id.title(),
        "category": category,
        "price_cents": price,
        "received_date": received,
        "known_date": received,
        **more,
    }


ITEMS = [
    item("cup", "kitchen", 1000, D1, brand="acme"),
    item("mug", "kitchen", 500, D1, brand="best"),
    item("bag", "bags", 3000, D1, available_until=datetime(2011, 3, 3)),
    item("hat", None, None, D1),
    item("cup", "tableware", 1200, D3, brand="acme"),
    item("pen", "stationery", 200, D4, available_from=datetime(2011, 3, 2)),
]


def decision(user: str, at: str, known: date | None = None, **more: Any) -> dict[str, Any]:
    decided = datetime.fromisoformat(f"2011-{at}:00")
    known_date = known or decided.date()
    return {
        "decision_id": f"v1:{user}", "user_id": user, "decided_at": decided, "event_date": decided.date(), "surface": "home",
        "version": "v1", "source": "personal", "made_from": "personal", "num_items": 1, "is_short": False,
        "received_date": known_date, "known_date": known_date, **more,
    }  # fmt: skip


# What ann and eve are shown was answered by us; so was lea, as became known late, and jon, who saw nothing of it.
DECISIONS = [
    decision("ann", "03-01 09:00"),
    decision("eve", "03-02 17:00", source="popular", made_from="popular", fallback="unknown_user"),
    decision("lea", "03-01 12:59", known=D3, source="snapshot", made_from="popular", fallback="store_away"),
    decision("jon", "03-03 11:00", num_items=0, is_short=True),
]
USERS = [{"user_id": "ann", "created_at": datetime(2011, 1, 30, 7), "received_date": D1, "known_date": D1}]

# The tests' hands: land and transform


def table_of(table: Table, rows: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(
        [dict.fromkeys(table.columns) | row for row in rows], schema=arrow_schema(table)
    )


@contextmanager
def context_of(settings: Settings) -> Iterator[StepContext]:
    with State.of(settings).lease("test", "transform", 60, is_last=True) as lease:
        yield StepContext.of(settings, lease)


def land(
    settings: Settings,
    *days: date,
    events: list[dict[str, Any]] = EVENTS,
    items: list[dict[str, Any]] = ITEMS,
) -> None:
    """What landing leaves behind: rows that become known on these days, and a record of the days they touch."""
    with context_of(settings) as context, open_warehouse(settings) as warehouse:
        for day in days:
            happened = ((RAW_EVENTS, events), (RAW_DECISIONS, DECISIONS))
            new = [row for _, rows in happened for row in rows if row["known_date"] == day]
            touched = sorted({row["event_date"] for row in new})
            replace = warehouse.replace
            for table, told in happened:
                rows = [row for row in told if row["event_date"] in touched and row["known_date"] <= day]
                replace("raw", table, "event_date", touched, table_of(table, rows), context.lease)
            for table, delivered in ((RAW_ITEMS, items), (RAW_USERS, USERS)):
                known = [row for row in delivered if row["known_date"] == day]
                if known:
                    replace("raw", table, "received_date", [day], table_of(table, known), context.lease)
            context.state.put(LANDINGS, day.isoformat(), {"touched": [each.isoformat() for each in touched]})
            context.state.put(
                DELIVERIES,
                f"events/{day}",
                {"sha256": f"of {day}", "known_date": day.isoformat(), "landed_day": day.isoformat()},
            )


def run(settings: Settings, day: date, first: date | None = None) -> dict[str, Any]:
    with context_of(settings) as context:
        return transform.run(day, context, first=first)


def rows_of(settings: Settings, table: str, day: date, **where: str) -> list[dict[str, Any]]:
    rows = Lake.of(settings).read(table, day).to_pylist()
    return [row for row in rows if all(row[key] == value for key, value in where.items())]


def digests(settings: Settings, tables: tuple[str, ...] = EXPORTED) -> dict[tuple[str, date], str]:
    lake = Lake.of(settings)
    found = {(table, day): lake.verify(table, day).digest for table in tables for day in lake.days(table)}
    assert len(found) == len(tables) * len(lake.days(tables[0]))
    return found


def features_of(settings: Settings, day: date) -> dict[str, str]:
    return {table: Lake.of(settings).verify(table, day).digest for table in names.BY_FEATURE_DAY}


def facts_of(settings: Settings) -> dict[date, str]:
    lake = Lake.of(settings)
    return {day: lake.verify(names.FCT_INTERACTIONS, day).digest for day in lake.days(names.FCT_INTERACTIONS)}


@pytest.fixture(scope="module", autouse=True)
def _no_settings_from_the_shell_for_shared_homes() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in [
            name for name in os.environ if name.startswith("FORETASTE_") and name != "FORETASTE_DATA"
        ]:
            patch.delenv(name)
        yield


@pytest.fixture(scope="module")
def bulk(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """All four days landed and transformed in one pass."""
    settings = load_settings(home=tmp_path_factory.mktemp("a home with a space"))
    land(settings, *DAYS)
    run(settings, D4, first=D1)
    return settings


@pytest.fixture(scope="module")
def daily(tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, dict[tuple[str, date], str]]:
    """The same days, each landed and transformed when it had ended; and the digests of what each day wrote."""
    settings = load_settings(home=tmp_path_factory.mktemp("daily"))
    written: dict[tuple[str, date], str] = {}
    for day in DAYS:
        land(settings, day)
        run(settings, day)
        written |= {key: value for key, value in digests(settings).items() if key[1] == day}
    return settings, written


@pytest.fixture(scope="module")
def postgres_url() -> Iterator[str]:
    with postgres() as url:
        yield url


# What was worked out by hand


def test_features_of_a_user_are_those_worked_out_by_hand(bulk: Settings) -> None:
    (ann,) = rows_of(bulk, names.FEAT_USER_DAILY, D3, user_id="ann")
    # A close look, a cart and a purchase two days ago, a view of yesterday: halved after 14 days, in millionths
    cup, mug = (2 + 3 + 5) * 905_724, 951_695
    assert ann == {
        "user_id": "ann",
        "feature_date": D3,
        "recency_days": 0,
        "days_since_purchase": 2,
        "tenure_days": 32,  # since 30 January, when the shop says that she came
        "active_days_28d": 3,
        "views_1d": 0,
        **dict.fromkeys(("views_7d", "views_28d", "views_90d"), 2),
        "carts_1d": 0,
        **dict.fromkeys(("carts_7d", "carts_28d", "carts_90d"), 1),
        "purchases_1d": 0,
        **dict.fromkeys(("purchases_7d", "purchases_28d", "purchases_90d"), 1),
        "spend_cents_1d": -1000,
        **dict.fromkeys(("spend_cents_7d", "spend_cents_28d", "spend_cents_90d"), 2 * 1000 - 1000),
        "orders_90d": 1,
        # of nine users five did nothing that day, and seven, all but bob and herself, have no order and paid nothing
        "recency_score": 1 + 5 * 5 // 9,
        "frequency_score": 1 + 5 * 7 // 9,
        "monetary_score": 1 + 5 * 7 // 9,
        "purchase_velocity_micros": 28_000_000 // 33,
        "purchase_trend_micros": 1_000_000,
        "activity_trend_micros": 1_000_000,
        "mean_price_cents_90d": 1000,
        "mean_basket_cents_90d": 2000,
        # In the kitchen, where the mug alone is left at 500, a cup of 1000 was looked at, put into the cart and bought; the
        # mug was looked at as well.
        "price_level_micros_90d": (3 * 1000 + 500) * 1_000_000 // 500 // 4,
        # hal has returned as well, and bob bought: two returns for three purchases that were to be seen
        "return_rate_micros_90d": (1_000_000 + 5 * 666_666) // 6,
        "categories_28d": 2,  # kitchen; and tableware, which the cup had become when it was sent back
        "brands_28d": 2,
        "items_28d": 2,
        "category_diversity_micros_90d": 0,  # a return is no liking
        "brand_diversity_micros_90d": 1_000_000 - (cup**2 + mug**2) * 1_000_000 // (cup + mug) ** 2,
        "repeat_share_micros_28d": 1_000_000 // 3,  # the cup again, after the cup and the mug
        # Ten minutes with the cup, a look at the mug 22 hours after they began, and the return 28 hours after that
        "sessions_28d": 3,
        "mean_session_seconds_28d": 600 // 3,
        "mean_session_gap_seconds_28d": (22 + 28) * 3600 // 2,
        "mean_dwell_ms_28d": 40_000,
        "night_share_micros_90d": 0,
        "morning_share_micros_90d": 800_000,
        "afternoon_share_micros_90d": 200_000,
        "evening_share_micros_90d": 0,
        "weekend_share_micros_90d": 0,
        "engagement_micros_90d": (cup + mug) * (28 + 3) // 28,  # three active days
    }


def test_a_late_event_changes_the_day_that_learns_of_it_and_no_other(bulk: Settings) -> None:
    (ann,) = rows_of(bulk, names.FEAT_USER_DAILY, D4, user_id="ann")
    assert ann["recency_days"] == 1
    assert ann["orders_90d"] == 2
    assert ann["spend_cents_90d"] == 2 * 1000 + 500 - 1000
    assert ann["mean_price_cents_90d"] == 2500 // 3
    assert ann["categories_28d"] == 2
    assert [rows_of(bulk, names.FEAT_USER_DAILY, day, user_id="eve") for day in (D2, D3)] == [[], []]
    (eve,) = rows_of(bulk, names.FEAT_USER_DAILY, D4, user_id="eve")
    assert (eve["recency_days"], eve["tenure_days"], eve["mean_price_cents_90d"]) == (2, 2, None)


def test_features_of_an_item_are_those_worked_out_by_hand(bulk: Settings) -> None:
    (cup,) = rows_of(bulk, names.FEAT_ITEM_DAILY, D3, item_id="cup")
    two_days, one_day = 905_724, 951_695  # 0.5^(2/14) and 0.5^(1/14), in millionths
    assert cup == {
        "item_id": "cup",
        "feature_date": D3,
        # ann's close look, cart and purchase, lea's view; two days. Nobody's view and purchase, and jon's cart, ann's return.
        "popularity_micros": (2 + 3 + 5 + 1) * two_days + (1 + 5) * one_day + (3 - 5) * 1_000_000,
        "popularity_short_micros": 11 * 629_961 + 6 * 793_701 - 2 * 1_000_000,  # 0.5^(2/3) and 0.5^(1/3)
        "popularity_long_micros": 11 * 975_549 + 6 * 987_699 - 2 * 1_000_000,  # 0.5^(2/56) and 0.5^(1/56)
        "popularity_7d": 11 + 6 + 3,
        "popularity_trend_micros": 4_000_000,  # all of it within the week
        **dict.fromkeys(("views_7d", "views_28d"), 3),
        **dict.fromkeys(("carts_7d", "carts_28d"), 2),
        **dict.fromkeys(("purchases_7d", "purchases_28d"), 2),
        "buyers_28d": 1,  # somebody unknown is nobody in particular
        "buyers_per_purchase_micros_28d": 1_000_000,
        "returns_28d": 1,
        # The shop: 4 carts and 3 purchases for 7 views, 3 purchases for 4 carts, 2 returns for 3 purchases
        "carts_per_view_micros_28d": (2_000_000 + 20 * 571_428) // 23,
        "purchases_per_view_micros_28d": (2_000_000 + 20 * 428_571) // 23,
        "purchases_per_cart_micros_28d": (2_000_000 + 5 * 750_000) // 7,
        "return_rate_micros_90d": (1_000_000 + 5 * 666_666) // 7,
        "ratings_90d": 0,
        "rating_micros_90d": 3_000_000,  # the shop's: five, three and one
        "price_cents": 1200,
        "price_change_micros_28d": None,
        "price_level_micros": 1_000_000,
        "age_days": 2,
        "days_left": None,
        "category_items": 1,
        "category_age_days": 0,  # tableware is as new as its cup
        "title_words": 1,
        "has_title_number": False,
    }


def test_affinity_is_the_share_of_what_a_user_liked(bulk: Settings) -> None:
    shares = {
        row["category"]: row["affinity_micros"]
        for row in rows_of(bulk, names.FEAT_USER_CATEGORY_DAILY, D3, user_id="jon")
    }
    kitchen, tableware = 3 * 905_724, 3 * 1_000_000
    assert shares == {
        "kitchen": kitchen * 1_000_000 // (kitchen + tableware),
        "tableware": tableware * 1_000_000 // (kitchen + tableware),
    }
    brands = rows_of(bulk, names.FEAT_USER_BRAND_DAILY, D3, user_id="jon")
    assert {row["brand"]: row["affinity_micros"] for row in brands} == {
        "acme": shares["tableware"],  # whatever it is called, the cup is acme's
        "best": shares["kitchen"],
    }
    assert rows_of(bulk, names.FEAT_USER_CATEGORY_DAILY, D3, user_id="hal")[0]["affinity_micros"] == 0
    assert rows_of(bulk, names.FEAT_USER_CATEGORY_DAILY, D4, user_id="gus") == []  # a hat has no category


def test_an_item_that_leaves_and_one_that_is_new_say_so(bulk: Settings) -> None:
    (bag,) = rows_of(bulk, names.FEAT_ITEM_DAILY, D2, item_id="bag")
    assert (bag["days_left"], bag["category_age_days"], bag["category_items"]) == (1, 1, 1)
    (hat,) = rows_of(bulk, names.FEAT_ITEM_DAILY, D3, item_id="hat")
    assert (hat["ratings_90d"], hat["rating_micros_90d"]) == (2, (8_000_000 + 5 * 3_000_000) // 7)
    assert (hat["category_items"], hat["price_level_micros"]) == (None, None)


def test_the_catalogue_is_as_known_when_the_day_ended(bulk: Settings) -> None:
    assert [[row["item_id"] for row in rows_of(bulk, names.DIM_ITEMS, day)] for day in (D3, D4)] == [
        ["bag", "cup", "hat", "mug"],
        ["bag", "cup", "hat", "mug", "pen"],
    ]
    cups = [rows_of(bulk, names.DIM_ITEMS, day, item_id="cup")[0] for day in DAYS]
    assert [(cup["category"], cup["price_cents"]) for cup in cups] == 2 * [("kitchen", 1000)] + 2 * [
        ("tableware", 1200)
    ]
    bags = [rows_of(bulk, names.DIM_ITEMS, day, item_id="bag")[0] for day in DAYS]
    assert [bag["is_available"] for bag in bags] == [True, False, False, False]


def test_an_event_counts_from_the_day_on_that_knows_its_item(bulk: Settings) -> None:
    (view,) = rows_of(bulk, names.FCT_INTERACTIONS, D1, user_id="cid")
    assert (view["event_id"], view["event_date"], view["known_date"]) == ("c1", D1, D4)
    assert rows_of(bulk, names.FEAT_USER_DAILY, D3, user_id="cid") == []
    assert rows_of(bulk, names.FEAT_USER_DAILY, D4, user_id="cid")[0]["views_28d"] == 1
    assert all(
        rows_of(bulk, names.FCT_INTERACTIONS, day, user_id="dan") == [] for day in DAYS
    )  # a fee is no item


def test_impressions_say_what_followed_and_when_that_was_known(bulk: Settings) -> None:
    (cup,) = rows_of(bulk, names.FCT_IMPRESSIONS, D1)
    assert (cup["event_id"], cup["is_clicked"], cup["is_purchased"], cup["clicked_known_date"]) == (
        "a0",
        True,
        True,
        D1,
    )
    assert (cup["propensity"], cup["is_carted"], cup["carted_known_date"]) == (0.5, True, D1)
    (mug,) = rows_of(bulk, names.FCT_IMPRESSIONS, D2)
    assert (mug["event_id"], mug["is_clicked"], mug["clicked_known_date"]) == ("e1", True, D4)
    assert (mug["is_purchased"], mug["purchased_known_date"]) == (False, None)
    assert (mug["propensity"], mug["is_carted"], mug["carted_known_date"]) == (None, False, None)


def test_decisions_say_what_followed_any_of_their_items_and_when_that_was_known(bulk: Settings) -> None:
    ann, lea = rows_of(bulk, names.FCT_DECISIONS, D1)
    assert (ann["decision_id"], ann["source"], ann["fallback"], ann["known_date"]) == (
        "v1:ann",
        "personal",
        None,
        D1,
    )
    assert (ann["is_shown"], ann["is_clicked"], ann["is_carted"], ann["is_purchased"]) == (
        True,
        True,
        True,
        True,
    )
    assert ann["purchased_known_date"] == D1
    assert (lea["source"], lea["known_date"], lea["is_shown"], lea["is_clicked"]) == (
        "snapshot",
        D3,
        False,
        False,
    )
    (eve,) = rows_of(bulk, names.FCT_DECISIONS, D2)
    assert (eve["fallback"], eve["shown_known_date"], eve["clicked_known_date"]) == ("unknown_user", D2, D4)
    assert (eve["is_purchased"], eve["purchased_known_date"]) == (False, None)
    (jon,) = rows_of(bulk, names.FCT_DECISIONS, D3)
    assert (jon["num_items"], jon["is_short"], jon["is_shown"]) == (0, True, False)


# Days in any order


def test_one_pass_over_a_history_equals_day_by_day(
    bulk: Settings, daily: tuple[Settings, dict[tuple[str, date], str]]
) -> None:
    assert digests(bulk) == digests(daily[0])


def test_a_backfill_gives_what_its_day_gave_and_leaves_later_days_alone(
    daily: tuple[Settings, dict[tuple[str, date], str]],
) -> None:
    settings, written = daily
    before = digests(settings)
    stored = _stored(settings)

    result = run(settings, D2)

    assert result["feature_days"] == 1
    assert digests(settings) == before
    assert _stored(settings) == stored
    for table in names.BY_FEATURE_DAY:
        assert before[table, D2] == written[table, D2]
    # the facts of the day did change meanwhile: they were told late
    assert before[names.FCT_INTERACTIONS, D2] != written[names.FCT_INTERACTIONS, D2]


def _stored(settings: Settings) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of the exported tables in the warehouse."""
    stored = {}
    with open_warehouse(settings) as warehouse:
        for name in EXPORTED:
            table = TABLES[name]
            schema = transform.SCHEMAS[name]
            query = f"select * from {schema}.{table.short_name} order by {', '.join(table.key)}"
            stored[name] = warehouse.read(query, table.columns).to_pylist()
    assert all(stored.values())
    return stored


def test_a_second_run_gives_the_same_bytes(bulk: Settings) -> None:
    lake = Lake.of(bulk)
    before = digests(bulk)
    run(bulk, D4, first=D1)
    assert digests(bulk) == before
    assert {lake.verify(table, day).revision for table, day in before} == {1}


def test_a_day_whose_transform_never_ran_is_caught_up_with(tmp_path: Path, bulk: Settings) -> None:
    settings = load_settings(home=tmp_path)
    land(settings, D1)
    run(settings, D1)
    land(settings, D2, D3)
    run(settings, D3)
    assert features_of(settings, D3) == features_of(bulk, D3)


def test_a_day_finds_its_events_when_a_later_landing_brought_them(tmp_path: Path, bulk: Settings) -> None:
    settings = load_settings(home=tmp_path)
    land(settings, D1)
    run(settings, D1)
    land(settings, D2, D3, D4)
    with context_of(settings) as context:  # as one landing of a history leaves it: recorded with its last day
        context.state.put(LANDINGS, D2.isoformat(), {"touched": []})
        context.state.put(LANDINGS, D4.isoformat(), {"touched": [day.isoformat() for day in DAYS]})
    run(settings, D2)
    assert features_of(settings, D2) == features_of(bulk, D2)


def test_all_days_are_built_again_when_the_project_has_changed(
    daily: tuple[Settings, dict[tuple[str, date], str]],
) -> None:
    settings, _ = daily
    before = digests(settings)
    with open_warehouse(settings) as warehouse:
        warehouse.execute(
            "update intermediate.int_item_days_aggregated set weight = 7"
        )  # what an older weight gave
        warehouse.execute(
            "update ops.dbt_models set hash = 'of an older release' where model = 'int_item_days_aggregated'"
        )
    assert run(settings, D4)["event_days"] == len(DAYS)
    assert digests(settings) == before
    run(settings, D4, first=D1)  # the warehouse's own rows of the days before, for whoever comes next


def test_a_day_that_has_not_landed_is_refused(bulk: Settings) -> None:
    with pytest.raises(PartitionMissing, match="day 2011-03-09 has not been landed"):
        run(bulk, date(2011, 3, 9))


def test_what_people_acted_on_is_the_catalogue_of_a_shop_that_delivers_none(tmp_path: Path) -> None:
    """What they may be remembered for: oda has looked at a toy, and said no."""
    settings = load_settings(home=tmp_path)
    withdrawn = event("o1", "oda", "toy", "view", "03-01 10:00")
    land(settings, D1, D2, events=[*EVENTS, withdrawn], items=[])
    word = {
        "user_id": "oda",
        "purpose": "personalization",
        "said_at": datetime(2011, 3, 1, 11),
        "is_granted": False,
    }
    said = table_of(RAW_CONSENTS, [{**word, "received_date": D1, "known_date": D1}])
    with context_of(settings) as context, open_warehouse(settings) as warehouse:
        warehouse.replace("raw", RAW_CONSENTS, "received_date", [D1], said, context.lease)
    run(settings, D2, first=D1)
    catalogue = {day: [row["item_id"] for row in rows_of(settings, names.DIM_ITEMS, day)] for day in (D1, D2)}
    assert catalogue == {D1: ["cup", "hat", "mug", "pen"], D2: ["bag", "cup", "fee", "hat", "mug", "pen"]}
    (pen,) = rows_of(settings, names.DIM_ITEMS, D2, item_id="pen")
    assert (pen["title"], pen["category"], pen["is_available"]) == ("pen", None, True)
    assert rows_of(settings, names.FEAT_ITEM_DAILY, D2, item_id="fee")[0]["purchases_28d"] == 1


# The gate


def test_a_failing_data_test_refuses_and_exports_nothing(tmp_path: Path) -> None:
    settings = load_settings(home=tmp_path)
    land(settings, D1, events=[*EVENTS, EVENTS[1]])
    with pytest.raises(GateRefused) as refused:
        run(settings, D1)
    message = str(refused.value)
    assert "unique_together_stg_shop__events_event_id__event_date found 1" in message
    assert " show --select unique_together_stg_shop__events_event_id__event_date" in message
    assert (
        """--vars '{"half_life_days": 14, "missing_consent": "granted", "session_gap_minutes": 30}'"""
        in message
    )
    assert [Lake.of(settings).days(table) for table in EXPORTED] == [[] for _ in EXPORTED]


# Both warehouses


def test_rows_are_the_same_on_duckdb_and_postgresql(
    tmp_path: Path, bulk: Settings, postgres_url: str
) -> None:
    settings = load_settings(home=tmp_path, warehouse_url=postgres_url)
    land(settings, *DAYS)
    run(settings, D2, first=D1)
    run(settings, D4, first=D3)
    assert digests(settings) == digests(bulk)
    assert not settings.duckdb_path.exists()


@pytest.mark.parametrize("warehouse", ["duckdb", "postgresql"])
def test_the_unit_tests_of_the_project_pass(
    warehouse: str, tmp_path: Path, bulk: Settings, request: pytest.FixtureRequest
) -> None:
    if warehouse == "postgresql":
        settings = load_settings(home=tmp_path, warehouse_url=request.getfixturevalue("postgres_url"))
        land(settings, *DAYS)
        run(settings, D4, first=D1)
    else:
        settings = bulk
    outcomes = dbt.invoke(settings, ["test", "--select", "test_type:unit"]).result.results
    assert len(outcomes) >= 9
    assert [(outcome.node.name, outcome.message) for outcome in outcomes if outcome.status != "pass"] == []


def test_docs_are_one_page_that_describes_every_exported_table(bulk: Settings) -> None:
    page = refresh_docs(bulk, run_id="docs")
    assert page == bulk.home / "reports" / "dbt" / "index.html"
    text = page.read_text()
    assert all(TABLES[name].short_name in text for name in EXPORTED)
    assert all(f'"exposure.foretaste.{name}"' in text for name in ("ranker", "lists_api", "reports"))
    written = page.stat().st_mtime_ns
    with State.of(bulk).lease("a run", "land", 60, is_last=True):
        assert refresh_docs(bulk, run_id="docs") == page  # current: needs no lease
        page.with_name("project.sha256").write_text("another project")
        assert refresh_docs(bulk, run_id="docs") == page  # stale, but a run is at work
    assert page.stat().st_mtime_ns == written
    assert refresh_docs(bulk, run_id="docs") == page
    assert page.stat().st_mtime_ns > written


def test_nothing_is_documented_before_there_are_tables(tmp_path: Path) -> None:
    assert refresh_docs(load_settings(home=tmp_path), run_id="docs") is None


def test_a_day_that_is_run_again_keeps_what_its_run_was_set_to(tmp_path: Path) -> None:
    """Half-life and session gap; the facts of all days follow from one gap, in the end that of the newest day."""
    settings = load_settings(home=tmp_path / "home", half_life_days=2)
    land(settings, *DAYS)
    run(settings, D4, first=D1)
    found, third, facts = features_of(settings, D4), features_of(settings, D3), facts_of(settings)
    changed = load_settings(home=tmp_path / "home", half_life_days=30, session_gap_minutes=1)
    State.of(settings).put(RUNS, f"daily/{D4}", {"manifest": {"settings": settings.run_settings()}})

    def look(name: str, seconds: float, result: dict[str, Any]) -> None:
        # Nothing has fixed what this day's run computes; its gap cuts the sessions of other event days as well.
        assert features_of(changed, D3) != third
        assert all(facts_of(changed)[day] != facts[day] for day in (D1, D2))

    rebuild_days(changed, [D3], run_id="mend", listener=look)
    assert features_of(changed, D4) == found
    assert facts_of(changed) == facts
