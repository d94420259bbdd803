"""What makes training and serving differ without an error is caught by a data test of the project: each skew by name."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from contracts.settings import load_settings
from tests.compiled_project import Project

pytestmark = pytest.mark.integration

DAY = date(2011, 3, 31)


def event(
    name: str, kind: str, days_ago: int, at: str = "12:00", known: int = 0, **more: Any
) -> dict[str, Any]:
    """What ann does with a cup so many days before, or what another does with it."""
    occurred = datetime.fromisoformat(f"{DAY - timedelta(days=days_ago)} {at}")
    known_date = occurred.date() + timedelta(days=known)
    of_ann = {
        "event_id": name,
        "user_id": "ann",
        "item_id": "cup",
        "event_type": kind,
        "occurred_at": occurred,
    }
    return {
        **of_ann,
        "event_date": occurred.date(),
        "known_date": known_date,
        "received_date": known_date,
        **more,
    }


PRICED = {"unit_price_cents": 500}
EVENTS = [
    event("late at night", "view", 0, "23:30"),
    event("right after midnight", "view", 0, "00:10"),
    event("told tomorrow", "view", 0, known=1),
    event("a purchase that counts no pieces", "purchase", 0, **PRICED),
    event("a rating without stars", "rating", 0, user_id="bob"),
    event("long ago", "view", 40, user_id="cid"),
    event("the first of 28 days", "view", 27),
    event("the last before these", "view", 28),
    event("the first of 90 days", "purchase", 89, quantity=2, **PRICED),
    event("the last before those", "purchase", 90, quantity=7, **PRICED),
]
CUP: dict[str, Any] = {"item_id": "cup", "category": "kitchen", "price_cents": 500}
ITEMS = [
    {**CUP, "received_date": day, "known_date": day, "category": category, "price_cents": price}
    for day, category, price in (
        (DAY - timedelta(days=100), "kitchen", 500),
        (DAY, "tableware", 600),  # today the shop says something else
        (DAY + timedelta(days=1), "gifts", 700),
    )
]
STAGED = "assert_events_are_staged_as_they_landed"
SAID = "assert_interactions_say_what_their_events_say"
OF_ITEMS = "assert_features_use_exactly_the_events_known_by_their_day"
OF_USERS = "assert_features_of_users_are_those_of_their_interactions"
CATALOGUE = "assert_the_catalogue_is_the_newest_that_is_known"

SKEWS = {
    "instants in the shop's own time": (
        "stg_shop__events", "    occurred_at,", "    occurred_at + interval '1 hour' as occurred_at,", STAGED,
    ),
    "days in the shop's own time": (
        "stg_shop__events", "    event_date,", "    cast(occurred_at + interval '1 hour' as date) as event_date,", STAGED,
    ),
    "days in a time to the west": (
        "stg_shop__events", "    event_date,", "    cast(occurred_at - interval '5 hours' as date) as event_date,", STAGED,
    ),
    "no pieces where none are counted": (
        "int_events_weighted", "coalesce(events.quantity, 1)", "coalesce(events.quantity, 0)", SAID,
    ),
    "one star where none are given": ("int_events_weighted", "coalesce(value, 3)", "coalesce(value, 1)", SAID),
    "nothing where there was nothing": (
        "int_user_activity_windowed", "coalesce(sum(days.views) filter (where windows.age_days < 28), 0)",
        "sum(days.views) filter (where windows.age_days < 28)", OF_USERS,
    ),
    "a user's window of 29 days": ("int_user_activity_windowed", "age_days < 28", "age_days <= 28", OF_USERS),
    "a user's window of 27 days": ("int_user_activity_windowed", "age_days < 28", "age_days < 27", OF_USERS),
    "a user's window of 91 days": ("int_user_activity_windowed", "age_days < 90", "age_days < 91", OF_USERS),
    "an item's window of 29 days": ("feat_item_daily", "age_days < 28", "age_days <= 28", OF_ITEMS),
    "windows without their own day": ("int_days_windowed", "generate_series(0,", "generate_series(1,", OF_USERS),
    "a user's tomorrow": ("int_user_activity_windowed", "windows.feature_date >= days.known_date", "true", OF_USERS),
    "an item's tomorrow": ("feat_item_daily", "windows.feature_date >= days.known_date", "true", OF_ITEMS),
    "yesterday's catalogue": ("dim_items", "days.feature_date >=", "days.feature_date - 1 >=", CATALOGUE),
    "yesterday's prices": ("feat_item_daily", "days.feature_date >= versions", "days.feature_date - 1 >= versions", CATALOGUE),
    "tomorrow's catalogue": ("dim_items", "days.feature_date >=", "days.feature_date + 1 >=", CATALOGUE),
}  # fmt: skip


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("FORETASTE_")]:
            patch.delenv(name)
        yield Project.compiled(load_settings(home=tmp_path_factory.mktemp("compiled")))


def refusals(project: Project) -> set[str]:
    days = {row["event_date"] for row in EVENTS}
    users = [{"user_id": "ann", "created_at": datetime(2010, 1, 1), "received_date": DAY, "known_date": DAY}]
    with project.built(EVENTS, ITEMS, users, days, [DAY]) as connection:
        return project.refusals(connection)


def test_a_project_without_a_skew_passes_every_data_test(project: Project) -> None:
    assert len(project.checks) > 15
    assert {STAGED, SAID, OF_ITEMS, OF_USERS, CATALOGUE} <= project.checks.keys()
    assert refusals(project) == set()


@pytest.mark.parametrize("skew", SKEWS)
def test_a_skew_is_caught(project: Project, skew: str) -> None:
    model, old, new, caught_by = SKEWS[skew]
    assert caught_by in refusals(project.sabotaged(model, old, new))
