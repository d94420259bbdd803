"""Histories, neighbours and training set on a shop that one can check by hand.

The day is 2011-03-01, the horizon three days: fit ends on 02-25, rank on 02-26, judge is the rest.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from pyspark import SparkContext

from contracts import names
from contracts.errors import PartitionMissing, PartitionTorn
from contracts.settings import Settings, load_settings
from contracts.tables import (
    BOUGHT,
    FCT_IMPRESSIONS,
    FCT_INTERACTIONS,
    IN_CART,
    LOOKED,
    MAX_NEIGHBOURS,
    TABLES,
)
from jobs.features import build, covisitation
from jobs.features.copurchase import MAX_ITEMS_A_BUYER, bought_pairs
from jobs.features.covisitation import pair_days
from jobs.features.cutoffs import cutoffs
from jobs.features.histories import by_user, ordered_histories
from jobs.features.training_set import training_set
from jobs.features.user_days import MAX_ITEMS_A_DAY, MAX_WEIGHT, NEEDED, user_days
from jobs.io.lake import Lake
from jobs.io.schemas import arrow_schema
from jobs.io.spark import spark_context
from jobs.io.state import HEARD, RUNS, State
from jobs.runs import StepContext, run_key

pytestmark = pytest.mark.integration

DAY = date(2011, 3, 1)
OF_TRAINING = (names.SEQUENCES, names.TRAINING_IMPRESSIONS)
VIEW, CART, PURCHASE, RETURN = 1, 3, 5, -5

# user, item, when (day of the year's March, minutes), weight, known on; ids count up in this order
Event = tuple[str, str, str, int]
EVENTS: list[Event] = [
    # anna looks at a lamp, puts it into her cart and buys it: one step, and then a vase
    ("anna", "lamp", "2011-02-24 09:00", VIEW),
    ("anna", "lamp", "2011-02-24 09:01", CART),
    ("anna", "lamp", "2011-02-24 09:02", PURCHASE),
    ("anna", "vase", "2011-02-24 09:03", VIEW),
    # the next day the vase again: another day is another step; between two other items the lamp returns
    ("anna", "vase", "2011-02-26 10:00", VIEW),
    ("anna", "lamp", "2011-02-28 10:00", VIEW),
    ("anna", "rug", "2011-02-28 10:01", VIEW),
    ("anna", "lamp", "2011-02-28 10:02", VIEW),
    # ben buys and gives back: seen, but one step less; two events of one minute stand in the order of their ids
    ("ben", "rug", "2011-02-25 12:00", PURCHASE),
    ("ben", "bowl", "2011-02-25 12:00", VIEW),
    ("ben", "rug", "2011-03-01 08:00", RETURN),
    ("ben", "vase", "2011-03-01 08:05", RETURN),
    # carl only ever gave things back: no history
    ("carl", "rug", "2011-03-01 08:00", RETURN),
]


@pytest.fixture(scope="module")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkContext]:
    """One JVM for the file, in a home whose path has a space in it."""
    settings = load_settings(home=tmp_path_factory.mktemp("spark home"), spark_memory="1g")
    with spark_context(settings) as context:
        yield context


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(home=tmp_path / "a home", history_length=3, judge_days=3, history_days=30)


def rows_of(events: list[Event]) -> list[dict[str, object]]:
    rows = []
    for number, (user, item, at, weight) in enumerate(events, start=1):
        moment = datetime.fromisoformat(at)
        rows.append(
            {
                "event_id": f"e{number:03d}",
                "user_id": user,
                "item_id": item,
                "event_type": {VIEW: "view", CART: "cart", PURCHASE: "purchase", RETURN: "return"}[weight],
                "occurred_at": moment,
                "event_date": moment.date(),
                "known_date": moment.date(),
                "session_id": None,
                "weight": weight,
                "quantity": 1,
                "revenue_cents": 100,
            }
        )
    return rows


def frame(events: list[Event]) -> pa.Table:
    schema = pa.schema([arrow_schema(FCT_INTERACTIONS).field(name) for name in NEEDED])
    return pa.Table.from_pylist(
        [{name: row[name] for name in NEEDED} for row in rows_of(events)], schema=schema
    )


def tuples(rows: pa.Table) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in rows.to_pylist()]


def export(settings: Settings, rows: list[dict[str, object]]) -> None:
    """Write rows of fct_interactions to the lake, a partition for each of their days."""
    with State.of(settings).lease("test", "transform", 60, is_last=True) as lease:
        lake = Lake.of(settings, lease)
        for event_date in sorted({row["event_date"] for row in rows}):
            of_day = [row for row in rows if row["event_date"] == event_date]
            table = pa.Table.from_pylist(of_day, schema=arrow_schema(FCT_INTERACTIONS))
            lake.replace(names.FCT_INTERACTIONS, event_date, table, inputs=str(len(of_day)))


def show(settings: Settings, *days: date, **changes: Any) -> None:
    """Write an impression a day to the lake."""
    with State.of(settings).lease("test", "transform", 60, is_last=True) as lease:
        for event_date in days:
            row = {"event_id": str(event_date), "user_id": "anna", "item_id": "lamp", "position": 1}
            row |= {"event_date": event_date, "known_date": event_date, **changes}
            table = pa.Table.from_pylist(
                [dict.fromkeys(FCT_IMPRESSIONS.columns) | row], arrow_schema(FCT_IMPRESSIONS)
            )
            Lake.of(settings, lease).replace(names.FCT_IMPRESSIONS, event_date, table, inputs=str(changes))


def run(settings: Settings, day: date = DAY, kind: str = names.RETRAIN) -> dict[str, object]:
    """Build what a daily run builds; for a retraining its training set as well."""
    with State.of(settings).lease("test", "build", 60, is_last=True) as lease:
        return build.run(day, StepContext.of(settings, lease), kind=kind)


def digests(settings: Settings, day: date = DAY) -> list[str]:
    lake = Lake.of(settings)
    return [lake.verify(table, day).digest for table in names.LOOKING_BACK + OF_TRAINING]


def types_of(schema: pa.Schema) -> list[tuple[str, str]]:
    """Names and types; how Parquet names what stands in a list is its own affair."""
    return [(field.name, str(field.type).replace("element:", "item:")) for field in schema]


def types_in(lake: Lake, table: str, day: date = DAY) -> list[tuple[str, str]]:
    return types_of(lake.read(table, day).schema)


def test_steps_follow_time_and_repeats_within_a_day_count_once() -> None:
    assert tuples(user_days(frame(EVENTS))) == [
        (
            "anna",
            date(2011, 2, 24),
            ["lamp", "vase"],
            [BOUGHT, LOOKED],
            [],
            ["lamp", "vase"],
            [MAX_WEIGHT, VIEW],
        ),
        ("anna", date(2011, 2, 26), ["vase"], [LOOKED], [], ["vase"], [VIEW]),
        (
            "anna",
            date(2011, 2, 28),
            ["lamp", "rug", "lamp"],
            [LOOKED] * 3,
            [],
            ["lamp", "rug"],
            [2 * VIEW, VIEW],
        ),
        ("ben", date(2011, 2, 25), ["rug", "bowl"], [BOUGHT, LOOKED], [], ["bowl", "rug"], [VIEW, PURCHASE]),
        ("ben", date(2011, 3, 1), [], [], ["rug", "vase"], [], []),
        ("carl", date(2011, 3, 1), [], [], ["rug"], [], []),
    ]


def test_what_comes_back_between_two_looks_at_an_item_is_no_step() -> None:
    events = [
        ("dora", "lamp", "2011-03-01 09:00", PURCHASE),
        ("dora", "lamp", "2011-03-01 09:01", RETURN),
        ("dora", "vase", "2011-03-01 09:02", RETURN),
        ("dora", "lamp", "2011-03-01 09:03", VIEW),
    ]
    assert tuples(user_days(frame(events))) == [
        ("dora", DAY, ["lamp"], [BOUGHT], ["vase"], ["lamp"], [MAX_WEIGHT])
    ]


def test_a_basket_holds_the_latest_items_of_each_user() -> None:
    start = datetime(2011, 3, 1)
    events = [
        (user, f"item{n:04d}", str(start + timedelta(seconds=n)), VIEW)
        for user in ("anna", "ben")
        for n in (*range(MAX_ITEMS_A_DAY + 5), 0)
    ]
    events[-1] = (
        "ben",
        "item0000",
        "2011-03-01 23:00",
        VIEW,
    )  # ben looks at the first one again, last of all
    anna, ben = user_days(frame(events)).column("basket_item_ids").to_pylist()
    assert anna == [f"item{n:04d}" for n in range(5, MAX_ITEMS_A_DAY + 5)]
    assert ben == ["item0000", *(f"item{n:04d}" for n in range(6, MAX_ITEMS_A_DAY + 5))]


def test_a_history_keeps_the_latest_items_and_everything_seen_with_what_was_done_and_when() -> None:
    events = [*EVENTS, ("ben", "bowl", "2011-02-25 12:30", CART), ("ben", "bowl", "2011-02-26 12:30", VIEW)]
    assert tuples(ordered_histories(user_days(frame(events)), 3, DAY)) == [
        (
            "anna",
            ["lamp", "rug", "lamp"],
            [LOOKED] * 3,
            [1] * 3,
            ["lamp", "rug", "vase"],
            [BOUGHT, LOOKED, LOOKED],
            [1, 1, 3],
        ),
        (
            "ben",
            ["rug", "bowl", "bowl"],
            [BOUGHT, IN_CART, LOOKED],
            [4, 4, 3],
            ["bowl", "rug", "vase"],
            [IN_CART, BOUGHT, LOOKED],
            [3, 0, 0],
        ),
    ]


def test_the_training_set_is_split_in_time() -> None:
    assert tuples(training_set(user_days(frame(EVENTS)), cutoffs(DAY, 3, 1))) == [
        ("anna", date(2011, 2, 24), ["lamp", "vase"], [BOUGHT, LOOKED], "fit"),
        ("anna", date(2011, 2, 26), ["vase"], [LOOKED], "rank"),
        ("anna", date(2011, 2, 28), ["lamp", "rug", "lamp"], [LOOKED] * 3, "judge"),
        ("ben", date(2011, 2, 25), ["rug", "bowl"], [BOUGHT, LOOKED], "fit"),
    ]


@pytest.mark.parametrize("days", range(1, 30))
def test_a_ranker_learns_right_before_the_days_that_count(days: int) -> None:
    ends = cutoffs(DAY, days, max(1, days // 2))
    assert ends.day - ends.end_of_rank == timedelta(days=days)
    assert ends.end_of_rank - ends.end_of_fit == ends.day - ends.end_of_refit
    assert (
        timedelta(days=1) <= ends.day - ends.end_of_refit <= max(timedelta(days=days) / 2, timedelta(days=1))
    )


def neighbours(events: list[Event]) -> list[tuple[Any, ...]]:
    return tuples(covisitation.neighbours(pair_days(user_days(frame(events)))))


def bought_with(events: list[Event]) -> list[tuple[Any, ...]]:
    return tuples(covisitation.neighbours(bought_pairs(user_days(frame(events)))))


def test_covisitation_adds_up_the_lesser_weights_of_a_day() -> None:
    # 02-24: lamp 5 (9 capped), vase 1; 02-25: rug 5, bowl 1; 02-28: lamp 2, rug 1. Equals by their ids
    assert neighbours(EVENTS) == [
        ("bowl", "rug", 1, 1),
        ("lamp", "rug", 1, 1),
        ("lamp", "vase", 1, 2),
        ("rug", "bowl", 1, 1),
        ("rug", "lamp", 1, 2),
        ("vase", "lamp", 1, 1),
    ]


def test_copurchase_counts_the_buyers_of_both_whatever_days_lie_between() -> None:
    events = [
        ("anna", "cup", "2011-01-03 09:00", PURCHASE),
        ("anna", "pot", "2011-02-28 09:00", PURCHASE),
        ("anna", "pot", "2011-03-01 09:00", PURCHASE),  # once more is the same buyer
        ("anna", "tray", "2011-03-01 09:00", VIEW),  # looked at and put into the cart: not bought
        ("anna", "tray", "2011-03-01 09:05", CART),
        ("ben", "pot", "2011-02-01 09:00", PURCHASE),
        ("ben", "cup", "2011-02-02 09:00", PURCHASE),
        ("ben", "bag", "2011-02-03 09:00", PURCHASE),
        ("ben", "bag", "2011-02-09 09:00", RETURN),  # it was bought
        ("carl", "tray", "2011-02-03 09:00", PURCHASE),  # nothing beside it
    ]
    assert bought_with(events) == [
        ("bag", "cup", 1, 1),
        ("bag", "pot", 1, 2),
        ("cup", "pot", 2, 1),
        ("cup", "bag", 1, 2),
        ("pot", "cup", 2, 1),
        ("pot", "bag", 1, 2),
    ]
    assert bought_with(events[3:5]) == []


def test_one_reseller_cannot_explode_copurchase() -> None:
    start = datetime(2011, 1, 1)
    events = [("reseller", f"item{n:04d}", str(start + timedelta(hours=n)), PURCHASE) for n in range(1000)]
    rows = bought_with(events)
    assert {row[0] for row in rows} == {f"item{n:04d}" for n in range(1000 - MAX_ITEMS_A_BUYER, 1000)}
    assert len(rows) == MAX_ITEMS_A_BUYER * (MAX_ITEMS_A_BUYER - 1)


def test_copurchase_is_the_same_in_whatever_shares_the_users_come() -> None:
    events = [
        (f"user{n % 7}", f"item{(n * n) % 11}", str(datetime(2011, 1, 1) + timedelta(hours=5 * n)), PURCHASE)
        for n in range(60)
    ]
    days = user_days(frame(events))
    of_each = [bought_pairs(days.filter(pc.equal(days["user_id"], f"user{n}"))) for n in range(7)]
    assert tuples(covisitation.neighbours(pa.concat_tables(of_each))) == bought_with(events) != []


def test_heavier_neighbours_come_first() -> None:
    events = [
        *((f"user{n}", item, "2011-03-01 09:00", VIEW) for n in range(3) for item in ("tea", "cup")),
        *(("dora", item, "2011-03-01 09:00", PURCHASE) for item in ("tea", "pot")),
        *(("emil", item, "2011-03-01 09:00", VIEW) for item in ("tea", "bag")),
    ]
    of_tea = [row for row in neighbours(events) if row[0] == "tea"]
    assert [(row[1], row[2]) for row in of_tea] == [("pot", 5), ("cup", 3), ("bag", 1)]


def test_one_reseller_cannot_explode_covisitation() -> None:
    start = datetime(2011, 3, 1)
    events = [("reseller", f"item{n:04d}", str(start + timedelta(seconds=n)), VIEW) for n in range(1000)]
    rows = neighbours(events)
    assert {row[0] for row in rows} == {f"item{n:04d}" for n in range(1000 - MAX_ITEMS_A_DAY, 1000)}
    assert len(rows) == MAX_ITEMS_A_DAY * (MAX_ITEMS_A_DAY - 1)


def test_an_item_keeps_its_heaviest_neighbours_only() -> None:
    events = [
        (f"user{n:03d}", item, "2011-03-01 09:00", VIEW)
        for n in range(MAX_NEIGHBOURS + 10)
        for item in ("hub", f"spoke{n:03d}")
    ]
    of_hub = [row for row in neighbours(events) if row[0] == "hub"]
    assert [row[1] for row in of_hub] == [f"spoke{n:03d}" for n in range(MAX_NEIGHBOURS)]
    assert [row[3] for row in of_hub] == list(range(1, MAX_NEIGHBOURS + 1))


def test_pairs_are_added_up_whether_many_fit_in_memory_or_few(monkeypatch: pytest.MonkeyPatch) -> None:
    days = user_days(frame(EVENTS))
    at_once = pair_days(days)
    monkeypatch.setattr(covisitation, "_PAIRS_AT_ONCE", 1)
    assert pair_days(days).equals(at_once)
    twice = pa.concat_tables([days, days])
    assert pair_days(twice)["weight"].to_pylist() == pc.multiply(at_once["weight"], 2).to_pylist()


def test_an_items_neighbours_are_the_same_in_whatever_bucket_it_is() -> None:
    pairs = pair_days(user_days(frame(EVENTS)))
    whole = covisitation.neighbours(pairs)
    buckets = [covisitation.neighbours(pairs, bucket=number, num_buckets=3) for number in range(3)]
    assert sum(len(rows) > 0 for rows in buckets) > 1
    assert sorted(tuples(pa.concat_tables(buckets))) == sorted(tuples(whole))


def test_days_of_a_user_come_in_the_order_of_time() -> None:
    days = user_days(frame(EVENTS))
    dates = sorted(set(days["event_date"].to_pylist()))
    of_each = [days.filter(pc.equal(days["event_date"], each)) for each in dates]
    assert by_user(of_each).equals(days)


@pytest.mark.usefixtures("spark")
def test_a_run_sees_nothing_that_became_known_later(settings: Settings) -> None:
    rows = rows_of(EVENTS[:4])
    rows[3]["known_date"] = date(2011, 3, 2)
    export(settings, rows)
    run(settings)
    assert Lake.of(settings).read(names.HISTORIES, DAY)["item_ids"].to_pylist() == [["lamp"]]


@pytest.mark.usefixtures("spark")
def test_the_built_partitions_are_what_the_contract_says(settings: Settings) -> None:
    export(settings, rows_of(EVENTS))
    assert run(settings)["rows"] == {
        names.HISTORIES: 2,
        names.COVISITATION: 6,
        names.COPURCHASE: 0,
        names.SEQUENCES: 4,
        names.TRAINING_IMPRESSIONS: 0,
    }
    lake = Lake.of(settings)
    for table in names.PARTS_BY_EVENT_DAY + names.LOOKING_BACK + OF_TRAINING:
        day = date(2011, 2, 28) if table in names.PARTS_BY_EVENT_DAY else DAY
        assert types_in(lake, table, day) == types_of(arrow_schema(TABLES[table]))
    order = ["item_id", "neighbour_rank"]
    neighbours = lake.read(names.COVISITATION, DAY).select(order)
    assert neighbours.equals(neighbours.sort_by([(name, "ascending") for name in order]))
    histories = lake.read(names.HISTORIES, DAY).to_pydict()
    assert dict(zip(histories["user_id"], histories["item_ids"], strict=True)) == {
        "anna": ["lamp", "rug", "lamp"],
        "ben": ["rug", "bowl"],
    }


@pytest.mark.usefixtures("spark")
def test_later_events_change_nothing_about_an_earlier_day(settings: Settings) -> None:
    export(settings, rows_of(EVENTS))
    run(settings)
    before = digests(settings)
    late = rows_of(
        [*EVENTS, ("anna", "bowl", "2011-02-25 07:00", PURCHASE), ("ben", "lamp", "2011-03-02 07:00", VIEW)]
    )
    late[-2]["known_date"] = date(2011, 3, 2)  # it happened early and was told late
    export(settings, late)
    assert "unchanged" not in run(settings)  # a partition that it reads was revised: built again …
    assert digests(settings) == before  # … to the same bytes
    assert run(settings, date(2011, 3, 2))["rows"][names.SEQUENCES] == 6  # the day after sees both


@pytest.mark.usefixtures("spark")
def test_permuted_events_give_the_same_bytes(settings: Settings, tmp_path: Path) -> None:
    other = load_settings(home=tmp_path / "other", history_length=3, judge_days=3, history_days=30)
    export(settings, rows_of(EVENTS))
    export(other, rows_of(EVENTS)[::-1])
    run(settings)
    run(other)
    assert digests(settings) == digests(other)


@pytest.mark.usefixtures("spark")
def test_an_event_day_is_built_once_and_again_when_it_is_revised(settings: Settings) -> None:
    export(settings, rows_of(EVENTS))
    assert run(settings, date(2011, 2, 28), names.DAILY)["built_event_days"] == 4
    assert run(settings, kind=names.DAILY)["built_event_days"] == 1  # the new one
    late = rows_of([*EVENTS, ("ben", "lamp", "2011-02-25 13:00", VIEW)])
    late[-1]["known_date"] = date(2011, 3, 2)
    export(settings, late)
    after = date(2011, 3, 2)
    assert run(settings, after, names.DAILY)["built_event_days"] == 1  # the one that a late event has touched
    histories = Lake.of(settings).read(names.HISTORIES, after).to_pydict()
    assert histories["item_ids"][histories["user_id"].index("ben")] == ["rug", "bowl", "lamp"]
    # All three cut-offs of a retraining know it as it was, the day itself as it is: built twice.
    assert run(settings, after)["built_event_days"] == 2


@pytest.mark.usefixtures("spark")
def test_many_days_at_once_give_the_bytes_of_day_by_day(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = load_settings(home=tmp_path / "whole", history_length=3, judge_days=3, history_days=30)
    export(whole, rows_of(EVENTS))
    run(whole)
    # So that a day has several files, made by several tasks, and so have users and items.
    monkeypatch.setattr(build, "_PAIRS_A_TASK", 1)
    monkeypatch.setattr(build, "_EVENTS_A_FILE", 1)
    monkeypatch.setattr(build, "_EVENTS_A_TASK", 2)
    other = load_settings(home=tmp_path / "other", history_length=3, judge_days=3, history_days=30)
    export(settings, rows_of(EVENTS))
    export(other, rows_of(EVENTS))
    run(settings)
    run(other, date(2011, 2, 28))
    run(other)
    assert digests(settings) == digests(other)
    for table in names.LOOKING_BACK + OF_TRAINING:
        few, many = (sorted(tuples(Lake.of(home).read(table, DAY))) for home in (whole, settings))
        assert few == many, table
    num_files = []
    for table in names.PARTS_BY_EVENT_DAY:
        days = Lake.of(settings).days(table)
        one, each = ([Lake.of(home).verify(table, day) for day in days] for home in (settings, other))
        assert [manifest.contents for manifest in one] == [manifest.contents for manifest in each]
        num_files += [len(manifest.files) for manifest in one]
    assert max(num_files) > 1


def test_a_current_day_starts_no_jvm(
    spark: SparkContext, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    export(settings, rows_of(EVENTS))
    run(settings)
    before = digests(settings)
    monkeypatch.setattr(
        "jobs.io.spark.spark_context", lambda *arguments, **options: pytest.fail("a JVM was started")
    )
    assert run(settings)["unchanged"]
    assert digests(settings) == before


@pytest.mark.usefixtures("spark")
def test_a_training_set_is_built_where_a_retraining_asks_for_it(settings: Settings, tmp_path: Path) -> None:
    export(settings, rows_of(EVENTS))
    assert set(run(settings, kind=names.DAILY)["rows"]) == set(names.LOOKING_BACK)
    lake = Lake.of(settings)
    assert [lake.manifest(table, DAY) for table in OF_TRAINING] == [None] * 2
    before = [lake.manifest(table, DAY) for table in names.LOOKING_BACK]
    assert set(run(settings)["rows"]) == {*names.LOOKING_BACK, *OF_TRAINING}
    shorter = load_settings(home=tmp_path / "a home", history_length=3, judge_days=1, history_days=30)
    assert run(shorter, kind=names.DAILY)["unchanged"]  # another split is nothing to a day
    assert run(shorter)["cutoffs_built"] == ["2011-02-27"]  # and 02-28, which is one of three days' too
    assert [lake.manifest(table, DAY) for table in names.LOOKING_BACK] == before  # built once


@pytest.mark.usefixtures("spark")
def test_a_retraining_builds_what_its_cutoffs_knew_and_no_late_event_gets_in(settings: Settings) -> None:
    told_late = ("anna", "bowl", "2011-02-24 23:00", PURCHASE)
    late = rows_of([*EVENTS, told_late])
    late[-1]["known_date"] = date(2011, 2, 27)  # after the first two cut-offs, before the last
    export(settings, late)
    assert run(settings)["cutoffs_built"] == ["2011-02-25", "2011-02-26", "2011-02-28"]
    lake, seen = Lake.of(settings), {}
    for day in (date(2011, 2, 25), date(2011, 2, 26), date(2011, 2, 28), DAY):
        rows = lake.read(names.HISTORIES, day).to_pydict()
        seen[day] = dict(zip(rows["user_id"], rows["seen_item_ids"], strict=True))["anna"]
    assert list(seen.values()) == [["lamp", "vase"]] * 2 + [["bowl", "lamp", "rug", "vase"]] * 2
    bought = [lake.read(names.COPURCHASE, day).num_rows for day in seen]
    assert bought == [0, 0, 2, 2]
    # Each is what its own run would have built, and the parts that are left serve the day itself.
    for day in list(seen)[:3]:
        before = [lake.verify(table, day) for table in names.LOOKING_BACK]
        assert run(settings, day, names.DAILY).get("unchanged")
        assert [lake.verify(table, day) for table in names.LOOKING_BACK] == before
    assert run(settings, DAY + timedelta(days=1), names.DAILY)["built_event_days"] == 0


@pytest.mark.usefixtures("spark")
def test_what_a_cutoffs_own_run_has_built_stands_whatever_is_told_later(settings: Settings) -> None:
    cutoff = date(2011, 2, 26)
    export(settings, rows_of(EVENTS)[:10])
    manifest = {"settings": settings.run_settings() | {"history_length": 2}}
    State.of(settings).put(RUNS, run_key(names.DAILY, cutoff), {"manifest": manifest})
    run(settings, cutoff, names.DAILY)
    lake = Lake.of(settings)
    before = [lake.verify(table, cutoff) for table in names.LOOKING_BACK]
    late = rows_of([*EVENTS, ("anna", "bowl", "2011-02-24 23:00", PURCHASE)])
    late[-1]["known_date"] = date(2011, 2, 27)
    export(settings, late)
    assert run(settings)["cutoffs_built"] == ["2011-02-25", "2011-02-28"]
    assert [lake.verify(table, cutoff) for table in names.LOOKING_BACK] == before
    assert lake.read(names.HISTORIES, cutoff)["item_ids"].to_pylist() == [["vase", "vase"], ["rug", "bowl"]]
    # A partition of an older release lacks columns: it is built again, by the settings of its run.
    with State.of(settings).lease("test", "build", 60, is_last=True) as lease:
        old = lake.read(names.HISTORIES, cutoff).drop_columns(["seen_depths"])
        Lake.of(settings, lease).replace(names.HISTORIES, cutoff, old, inputs="of an older release")
    assert run(settings)["cutoffs_built"] == ["2011-02-26"]
    assert [lake.verify(table, cutoff).contents for table in names.LOOKING_BACK] == [
        manifest.contents for manifest in before
    ]
    # Somebody has withdrawn since, and the transform has built the day's features again without what must not be used.
    with State.of(settings).lease("test", "transform", 60, is_last=True) as lease:
        nobody = arrow_schema(FCT_INTERACTIONS).empty_table()
        Lake.of(settings, lease).replace(names.FCT_INTERACTIONS, date(2011, 2, 25), nobody, inputs="no ben")
    State.of(settings).put(HEARD, cutoff.isoformat(), {"until": DAY.isoformat()})
    assert run(settings)["cutoffs_built"] == ["2011-02-25", "2011-02-26", "2011-02-28"]
    assert "ben" not in lake.read(names.HISTORIES, cutoff)["user_id"].to_pylist()
    assert run(settings)["unchanged"]


@pytest.mark.usefixtures("spark")
def test_a_cutoff_before_all_interactions_has_nothing_to_look_back_on(settings: Settings) -> None:
    export(settings, rows_of([("anna", "lamp", "2011-02-27 09:00", VIEW)]))
    assert run(settings)["cutoffs_built"] == ["2011-02-28"]


@pytest.mark.usefixtures("spark")
def test_a_training_set_holds_what_was_shown_and_what_the_day_knows_of_it(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, late = DAY - timedelta(days=30), DAY + timedelta(days=1)
    before = [DAY - timedelta(days=back) for back in (4, 2)]
    export(settings, rows_of(EVENTS))
    show(settings, first, *before, late)
    show(settings, DAY, clicked_known_date=DAY, purchased_known_date=late, propensity=0.5)
    assert run(settings)["rows"][names.TRAINING_IMPRESSIONS] == 3
    lake, columns = Lake.of(settings), ["event_date", "outcome", "split", "position", "propensity"]
    expected = [
        (before[0], "ignored", "fit", 1, None),
        (before[1], "ignored", "judge", 1, None),
        (DAY, "clicked", "judge", 1, 0.5),
    ]
    assert tuples(lake.read(names.TRAINING_IMPRESSIONS, DAY, columns)) == expected
    assert types_in(lake, names.TRAINING_IMPRESSIONS) == types_of(
        arrow_schema(TABLES[names.TRAINING_IMPRESSIONS])
    )
    assert run(settings)["unchanged"]
    others = [lake.manifest(table, DAY) for table in (*names.LOOKING_BACK, names.SEQUENCES)]
    show(settings, before[1], clicked_known_date=DAY)
    monkeypatch.setattr(build, "_EVENTS_A_TASK", 1)  # several tasks, each of some of the days
    run(settings)
    expected[1] = (before[1], "clicked", "judge", 1, None)
    assert tuples(lake.read(names.TRAINING_IMPRESSIONS, DAY, columns)) == expected
    assert len(lake.files(names.TRAINING_IMPRESSIONS, [DAY])) == 4
    assert [
        lake.manifest(table, DAY) for table in (*names.LOOKING_BACK, names.SEQUENCES)
    ] == others  # not theirs


@pytest.mark.usefixtures("spark")
def test_another_history_length_is_another_build(settings: Settings, tmp_path: Path) -> None:
    export(settings, rows_of(EVENTS))
    run(settings)
    longer = load_settings(home=tmp_path / "a home", history_length=5, judge_days=3, history_days=30)
    assert "unchanged" not in run(longer)
    assert [len(items) for items in Lake.of(longer).read(names.HISTORIES, DAY).to_pydict()["item_ids"]] == [
        5,
        2,
    ]


@pytest.mark.usefixtures("spark")
def test_a_day_without_positive_interactions_builds_empty_tables(settings: Settings) -> None:
    export(settings, rows_of([("carl", "rug", "2011-03-01 08:00", RETURN)]))
    assert set(run(settings)["rows"].values()) == {0}
    assert types_in(Lake.of(settings), names.COVISITATION) == types_of(
        arrow_schema(TABLES[names.COVISITATION])
    )


@pytest.mark.usefixtures("spark")
def test_a_day_on_which_only_strangers_acted_is_built_like_any_other(settings: Settings) -> None:
    export(settings, rows_of(EVENTS))
    with State.of(settings).lease("test", "transform", 60, is_last=True) as lease:
        nobody = arrow_schema(FCT_INTERACTIONS).empty_table()
        Lake.of(settings, lease).replace(names.FCT_INTERACTIONS, date(2011, 2, 27), nobody, inputs="none")
    assert run(settings)["event_days"] == 6
    assert Lake.of(settings).verify(names.USER_DAYS, date(2011, 2, 27)).num_rows == 0


def test_build_says_what_is_missing(settings: Settings) -> None:
    with pytest.raises(
        PartitionMissing, match="fct_interactions has no partition from 2011-01-31 to 2011-03-01"
    ):
        run(settings)


def test_build_refuses_a_torn_partition(settings: Settings) -> None:
    export(settings, rows_of(EVENTS))
    path = Lake.of(settings).files(names.FCT_INTERACTIONS, [DAY])[0]
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(PartitionTorn, match=str(path)):
        run(settings)
