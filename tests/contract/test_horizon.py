"""A challenger is judged on as few days as hold enough people who had acted before."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from contracts import names
from contracts.errors import NothingToDo
from contracts.settings import load_settings
from contracts.tables import TABLES
from jobs import retrain
from jobs.horizon import judge_horizon
from jobs.io.lake import Lake
from jobs.io.schemas import arrow_schema
from jobs.io.state import LANDINGS, PROMOTIONS, RETRAININGS, RUNS, VERDICTS, State
from jobs.runs import StepContext
from tests.shop import Shop

pytestmark = pytest.mark.contract

DAY = date(2011, 3, 20)


@pytest.fixture
def context(tmp_path: Path) -> Iterator[StepContext]:
    settings = load_settings(home=tmp_path / "home", judge_users=20)
    with State.of(settings).lease("test", "retrain", 60, is_last=True) as lease:
        yield StepContext.of(settings, lease)


def act(lake: Lake, day: date, users: range, known: date | None = None, weight: int = 1) -> None:
    """Each of the users wants one item on a day."""
    schema = arrow_schema(TABLES[names.FCT_INTERACTIONS])
    columns = {
        "event_id": [f"{day}-{user}" for user in users], "user_id": [f"u{user}" for user in users],
        "event_date": [day] * len(users), "known_date": [known or day] * len(users), "weight": [weight] * len(users),
    }  # fmt: skip
    filled = {name: columns.get(name, [None] * len(users)) for name in schema.names}
    lake.replace(names.FCT_INTERACTIONS, day, pa.table(filled, schema=schema), inputs="test")


def ten_a_day(lake: Lake) -> None:
    """Forty people who came long ago; ten of them come back each day."""
    act(lake, DAY - timedelta(days=30), range(40))
    for days_ago in range(10):
        act(lake, DAY - timedelta(days=days_ago), range(10 * (days_ago % 4), 10 * (days_ago % 4) + 10))


def horizon(lake: Lake, enough: int, most: int = 7) -> int:
    return judge_horizon(lake, DAY, most=most, enough=enough, threads=1)


@pytest.mark.parametrize(("enough", "days"), [(1, 2), (20, 2), (21, 3), (40, 4), (41, 7)])
def test_as_few_days_as_hold_enough_people(context: StepContext, enough: int, days: int) -> None:
    ten_a_day(context.lake)
    assert horizon(context.lake, enough) == days


def test_who_came_for_the_first_time_is_nobody_to_judge_by(context: StepContext) -> None:
    ten_a_day(context.lake)
    act(context.lake, DAY, range(100, 140))  # instead of ten who had been there
    assert horizon(context.lake, 20) == 3


def test_what_is_not_known_yet_or_not_wanted_does_not_count(context: StepContext) -> None:
    ten_a_day(context.lake)
    act(context.lake, DAY, range(10), known=DAY + timedelta(days=1))
    assert horizon(context.lake, 20) == 3
    act(context.lake, DAY, range(10), weight=-1)
    assert horizon(context.lake, 20) == 3


def test_a_shop_without_history_or_with_a_short_horizon_is_taken_as_it_is(context: StepContext) -> None:
    assert horizon(context.lake, 1) == 7
    ten_a_day(context.lake)
    assert horizon(context.lake, 1000, most=1) == 1


def test_a_retraining_is_fixed_to_its_horizon(context: StepContext) -> None:
    Shop(context.settings.home)  # describes its feed
    ten_a_day(context.lake)
    context.state.put(LANDINGS, str(DAY), {"touched": []})
    assert retrain.prepare(DAY, context)["judge_days"] == 2
    act(context.lake, DAY, range(1))
    assert retrain.prepare(DAY, context)["judge_days"] == 2  # run again, it is what it was


@pytest.mark.parametrize(("days_ago", "judge_days"), [(1, 1), (3, 3), (9, 7)])
def test_nobody_is_judged_on_days_that_the_champion_was_trained_on(
    context: StepContext, days_ago: int, judge_days: int
) -> None:
    """The challenger that is judged would be older than the champion, and lose for it."""
    Shop(context.settings.home)
    act(context.lake, DAY, range(1))  # too few to be judged by: as many days as there may be
    context.state.put(LANDINGS, str(DAY), {"touched": []})
    context.state.put(PROMOTIONS, "4", {"day": str(DAY - timedelta(days=days_ago))})
    assert retrain.prepare(DAY, context)["judge_days"] == judge_days


@pytest.mark.parametrize(
    ("days_since", "judge_days", "rank_days"),
    [(1, 1, 3), (2, 1, 3), (3, 1, 1), (5, 2, 1), (9, 4, 1), (12, 6, 2), (15, 7, 2), (30, 7, 3)],
)
def test_after_a_drift_half_of_the_days_since_judge_and_a_third_rank(
    context: StepContext, days_since: int, judge_days: int, rank_days: int
) -> None:
    """What knows none of the new world would be refused for what the promoted one would know."""
    Shop(context.settings.home)
    act(context.lake, DAY, range(1))  # too few to be judged by: as many days as there may be
    context.state.put(LANDINGS, str(DAY), {"touched": []})
    since = DAY - timedelta(days=days_since - 1)
    context.state.put(VERDICTS, str(DAY), {"settling": {"drift_since": str(since)}})
    assert retrain.prepare(DAY, context)["judge_days"] == judge_days
    recorded = context.state.get(RUNS, f"retrain/{DAY}")
    assert recorded is not None
    assert recorded["manifest"]["settings"]["rank_days"] == rank_days


@pytest.mark.parametrize(
    ("days_since", "users", "is_due"), [(2, 19, False), (3, 19, False), (2, 20, True), (4, 19, True)]
)
def test_an_alarm_waits_for_people_who_can_judge(
    context: StepContext, days_since: int, users: int, is_due: bool
) -> None:
    """A challenger that nobody can judge would be refused, and the cool-down would cost the next one its day."""
    Shop(context.settings.home)
    act(context.lake, DAY - timedelta(days=30), range(40))
    act(context.lake, DAY, range(users))
    context.state.put(LANDINGS, str(DAY), {"touched": []})
    since = DAY - timedelta(days=days_since - 1)
    context.state.put(VERDICTS, str(DAY), {"settling": {"drift_since": str(since)}})
    if not is_due:
        with pytest.raises(
            NothingToDo, match=f"of the {users} people who acted on {DAY} a challenger cannot be judged"
        ):
            retrain.prepare(DAY, context, trigger=retrain.ALARM)
        assert context.state.get(RETRAININGS, str(DAY)) is None
    assert retrain.prepare(DAY, context, trigger=retrain.ALARM if is_due else retrain.PERSON)["judge_days"]
