"""The monitor over a small synthetic lake: DuckDB, Parquet and Evidently for real."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest

from contracts import names
from contracts.feed import days_between
from contracts.settings import load_settings
from contracts.tables import TABLES
from jobs import monitor
from jobs.io.schemas import arrow_schema
from jobs.io.state import PROMOTIONS, PUBLICATIONS, RETRAININGS, VERDICTS, State
from jobs.io.warehouse import open_warehouse
from jobs.monitoring.columns import NUMBERS, SHARES, Column
from jobs.monitoring.divergence import js_bits, wasserstein
from jobs.monitoring.evidently_report import drift_report
from jobs.monitoring.keep import DRIFT_VERDICTS
from jobs.monitoring.panel import read_panel
from jobs.monitoring.windows import Span
from jobs.report_pages.definitions import key_of
from jobs.runs import StepContext

pytestmark = pytest.mark.integration

FIRST = date(2011, 1, 1)
PROMOTED = date(2011, 2, 9)  # day 40
DAY = date(2011, 2, 25)  # day 56
YESTERDAY = DAY - timedelta(days=1)
NUM_USERS, NUM_ITEMS, NUM_CATEGORIES = 420, 60, 6
EVENTS_A_DAY = 500


def truths(table: str, num_rows: int) -> dict[str, list[bool]]:
    """Every second one is true, of the features that are true or false."""
    found = [feature.name for feature in TABLES[table].features if feature.data_type == "boolean"]
    return {name: [row % 2 == 0 for row in range(num_rows)] for name in found}


@dataclass
class Shop:
    """People with tastes of their own, who go on as they are unless told otherwise."""

    context: StepContext
    num_days: int = 56
    shifted_from: date | None = None  # from this day on two thirds of the people have another taste
    fashion_from: date | None = None  # from this day on nearly everybody wants the first category
    kept_share: float = 1.0  # of the events from this day on:
    lossy_from: date = YESTERDAY
    season: float = 1.0  # of the people of the day before come on each day after PROMOTED
    feature_factor: float = 1.0  # of the features on DAY
    missing_features: float = 0.0  # the share of the features on DAY that is missing
    first_listed: int = 0  # DAY's lists know no item before this one

    def build(self) -> None:
        rng = np.random.default_rng(3)
        tastes = rng.dirichlet(np.full(NUM_CATEGORIES, 0.3), NUM_USERS)
        others = rng.dirichlet(np.full(NUM_CATEGORIES, 0.3), NUM_USERS)
        is_fickle = rng.random(NUM_USERS) < 2 / 3
        for offset in range(self.num_days):
            day = FIRST + timedelta(days=offset)
            now = tastes
            if self.shifted_from and day >= self.shifted_from:
                now = np.where(is_fickle[:, None], others, tastes)
            if self.fashion_from and day >= self.fashion_from:
                now = 0.1 * tastes + 0.9 * np.eye(NUM_CATEGORIES)[0]
            self.write_events(day, now, rng)
        for day in (PROMOTED, YESTERDAY, DAY):
            self.write_catalogue(day)
            self.write_features(day, rng)
        self.write_lists(names.LISTS_RETRAINED, PROMOTED, 0)
        self.write_lists(names.LISTS, YESTERDAY, 0)
        self.write_lists(names.LISTS, DAY, self.first_listed)
        self.context.state.put(PROMOTIONS, "1", {"day": PROMOTED.isoformat(), "sha256": "-"})
        self.context.state.put(PUBLICATIONS, "v0001", {"day": YESTERDAY.isoformat(), "kind": names.DAILY})

    def write_events(self, day: date, tastes: npt.NDArray[np.float64], rng: np.random.Generator) -> None:
        coming = self.season ** max((day - PROMOTED).days, 0)
        num = int(EVENTS_A_DAY * coming * (self.kept_share if day >= self.lossy_from else 1.0))
        users = rng.integers(0, int(NUM_USERS * coming), num)
        chosen = (tastes[users].cumsum(axis=1) > rng.random(num)[:, None]).argmax(axis=1)
        items = chosen + NUM_CATEGORIES * rng.integers(0, NUM_ITEMS // NUM_CATEGORIES, num)
        self.replace(names.FCT_INTERACTIONS, day, **events(day, users, items))

    def write_catalogue(
        self, day: date, prices: list[int] | None = None, *, until: int = NUM_ITEMS, missing: str = ""
    ) -> None:
        known = [item for item in range(until) if f"c{item % NUM_CATEGORIES}" != missing]
        self.replace(
            names.DIM_ITEMS,
            day,
            item_id=[item_id(item) for item in known],
            feature_date=[day] * len(known),
            category=[f"c{item % NUM_CATEGORIES}" for item in known],
            is_available=[True] * len(known),
            price_cents=prices or [1999] * len(known),
        )

    def write_features(self, day: date, rng: np.random.Generator) -> None:
        factor = self.feature_factor if day == DAY else 1.0
        num_missing = int(NUM_USERS * self.missing_features) if day == DAY else 0
        users: dict[str, Any] = {
            name: np.rint(factor * (1 + rng.gamma(2, 4, NUM_USERS))).astype(int).tolist()
            for name in TABLES[names.FEAT_USER_DAILY].columns
        }
        users |= truths(names.FEAT_USER_DAILY, NUM_USERS)
        users["views_28d"][:num_missing] = [None] * num_missing
        # Tenure grows with the calendar, as it does.
        users["tenure_days"] = [(day - FIRST).days] * NUM_USERS
        users |= {"user_id": [user_id(user) for user in range(NUM_USERS)], "feature_date": [day] * NUM_USERS}
        items: dict[str, Any] = {
            name: rng.poisson(50, NUM_ITEMS).tolist() for name in TABLES[names.FEAT_ITEM_DAILY].columns
        }
        items |= truths(names.FEAT_ITEM_DAILY, NUM_ITEMS)
        items |= {"item_id": [item_id(item) for item in range(NUM_ITEMS)], "feature_date": [day] * NUM_ITEMS}
        self.replace(names.FEAT_USER_DAILY, day, **users)
        self.replace(names.FEAT_ITEM_DAILY, day, **items)

    def write_lists(self, table: str, day: date, first: int) -> None:
        places = np.arange(10)
        self.replace(
            table,
            day,
            user_id=[user_id(user) for user in range(NUM_USERS)],
            source=["personal"] * NUM_USERS,
            is_short=[False] * NUM_USERS,
            item_ids=[
                [item_id(first + (user + place) % (NUM_ITEMS - first)) for place in places]
                for user in range(NUM_USERS)
            ],
            scores=[(1 - 0.05 * places - 0.0001 * (user % 7)).tolist() for user in range(NUM_USERS)],
        )

    def replace(self, table: str, day: date, **columns: Any) -> None:
        schema = arrow_schema(TABLES[table])
        num_rows = len(next(iter(columns.values())))
        filled = {name: columns.get(name, [None] * num_rows) for name in schema.names}
        self.context.lake.replace(table, day, pa.table(filled, schema=schema), inputs="test")


def item_id(number: int) -> str:
    return f"i{number:03d}"


def user_id(number: int) -> str:
    return f"u{number:04d}"


def events(day: date, users: npt.NDArray[np.int64], items: npt.NDArray[np.int64]) -> dict[str, Any]:
    """Columns of a day's interactions."""
    return {
        "event_id": [f"{day}-{index:05d}" for index in range(len(users))],
        "user_id": [user_id(user) for user in users],
        "item_id": [item_id(item) for item in items],
        "event_type": ["purchase" if index % 5 == 0 else "view" for index in range(len(users))],
        "event_date": [day] * len(users),
        "known_date": [day] * len(users),
        "weight": [1] * len(users),
    }


@pytest.fixture
def context(tmp_path: Path) -> Iterator[StepContext]:
    settings = load_settings(home=tmp_path / "home")
    state = State.of(settings)
    with state.lease("test", "monitor", 60, is_last=True) as lease:
        yield StepContext.of(settings, lease)


def folder(context: StepContext, day: date = DAY) -> Path:
    return context.settings.reports_path / "drift" / day.isoformat()


def verdict_of(context: StepContext) -> dict[str, Any]:
    return dict(json.loads((folder(context) / "verdict.json").read_text()))


def statuses(context: StepContext) -> dict[str, str]:
    return {kind: found["status"] for kind, found in verdict_of(context)["kinds"].items()}


def drifted(context: StepContext) -> set[str]:
    kinds = verdict_of(context)["kinds"].values()
    return {measure["name"] for kind in kinds for measure in kind["measures"] if measure["status"] == "drift"}


def test_a_world_that_stays_as_it_is_is_ok_and_everything_is_kept(context: StepContext) -> None:
    Shop(context).build()
    result = monitor.run(DAY, context)
    assert (result["verdict"], result["reasons"], result["rings"], result["is_newest"]) == (
        "ok",
        [],
        False,
        True,
    )
    assert statuses(context) == {"data": "ok", "predictions": "ok", "outcomes": "ok", "loop": "ok"}
    assert drifted(context) == set()
    verdict = verdict_of(context)
    assert verdict["windows"] == {
        "reference": {"first": "2011-01-13", "last": "2011-02-09"},
        "current": {"first": "2011-02-19", "last": "2011-02-25"},
    }
    assert verdict["lists_of_the_day_before"]["lists_day"] == YESTERDAY.isoformat()
    assert json.loads((folder(context) / "report.json").read_text())["metrics"]
    page = (folder(context) / "report.html").read_text()
    assert 'src="http' not in page
    assert context.state.get(VERDICTS, DAY.isoformat()) == {
        **verdict,
        "rings": False,
        "has_rung": False,
        "is_newest": True,
    }
    with open_warehouse(context.settings) as warehouse:
        rows = warehouse.read("select * from ops.drift_verdicts", DRIFT_VERDICTS.columns).to_pylist()
    assert [(row["day"], row["verdict"], row["champion"]) for row in rows] == [(DAY, "ok", "1")]
    assert Path(result["report"]).exists()
    assert (context.settings.reports_path / "index.html").exists()


def test_a_second_run_gives_the_same_verdict_and_late_events_do_not_change_it(context: StepContext) -> None:
    shop = Shop(context)
    shop.build()
    monitor.run(DAY, context)
    first = (folder(context) / "verdict.json").read_bytes()
    late_day = DAY - timedelta(days=2)
    known = context.lake.read(names.FCT_INTERACTIONS, late_day).to_pydict()
    late = events(late_day, np.zeros(400, np.int64), np.zeros(400, np.int64))
    late |= {
        "known_date": [DAY + timedelta(days=1)] * 400,
        "event_id": [f"late-{index}" for index in range(400)],
    }
    shop.replace(names.FCT_INTERACTIONS, late_day, **{name: known[name] + list(late[name]) for name in late})
    monitor.run(DAY, context)
    assert (folder(context) / "verdict.json").read_bytes() == first
    with open_warehouse(context.settings) as warehouse:
        assert warehouse.read("select day from ops.drift_verdicts", {"day": "date"}).num_rows == 1


def test_tastes_that_moved_ring_the_alarm_once(context: StepContext) -> None:
    Shop(context, shifted_from=PROMOTED + timedelta(days=1)).build()
    result = monitor.run(DAY, context)
    assert (result["verdict"], result["rings"]) == ("drift", True)
    assert drifted(context) == {"tastes_lost", "tastes_lost_recently"}
    assert result["reasons"][0].startswith("data: tastes lost")
    context.state.put(RETRAININGS, DAY.isoformat(), {"day": DAY.isoformat(), "reason": "drift"})
    again = monitor.run(DAY, context)
    assert (again["verdict"], again["rings"]) == ("drift", False)
    record = context.state.get(VERDICTS, DAY.isoformat())
    assert record is not None
    assert record["has_rung"]


def test_a_category_that_came_after_the_champion_is_a_drift_and_an_item_that_came_is_none(
    context: StepContext,
) -> None:
    shop = Shop(context)
    shop.build()
    shop.write_catalogue(PROMOTED, until=NUM_ITEMS - 4)  # some 7 % of the events, in known categories
    monitor.run(DAY, context)
    assert drifted(context) == set()
    shop.write_catalogue(PROMOTED, missing="c5", until=NUM_ITEMS)
    monitor.run(DAY, context)
    assert "unknown_categories" in drifted(context)


def test_days_after_a_drift_ring_again_when_they_have_grown_by_half(context: StepContext) -> None:
    """Nothing drifts: the champion of PROMOTED knows four days of the new world, and sixteen more have passed."""
    Shop(context).build()
    since = (PROMOTED - timedelta(days=3)).isoformat()
    monitor.run(YESTERDAY, context)
    before = context.state.get(VERDICTS, YESTERDAY.isoformat()) or {}
    context.state.put(VERDICTS, YESTERDAY.isoformat(), {**before, "settling": {"drift_since": since}})
    result = monitor.run(DAY, context)
    assert (result["verdict"], result["rings"]) == ("ok", True)
    assert result["reasons"] == [
        f"settling: people have lived 20 days since tastes drifted on {since}, and the champion knows 4 of them"
    ]
    assert result["alarms"][0]["kind"] == "drift"
    record = context.state.get(VERDICTS, DAY.isoformat())
    assert record is not None
    assert record["settling"]["drift_since"] == since
    assert record["reasons"] == result["reasons"]


def test_a_day_that_was_refused_does_not_end_the_settling(context: StepContext) -> None:
    """It has no verdict: the newest one before it says since when things have drifted."""
    Shop(context).build()
    since = (PROMOTED - timedelta(days=3)).isoformat()
    monitor.run(YESTERDAY, context)
    judged = context.state.get(VERDICTS, YESTERDAY.isoformat()) or {}
    last_judged = (DAY - timedelta(days=3)).isoformat()
    context.state.put(
        VERDICTS, last_judged, {**judged, "day": last_judged, "settling": {"drift_since": since}}
    )
    context.state.change(VERDICTS, YESTERDAY.isoformat(), lambda held: None)
    assert monitor.run(DAY, context)["rings"]
    record = context.state.get(VERDICTS, DAY.isoformat())
    assert record is not None
    assert record["settling"]["drift_since"] == since


def test_a_fashion_moves_categories_and_items(context: StepContext) -> None:
    Shop(context, fashion_from=PROMOTED + timedelta(days=5)).build()
    monitor.run(DAY, context)
    assert {"events.category", "events.item"} <= drifted(context)
    most = verdict_of(context)["moved"]["categories"][0]
    assert most["name"] == "c0"
    assert most["before"]["value"] < 0.4 < 0.8 < most["now"]["value"]


def test_the_verdict_carries_what_the_day_came_to(context: StepContext) -> None:
    Shop(context).build()
    monitor.run(DAY, context)
    measured = [
        (measure["name"], kind)
        for kind, found in verdict_of(context)["kinds"].items()
        for measure in found["measures"]
    ]
    assert [name for name, kind in measured if key_of(name, kind) == "measure"] == []
    found = verdict_of(context)["kpis"]["all"]
    assert found["orders"] > 0
    assert found["conversion"]["low"] < found["conversion"]["value"] < found["conversion"]["high"]
    assert found["ctr"]["value"] is None  # nobody was shown anything


def test_a_fashion_of_three_days_is_no_drift(context: StepContext) -> None:
    Shop(context, fashion_from=DAY - timedelta(days=2)).build()
    monitor.run(DAY, context)
    found = {measure["name"]: measure for measure in verdict_of(context)["kinds"]["data"]["measures"]}
    assert found["events.category"]["effect"] > found["events.category"]["threshold"]
    assert (found["events.category"]["status"], found["events.category"]["note"]) == (
        "ok",
        "seen in one half of the window only",
    )


def test_a_backfill_of_a_drifted_day_rings_nothing(context: StepContext) -> None:
    Shop(context, shifted_from=PROMOTED + timedelta(days=1)).build()
    context.state.put(
        PUBLICATIONS, "v0002", {"day": (DAY + timedelta(days=1)).isoformat(), "kind": names.DAILY}
    )
    result = monitor.run(DAY, context)
    assert (result["verdict"], result["is_newest"], result["rings"]) == ("drift", False, False)


def test_features_that_doubled_and_lists_that_narrowed_are_drift_of_their_kinds(context: StepContext) -> None:
    Shop(context, feature_factor=2.5, first_listed=45).build()
    assert monitor.run(DAY, context)["verdict"] == "drift"
    assert statuses(context) == {"data": "drift", "predictions": "drift", "outcomes": "ok", "loop": "drift"}
    # What looks back 90 days, and what moves with the calendar, is shown and never judged.
    assert {"user.views_28d", "lists.item"} <= drifted(context)
    assert not {"user.recency_days", "user.tenure_days", "user.spend_cents_90d"} & drifted(context)


def test_a_tracker_that_loses_half_the_events_is_invalid_and_rings_nothing(context: StepContext) -> None:
    Shop(context, kept_share=0.5, shifted_from=PROMOTED + timedelta(days=1)).build()
    result = monitor.run(DAY, context)
    assert (result["verdict"], result["rings"]) == ("invalid", False)
    (reason,) = result["reasons"]
    assert reason.startswith("data: events are lost: 0.5"), reason
    assert "if every other event were lost" in reason
    assert not (folder(context) / "report.html").exists()


def test_a_season_that_ends_is_valid_though_the_champion_was_trained_in_it(context: StepContext) -> None:
    """A week of it has half of what the champion knows, and three fifths of the two weeks before."""
    Shop(context, season=0.95).build()
    result = monitor.run(DAY, context)
    assert result["verdict"] != "invalid", result["reasons"]


def test_a_tracker_that_goes_on_losing_them_stays_invalid(context: StepContext) -> None:
    Shop(context, kept_share=0.5, lossy_from=PROMOTED + timedelta(days=1)).build()
    for day in days_between(PROMOTED + timedelta(days=2), YESTERDAY):
        context.state.put(VERDICTS, day.isoformat(), {"verdict": "invalid"})
    settings = context.settings.model_copy(update={"pages_after_run": False})
    result = monitor.run(
        DAY, StepContext(settings, context.state, context.lease, context.lake, context.run_id)
    )
    collapsed, lost = result["reasons"]
    assert collapsed.startswith("data: volume collapsed: 250 events a day, 0.5"), collapsed
    assert "of sound days before" in collapsed
    assert lost.startswith("data: events are lost: 0.5"), lost


def test_a_day_called_invalid_counts_again_once_a_champion_was_trained_on_it(context: StepContext) -> None:
    Shop(context, kept_share=0.5, lossy_from=PROMOTED - timedelta(days=27)).build()
    for day in days_between(PROMOTED - timedelta(days=27), YESTERDAY):
        context.state.put(VERDICTS, day.isoformat(), {"verdict": "invalid"})
    settings = context.settings.model_copy(update={"pages_after_run": False})
    result = monitor.run(
        DAY, StepContext(settings, context.state, context.lease, context.lake, context.run_id)
    )
    assert result["verdict"] == "ok", result["reasons"]


def test_a_feature_that_went_missing_is_invalid(context: StepContext) -> None:
    Shop(context, missing_features=0.5).build()
    result = monitor.run(DAY, context)
    assert result["verdict"] == "invalid"
    assert result["reasons"] == ["data: user.views_28d is missing in 50.0% of rows (0.0% in the reference)"]


@pytest.mark.parametrize(
    ("num_sessions", "verdict"),
    [(300, "invalid"), (10, "ok")],  # ten strangers with thirty views each are ten witnesses
)
def test_a_column_of_the_feed_that_went_empty_is_invalid_at_once_if_enough_people_lack_it(
    context: StepContext, num_sessions: int, verdict: str
) -> None:
    shop = Shop(context)
    shop.build()
    for day, dwell in ((PROMOTED, [900] * 300), (YESTERDAY, [900] * 300), (DAY, [None] * 300)):
        shop.replace(
            names.RAW_EVENTS,
            day,
            event_id=[f"{day}-{number}" for number in range(300)],
            session_id=[f"{day}-{number % num_sessions}" for number in range(300)],
            event_type=["view"] * 300,
            dwell_ms=dwell,
            known_date=[day] * 300,
            event_date=[day] * 300,
        )
    result = monitor.run(DAY, context)
    assert (result["verdict"], result["rings"]) == (verdict, False)
    if verdict == "invalid":
        assert result["reasons"] == [
            "data: dwell_ms is missing in 50% of a person's view events on average (0% in the reference)"
        ]


@pytest.mark.parametrize(("num_wrong", "verdict"), [(1, "ok"), (2, "invalid")])
def test_prices_that_lost_their_decimal_point_are_invalid(
    context: StepContext, num_wrong: int, verdict: str
) -> None:
    shop = Shop(context)
    shop.build()
    for day, factor in ((PROMOTED, 1), (YESTERDAY, 100), (DAY, 100)):
        shop.write_catalogue(
            day, prices=[1999 * (factor if item < num_wrong else 1) for item in range(NUM_ITEMS)]
        )
    result = monitor.run(DAY, context)
    assert result["verdict"] == verdict  # one of sixty items may have another price
    if verdict == "invalid":
        assert result["reasons"] == [
            "data: the price of 2 of 60 items is another since 2011-02-09 by a factor of 5 or more, up to 100 (limit 2% of items)"
        ]


def test_a_sale_is_no_broken_price_and_neither_is_a_fault_that_was_mended(context: StepContext) -> None:
    shop = Shop(context)
    shop.build()
    for day, price in ((PROMOTED, 1999), (YESTERDAY, 10), (DAY, 999)):
        shop.write_catalogue(day, prices=[price] * NUM_ITEMS)
    assert monitor.run(DAY, context)["verdict"] == "ok"


def test_lists_that_narrow_are_told_and_ring_nothing(context: StepContext) -> None:
    shop = Shop(context)
    shop.build()
    shop.write_lists(names.LISTS, DAY, 15)
    result = monitor.run(DAY, context)
    assert (result["verdict"], result["rings"]) == ("ok", False)
    assert any("no retraining mends it: loop: coverage lost 25%" in reason for reason in result["reasons"])
    assert verdict_of(context)["exposure"]["coverage"] == 0.75


def test_a_young_shop_is_ok_because_there_is_nothing_to_compare_with(context: StepContext) -> None:
    Shop(context, num_days=8).build()
    result = monitor.run(FIRST + timedelta(days=7), context)
    assert (result["verdict"], result["rings"]) == ("ok", False)
    assert "nothing to compare with yet" in result["reasons"][0]


def test_only_the_latest_full_reports_are_kept(context: StepContext) -> None:
    Shop(context).build()
    settings = context.settings.model_copy(update={"reports_kept": 1})
    for day in (YESTERDAY, DAY):
        monitor.run(day, StepContext(settings, context.state, context.lease, context.lake, context.run_id))
    assert not (folder(context, YESTERDAY) / "report.html").exists()
    assert (folder(context, YESTERDAY) / "verdict.json").exists()
    assert (folder(context, DAY) / "report.html").exists()


def test_a_full_report_that_nobody_keeps_is_not_drawn(context: StepContext) -> None:
    Shop(context).build()
    drawn = monitor.run(DAY, context)
    verdict = verdict_of(context)
    settings = context.settings.model_copy(update={"reports_kept": 0})
    told = monitor.run(DAY, StepContext(settings, context.state, context.lease, context.lake, context.run_id))
    assert told["reasons"] == drawn["reasons"]
    assert verdict_of(context) == verdict
    assert not (folder(context) / "report.html").exists()
    assert (folder(context) / "report.json").exists()


def test_the_panel_holds_whole_people_up_to_its_rows(context: StepContext) -> None:
    Shop(context).build()
    span = Span(DAY - timedelta(days=6), DAY)
    everybody = read_panel(context.lake, span, DAY, max_rows=100_000, threads=1).events
    some = read_panel(context.lake, span, DAY, max_rows=1_000, threads=1).events
    assert 1_000 <= len(some) < 1_100
    counts = everybody["user_id"].value_counts()
    assert some["user_id"].value_counts().to_dict() == counts[some["user_id"].unique()].to_dict()


def test_evidently_measures_what_our_noise_is_estimated_for(rng: np.random.Generator) -> None:
    import pandas as pd

    before, now = rng.integers(0, 8, 900), rng.integers(0, 6, 700)
    high, low = rng.gamma(2, 3, 900), rng.gamma(2, 4, 700)
    shares = Column("data", "s", "s", SHARES, pd.Series(before).astype(str), pd.Series(now).astype(str))
    numbers = Column("data", "n", "n", NUMBERS, pd.Series(high), pd.Series(low))
    values = drift_report([shares, numbers]).values
    assert values["s"] == pytest.approx(
        js_bits(np.bincount(before, minlength=8), np.bincount(now, minlength=8))
    )
    assert values["n"] == pytest.approx(wasserstein(high, low))
