"""What words and links change, and when: the answers of the warehouse beside the rules, one event after the other."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from contracts import names
from contracts.consent import Word, may_use
from contracts.feed import days_between
from contracts.identities import Link, resolve
from contracts.settings import load_settings
from contracts.tables import RAW_CONSENTS, RAW_EVENTS, RAW_IDENTITIES, Table
from jobs.attribution import days_that_count_withdrawn, days_that_learn_otherwise
from jobs.io.state import State
from jobs.io.warehouse import Warehouse, open_warehouse
from tests.compiled_project import table_of

pytestmark = pytest.mark.contract

DAYS = days_between(date(2011, 3, 1), date(2011, 3, 4))
IDS = ("ann", "o'hara", "phone")
Rows = list[dict[str, Any]]


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    home = load_settings(home=tmp_path_factory.mktemp("home"))
    with (
        State.of(home).lease("test", "transform", 600, is_last=True) as lease,
        open_warehouse(home) as opened,
    ):

        def hold(table: Table, rows: Rows) -> None:
            opened.execute(f"drop table if exists {names.WAREHOUSE_RAW}.{table.short_name}")
            opened.replace(names.WAREHOUSE_RAW, table, "known_date", DAYS, table_of(table, rows), lease)

        yield opened, hold


def instants() -> st.SearchStrategy[datetime]:
    return st.sampled_from((0, 9, 30, 60)).map(lambda hour: datetime(2011, 3, 1) + timedelta(hours=hour))


@st.composite
def told(draw: st.DrawFn) -> tuple[Rows, Rows, Rows]:
    """Events, words about consent and links, each known on its day or later."""

    def known(at: datetime) -> dict[str, Any]:
        day = max(at.date(), draw(st.sampled_from(DAYS)))
        return {"known_date": day, "received_date": day}

    events, words, links = [], [], []
    for number in range(draw(st.integers(1, 6))):
        at = draw(instants())
        user = draw(st.sampled_from((*IDS, None)))
        events.append(
            {
                "event_id": str(number), "user_id": user, "occurred_at": at, "event_date": at.date(), **known(at)
            }
        )  # fmt: skip
    for _ in range(draw(st.integers(0, 5))):
        at = draw(instants())
        purpose = draw(st.sampled_from(["personalization", "personalization", "advertising"]))
        words.append(
            {
                "user_id": draw(st.sampled_from(IDS)), "purpose": purpose, "is_granted": draw(st.booleans()),
                "said_at": at, **known(at),
            }
        )  # fmt: skip
    for _ in range(draw(st.integers(0, 4))):
        at = draw(instants())
        alias, user = draw(st.permutations(IDS))[:2]
        links.append({"alias_id": alias, "user_id": user, "linked_at": at, **known(at)})
    return events, words, links


def attributed(given: tuple[Rows, Rows, Rows], day: date, *, missing: bool) -> dict[str, str | None]:
    """By what a day knows of words and links the person of each event; None where it must not be used."""
    events, words, links = given
    persons = resolve(
        Link(row["alias_id"], row["user_id"], row["linked_at"]) for row in links if row["known_date"] <= day
    )
    found: dict[str, str | None] = {}
    for event in events:
        person = persons.get(event["user_id"], event["user_id"])
        said = [
            Word(row["said_at"], row["is_granted"])
            for row in words
            if row["known_date"] <= day
            and row["purpose"] == "personalization"
            and persons.get(row["user_id"], row["user_id"]) == person
        ]
        may = may_use(said, event["occurred_at"], missing=missing)
        found[event["event_id"]] = person if may or person is None else None
    return found


FIRST = {"known_date": DAYS[0], "received_date": DAYS[0]}
#: Consent that was given in time and told a day later: nothing that might be used must not be used any more.
GRANTED_LATE = (
    [{"event_id": "0", "user_id": "ann", "occurred_at": datetime(2011, 3, 1, 9), "event_date": DAYS[0], **FIRST}],
    [
        {
            "user_id": "ann", "purpose": "personalization", "is_granted": True, "said_at": datetime(2011, 3, 1),
            "known_date": DAYS[1], "received_date": DAYS[1],
        }
    ],
    [],
)  # fmt: skip


@settings(max_examples=40, deadline=None)
@example(given=GRANTED_LATE, missing=False)
@given(given=told(), missing=st.booleans())
def test_days_that_learn_otherwise_are_those_on_which_an_earlier_event_counts_otherwise(
    warehouse: tuple[Warehouse, Any], given: tuple[Rows, Rows, Rows], missing: bool
) -> None:
    opened, hold = warehouse
    for table, rows in zip((RAW_EVENTS, RAW_CONSENTS, RAW_IDENTITIES), given, strict=True):
        hold(table, rows)
    used = {day: attributed(given, day, missing=missing) for day in DAYS}
    expected = {
        day
        for before, day in pairwise(DAYS)
        for event in given[0]
        if event["known_date"] < day and used[before][event["event_id"]] != used[day][event["event_id"]]
    }
    found = days_that_learn_otherwise(opened, DAYS[0], DAYS[-1], missing=missing)
    assert expected <= found
    # An id that belongs to another person by now counts as changed, even where none of its events may be used.
    persons = {
        day: resolve(
            Link(row["alias_id"], row["user_id"], row["linked_at"])
            for row in given[2]
            if row["known_date"] <= day
        )
        for day in DAYS
    }
    moved = {
        day
        for before, day in pairwise(DAYS)
        for event in given[0]
        if (user := event["user_id"]) is not None
        and event["known_date"] < day
        and persons[before].get(user, user) != persons[day].get(user, user)
    }
    assert found <= expected | moved

    withdrawn = [
        day
        for day in DAYS[:-1]
        for event in given[0]
        if event["known_date"] <= day
        and used[day][event["event_id"]] is not None
        and used[DAYS[-1]][event["event_id"]] is None
    ]
    heard = {day: day for day in DAYS[:-1]}
    assert days_that_count_withdrawn(opened, heard, DAYS[-1], missing=missing) == sorted(set(withdrawn))
