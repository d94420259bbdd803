"""The guard over a small lake and a real registry: who takes over, on which day, and what a second run finds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from contracts import names
from contracts.feed import days_between
from contracts.settings import load_settings
from contracts.tables import TABLES
from jobs import guard
from jobs.io.schemas import arrow_schema
from jobs.io.state import DEMOTIONS, PROMOTIONS, PUBLICATIONS, RUNS, State
from jobs.runs import StepContext, champion_of_run, manifest_of

pytestmark = pytest.mark.integration

PROMOTED = date(2011, 3, 10)
DAY = PROMOTED + timedelta(days=2)
NUM_USERS, NUM_ITEMS = 300, 40


class _Registry:
    """Who was promoted; stands in for MLflow, whose own tests are elsewhere."""

    def __init__(self) -> None:
        self.promoted: list[str] = []

    def __enter__(self) -> _Registry:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def promote(self, version: str, lease: Any) -> None:
        self.promoted.append(version)


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> _Registry:
    found = _Registry()
    monkeypatch.setattr("jobs.io.registry.open_registry", lambda settings: found)
    return found


@pytest.fixture
def context(tmp_path: Path) -> Iterator[StepContext]:
    settings = load_settings(home=tmp_path / "home")
    with State.of(settings).lease("test", "score", 60, is_last=True) as lease:
        yield StepContext.of(settings, lease)


def build(context: StepContext, *, clicks_since: int, wanted_first: int, lost_events: bool = False) -> None:
    """Everybody sees ten items a day and clicks three of them, ``clicks_since`` after the promotion.

    The former champion's lists begin with item 0, the new one's with item 20; since the promotion people act upon ten
    items from ``wanted_first`` on.
    """
    for day in days_between(PROMOTED - timedelta(days=6), DAY):
        is_since = day > PROMOTED
        users = [f"u{user}" for user in range(NUM_USERS) for _ in range(10)]
        clicked = [place < (clicks_since if is_since else 3) for _ in range(NUM_USERS) for place in range(10)]
        _replace(
            context, names.FCT_IMPRESSIONS, day,
            event_id=[f"{day}-{row}" for row in range(len(users))], user_id=users, event_date=[day] * len(users),
            known_date=[day] * len(users), is_clicked=clicked,
            clicked_known_date=[day if is_clicked else None for is_clicked in clicked],
        )  # fmt: skip
        each = 4 if is_since and lost_events else 10
        acted = [
            (f"u{user}", (wanted_first if is_since else 0) + item)
            for user in range(NUM_USERS)
            for item in range(each)
        ]
        _replace(
            context, names.FCT_INTERACTIONS, day,
            event_id=[f"{day}-{row}" for row in range(len(acted))], user_id=[user for user, _ in acted],
            item_id=[f"i{item:02d}" for _, item in acted], event_date=[day] * len(acted),
            known_date=[day] * len(acted), weight=[1] * len(acted),
        )  # fmt: skip
    for table, first in ((names.LISTS, 0), (names.LISTS_RETRAINED, 20)):
        _replace(
            context, table, PROMOTED, user_id=[f"u{user}" for user in range(NUM_USERS)], source=["personal"] * NUM_USERS,
            item_ids=[[f"i{first + place:02d}" for place in range(10)]] * NUM_USERS,
            scores=[[1 - place / 10 for place in range(10)]] * NUM_USERS,
        )  # fmt: skip
    items = [f"i{item:02d}" for item in range(NUM_ITEMS)]
    _replace(context, names.DIM_ITEMS, PROMOTED, item_id=items, is_available=[True] * NUM_ITEMS)
    _replace(context, names.FEAT_ITEM_DAILY, PROMOTED, item_id=items, popularity_7d=[1] * NUM_ITEMS)
    for version, day in (("1", "2011-02-01"), ("2", str(PROMOTED))):
        context.state.put(PROMOTIONS, version, {"day": day})
    manifest = {"day": str(DAY), "champion": "2", "feed": {"repeats_allowed": True}}
    context.state.put(RUNS, f"daily/{DAY}", {"manifest": manifest})


def _replace(context: StepContext, table: str, day: date, **columns: Any) -> None:
    schema = arrow_schema(TABLES[table])
    num_rows = len(next(iter(columns.values())))
    filled = {name: columns.get(name, [None] * num_rows) for name in schema.names}
    context.lake.replace(table, day, pa.table(filled, schema=schema), inputs="test")


def test_a_champion_that_loses_its_clicks_gives_way_once(context: StepContext, registry: _Registry) -> None:
    build(context, clicks_since=1, wanted_first=0)
    reason = guard.guard_champion(DAY, context)
    assert "champion 2 is demoted, 1 takes over: clicks on its lists fell from 30.00% to 10.00%" in reason
    assert "NDCG@10 of the former one's lists" in reason
    assert registry.promoted == ["1"]
    assert champion_of_run(context.state, manifest_of(context.state, names.DAILY, DAY)) == "1"
    assert guard.guard_champion(DAY, context) == reason
    assert registry.promoted == ["1"]
    assert json.loads(json.dumps(context.state.all(DEMOTIONS)))["2"]["day"] == str(DAY)


def test_where_the_world_has_turned_the_former_champion_would_do_no_better(
    context: StepContext, registry: _Registry
) -> None:
    build(context, clicks_since=1, wanted_first=20)
    assert guard.guard_champion(DAY, context) == ""
    assert registry.promoted == []


def test_clicks_that_stay_demote_nobody(context: StepContext, registry: _Registry) -> None:
    build(context, clicks_since=3, wanted_first=0)
    assert guard.guard_champion(DAY, context) == ""


def test_a_tracker_that_loses_events_demotes_nobody(context: StepContext, registry: _Registry) -> None:
    build(context, clicks_since=1, wanted_first=0, lost_events=True)
    assert guard.guard_champion(DAY, context) == ""


def test_a_day_before_the_demotion_that_is_run_again_tells_nothing(
    context: StepContext, registry: _Registry
) -> None:
    build(context, clicks_since=1, wanted_first=0)
    later = str(DAY + timedelta(days=1))
    context.state.put(DEMOTIONS, "2", {"day": later, "to": "1", "reason": "clicks fell"})
    context.state.put(PUBLICATIONS, "v0009", {"day": later})
    assert guard.guard_champion(DAY, context) == ""


def test_a_backfill_demotes_nobody(context: StepContext, registry: _Registry) -> None:
    build(context, clicks_since=1, wanted_first=0)
    context.state.put(PUBLICATIONS, "v0009", {"day": str(DAY + timedelta(days=1))})
    assert guard.guard_champion(DAY, context) == ""
    assert registry.promoted == []


@pytest.mark.parametrize(("days", "is_demoted"), [(1, False), (2, True)])
def test_a_champion_is_on_trial_for_so_many_days(
    context: StepContext, registry: _Registry, monkeypatch: pytest.MonkeyPatch, days: int, is_demoted: bool
) -> None:
    build(context, clicks_since=1, wanted_first=0)
    thresholds = guard.load_thresholds()
    changed = thresholds.model_copy(
        update={"rollback": thresholds.rollback.model_copy(update={"days": days})}
    )
    monkeypatch.setattr(guard, "load_thresholds", lambda: changed)
    assert bool(guard.guard_champion(DAY, context)) is is_demoted
