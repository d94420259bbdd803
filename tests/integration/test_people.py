"""Consent and identities from the feed to the features: what each day's run may use, and what later words revise."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from contracts import names
from contracts.consent import Word, may_use
from contracts.feed import days_between
from contracts.identities import Link, resolve
from contracts.settings import load_settings
from jobs import transform
from jobs.io.lake import Lake
from jobs.io.state import State
from jobs.run import rebuild_days
from jobs.runs import StepContext
from tests.postgres import postgres
from tests.shop import Shop

pytestmark = pytest.mark.integration

D1, D2, D3, D4 = DAYS = days_between(date(2011, 3, 1), date(2011, 3, 4))
NOON, HOUR, MICROSECOND = datetime(2011, 3, 1, 12), timedelta(hours=1), timedelta(microseconds=1)
INSTANTS = (NOON - MICROSECOND, NOON, NOON + MICROSECOND, NOON + timedelta(days=1))
#: What each person says: the day that knows of it, when it is said, and what.
SAID: dict[str, list[tuple[date, datetime, bool]]] = {
    "never": [],
    "denied": [(D1, NOON - HOUR, False)],
    "denied_late": [(D3, NOON - HOUR, False)],
    "withdrawn": [(D2, NOON + timedelta(days=1), False)],
    "granted_again": [(D1, NOON, False), (D3, NOON + timedelta(hours=20), True)],
    "granted_late": [(D1, NOON - HOUR, False), (D2, NOON, True)],
    "both": [(D1, NOON, True), (D2, NOON, False)],
    "affirmed": [(D1, NOON - HOUR, True), (D3, NOON + HOUR, True)],
    "alone": [],
    "linked": [(D1, NOON, False)],
}
#: The day that knows of it, and the link.
LINKS = [
    (D2, Link("phone", "alone", NOON)),
    (D3, Link("cookie", "phone", NOON)),
    (D3, Link("tablet", "linked", NOON)),
]
PEOPLE = (*SAID, "phone", "cookie", "tablet")


def expected(day: date) -> set[tuple[str, str]]:
    """Person and event, as the run of a day may use them: the rule itself, one event after the other."""
    persons = resolve(link for known, link in LINKS if known <= day)
    used = set()
    for user in PEOPLE:
        person = persons.get(user, user)
        words = [
            Word(at, granted)
            for speaker, said in SAID.items()
            for known, at, granted in said
            if known <= day and persons.get(speaker, speaker) == person
        ]
        for number, instant in enumerate(INSTANTS):
            if instant.date() <= day and may_use(words, instant, missing=True):
                used.add((person, f"{user}{number}"))
    return used


def deliver(shop: Shop) -> None:
    shop.deliver(
        D1, [{"item_id": "cup", "title": "Cup", "category": "kitchen", "price": "2.5"}], "items.csv", "items"
    )
    shop.deliver(D1, [{"user_id": user} for user in PEOPLE], "users.csv", "users")
    for day in DAYS:
        rows = [
            {
                "event_id": f"{user}{number}", "user_id": user, "item_id": "cup", "event_type": "view",
                "occurred_at": f"{instant.isoformat()}Z",
            }
            for user in PEOPLE
            for number, instant in enumerate(INSTANTS)
            if instant.date() == day
        ]  # fmt: skip
        rows.append(
            {
                "event_id": f"nobody{day}",
                "user_id": "",
                "item_id": "cup",
                "event_type": "view",
                "occurred_at": f"{day}T08:00:00Z",
            }
        )
        shop.deliver(day, rows)
        said = [
            {
                "user_id": user,
                "purpose": "personalization",
                "granted": str(granted),
                "at": f"{at.isoformat()}Z",
            }
            for user, words in SAID.items()
            for known, at, granted in words
            if known == day
        ]
        links = [
            {
                "alias_id": link.alias_id,
                "user_id": link.user_id,
                "linked_at": f"{link.linked_at.isoformat()}Z",
            }
            for known, link in LINKS
            if known == day
        ]
        for kind, told in (("consents", said), ("identities", links)):
            if told:
                shop.deliver(day, told, f"{kind}.csv", kind)


def run(shop: Shop, day: date, first: date | None = None) -> dict[str, Any]:
    shop.land(day, first=first)
    with State.of(shop.settings).lease("test", "transform", 60, is_last=True) as lease:
        return transform.run(day, StepContext.of(shop.settings, lease), first=first)


def catch_up(shop: Shop) -> date | None:
    with State.of(shop.settings).lease("test", "prepare-retraining", 60, is_last=True) as lease:
        return transform.catch_up(StepContext.of(shop.settings, lease))


def build_without_withdrawn(shop: Shop, *days: date) -> list[date]:
    with State.of(shop.settings).lease("test", "prepare-retraining", 60, is_last=True) as lease:
        return transform.build_without_withdrawn(days, StepContext.of(shop.settings, lease))


def used(shop: Shop, day: date) -> set[tuple[str, str]]:
    lake = Lake.of(shop.settings)
    return {
        (row["user_id"], row["event_id"])
        for event_day in lake.days(names.FCT_INTERACTIONS, until=day)
        for row in lake.read(names.FCT_INTERACTIONS, event_day).to_pylist()
        if row["known_date"] <= day
    }


def digests(shop: Shop, tables: tuple[str, ...]) -> dict[tuple[str, date], str]:
    lake = Lake.of(shop.settings)
    return {(table, day): lake.verify(table, day).digest for table in tables for day in lake.days(table)}


@pytest.fixture(scope="module")
def lived(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Shop, dict[date, dict[tuple[str, date], str]]]]:
    """Each day landed and transformed; what it used is compared at once, and its features are kept."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("FORETASTE_HOME", raising=False)
        shop = Shop(tmp_path_factory.mktemp("daily"))
        deliver(shop)
        wrote = {}
        for day in DAYS[:3]:
            run(shop, day)
            assert used(shop, day) == expected(day)
            wrote[day] = {
                key: value for key, value in digests(shop, names.BY_FEATURE_DAY).items() if key[1] == day
            }
            people = {user for user, _ in expected(day)}
            for table in (names.FEAT_USER_DAILY, names.FEAT_USER_CATEGORY_DAILY):
                found = set(Lake.of(shop.settings).read(table, day, ["user_id"]).column(0).to_pylist())
                assert found == people, (table, day)
        yield shop, wrote


@pytest.fixture
def daily(
    lived: tuple[Shop, dict[date, dict[tuple[str, date], str]]], tmp_path: Path
) -> tuple[Shop, dict[date, dict[tuple[str, date], str]]]:
    """A copy of its own for each test, since each of them rewrites days: they hold in any order."""
    shop, wrote = lived
    shutil.copytree(shop.settings.home, tmp_path / "home")
    return Shop(tmp_path / "home"), wrote


def test_a_day_uses_what_it_knows_of_consent_and_a_backfill_what_its_day_knew(
    daily: tuple[Shop, dict[date, dict[tuple[str, date], str]]],
) -> None:
    shop, wrote = daily
    last = digests(shop, (*names.BY_EVENT_DAY, *names.BY_FEATURE_DAY))
    backfilled: list[str] = []

    def look(name: str, seconds: float, result: dict[str, Any]) -> None:
        backfilled.append(name)
        assert used(shop, D2) == expected(D2)
        features = digests(shop, names.BY_FEATURE_DAY)
        assert {key: value for key, value in features.items() if key[1] == D2} == wrote[D2]
        assert digests(shop, names.BY_EVENT_DAY).items() - last.items()

    rebuild_days(shop.settings, [D2], run_id="mend", listener=look)
    assert backfilled == [f"rebuild {D2} to {D2}"]
    # Nobody who has withdrawn since may come back by that: the facts are those of the newest day again.
    assert digests(shop, (*names.BY_EVENT_DAY, *names.BY_FEATURE_DAY)) == last
    assert catch_up(shop) is None
    assert all(
        row["session_id"]
        for day in DAYS[:2]
        for row in Lake.of(shop.settings).read(names.FCT_INTERACTIONS, day).to_pylist()
    )


def test_a_training_reads_earlier_days_without_those_who_have_withdrawn_since(
    daily: tuple[Shop, dict[date, dict[tuple[str, date], str]]],
) -> None:
    """Neither people's own features nor sums over many of them know of what must not be used any more."""
    shop, _ = daily
    lake = Lake.of(shop.settings)
    last = digests(shop, names.BY_EVENT_DAY)
    assert build_without_withdrawn(shop, D1, D2, D3) == [D1, D2]
    now = {event for _, event in used(shop, max(lake.days(names.FEAT_USER_DAILY)))}
    for day in (D1, D2):
        people = {user for user, _ in used(shop, day)}
        assert people < {user for user, _ in expected(day)}
        for table in (names.FEAT_USER_DAILY, names.FEAT_USER_CATEGORY_DAILY):
            assert set(lake.read(table, day, ["user_id"]).column(0).to_pylist()) == people
        (cup,) = lake.read(names.FEAT_ITEM_DAILY, day).to_pylist()
        anonymous = days_between(D1, day)
        assert cup["views_7d"] == len(now & {event for _, event in expected(day)}) + len(anonymous)
    assert digests(shop, names.BY_EVENT_DAY) == last
    assert build_without_withdrawn(shop, D1, D2, D3) == []


def test_a_word_that_changes_nobodys_events_revises_nothing(
    daily: tuple[Shop, dict[date, dict[tuple[str, date], str]]],
) -> None:
    """And one that does revises its days alone; a full rebuild, on either warehouse, gives the same."""
    shop, _ = daily
    lake = Lake.of(shop.settings)
    before = {day: lake.verify(names.FCT_INTERACTIONS, day).revision for day in DAYS[:3]}
    words = [
        ("affirmed", "true", NOON + 50 * HOUR),
        ("never", "false", NOON + HOUR),
        ("never", "true", NOON + 2 * HOUR),
    ]
    shop.deliver(
        D4,
        [
            {"user_id": user, "purpose": "personalization", "granted": granted, "at": f"{at.isoformat()}Z"}
            for user, granted, at in words
        ],
        "consents.csv",
        "consents",
    )
    shop.deliver(
        D4,
        [
            {"alias_id": alias, "user_id": user, "linked_at": f"{(NOON + 30 * HOUR).isoformat()}Z"}
            for alias, user in (("tablet", "alone"), ("cookie", "never"))
        ],
        "links.csv",
        "identities",
    )
    assert run(shop, D4)["event_days"] == 3  # the day itself, and both of the tablet's and the cookie's
    after = {day: lake.verify(names.FCT_INTERACTIONS, day).revision for day in DAYS[:3]}
    assert {day for day in before if before[day] != after[day]} == {D1, D2}
    with postgres() as url:
        rebuilt = Shop(shop.settings.home.parent / "rebuilt")
        rebuilt.settings = load_settings(home=rebuilt.settings.home, feed=str(shop.feed), warehouse_url=url)
        assert run(rebuilt, D4, first=D3)["passes"] == 2  # the day before knew the cookie as another's
        for each in (rebuilt, shop):
            users = Lake.of(each.settings).read(names.FEAT_USER_DAILY, D3).to_pylist()
            assert [row["views_7d"] for row in users if row["user_id"] == "alone"] == [3 * len(INSTANTS)]
        assert digests(rebuilt, names.BY_EVENT_DAY) == digests(shop, names.BY_EVENT_DAY)
        now = [key for key in digests(shop, names.BY_FEATURE_DAY) if key[1] == D4]
        assert [digests(rebuilt, names.BY_FEATURE_DAY)[key] for key in now] == [
            digests(shop, names.BY_FEATURE_DAY)[key] for key in now
        ]
