"""What is used is what a person has consented to: nothing else is kept, and later words bring it back or take it out."""

from __future__ import annotations

import json
import shutil
from datetime import date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from contracts import names
from contracts.consent import Word, digest_of_user, may_use, spans
from contracts.feed import KINDS
from contracts.identities import Link, resolve
from contracts.tables import ROW_ACCOUNTS, TABLES
from jobs.attribution import owed_event_days
from jobs.feed_reader import check_feed, complete_deliveries
from jobs.io.lake import Lake
from jobs.io.state import DELIVERIES, DENIALS, LANDINGS, State
from jobs.io.warehouse import open_warehouse, prepare
from jobs.people import People, changes
from tests.shop import DAY, NEXT, THIRD, Shop, event

pytestmark = pytest.mark.contract

RAW_TABLES = {name: table for name, table in TABLES.items() if name.startswith(f"{names.RAW}/")}
NOON = datetime(2011, 3, 1, 12)
MICROSECOND = timedelta(microseconds=1)


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path / "home")


def word(user: str, granted: bool, at: datetime, purpose: str = "personalization") -> dict[str, str]:
    return {"user_id": user, "purpose": purpose, "granted": str(granted).lower(), "at": f"{at.isoformat()}Z"}


def link(alias: str, user: str, at: datetime) -> dict[str, str]:
    return {"alias_id": alias, "user_id": user, "linked_at": f"{at.isoformat()}Z"}


def act(event_id: str, user: str, at: datetime) -> dict[str, str]:
    return event(1, event_id=event_id, user_id=user, occurred_at=f"{at.isoformat()}Z")


def landed(shop: Shop, table: str = names.RAW_EVENTS, column: str = "event_id") -> set[str]:
    lake = Lake.of(shop.settings)
    return {each for day in lake.days(table) for each in lake.read(table, day).column(column).to_pylist()}


def account(shop: Shop, key: str) -> dict[str, Any]:
    record = State.of(shop.settings).get(DELIVERIES, key)
    assert record is not None
    assert record["read"] == record["good"] + record["duplicate"] + sum(record["quarantined"].values()) + sum(
        record["set_aside"].values()
    )
    return record


# The rule


HOUR = timedelta(hours=1)
SAID: dict[str, list[tuple[timedelta, bool]]] = {
    "never": [],
    "granted": [(-HOUR, True)],
    "denied": [(-HOUR, False)],
    "granted_now": [(timedelta(), True)],
    "withdrawn_now": [(-HOUR, True), (timedelta(), False)],
    "granted_again_now": [(-2 * HOUR, True), (-HOUR, False), (timedelta(), True)],
    "both_at_once": [(-HOUR, True), (timedelta(), True), (timedelta(), False)],
    "granted_again_later": [(-HOUR, True), (timedelta(), False), (HOUR, True)],
}
#: Whether what happened a microsecond before noon, at noon and a microsecond after may be used, where silence denies.
USED = {
    "never": (False, False, False),
    "granted": (True, True, True),
    "denied": (False, False, False),
    "granted_now": (False, True, True),
    "withdrawn_now": (False, False, False),
    "granted_again_now": (False, True, True),
    "both_at_once": (False, False, False),
    "granted_again_later": (True, False, False),
}


@pytest.mark.parametrize("said", SAID)
@pytest.mark.parametrize("missing", ["granted", "denied"])
def test_an_event_is_used_to_the_microsecond_as_its_person_has_said(
    tmp_path: Path, said: str, missing: str
) -> None:
    """However the words come: with the event, and before it."""
    instants = [NOON - MICROSECOND, NOON, NOON + MICROSECOND]
    expected = set()
    for number, (instant, denied) in enumerate(zip(instants, USED[said], strict=True)):
        silent = said in ("never", "granted_now") and missing == "granted"
        words = [Word(NOON + after, granted) for after, granted in SAID[said]]
        assert may_use(words, instant, missing=missing == "granted") == (denied or silent)
        expected |= {f"e{number}"} if denied or silent else set()
    words_told = [word("ann", granted, NOON + after) for after, granted in SAID[said]]
    words_told.append(word("ann", granted=missing == "denied", at=NOON - 3 * HOUR, purpose="advertising"))
    acts = [act(f"e{number}", "ann", instant) for number, instant in enumerate(instants)]
    shop = Shop(tmp_path)
    shop.describe(missing_consent=missing)
    shop.deliver(DAY, acts)
    shop.deliver(DAY, words_told, "consents.csv", "consents")
    told = shop.land()
    assert landed(shop) == expected
    assert told["other_purposes"] == 1
    assert account(shop, f"events/{DAY}")["set_aside"] == (
        {"NO_CONSENT": 3 - len(expected)} if len(expected) < 3 else {}
    )


@given(
    st.lists(
        st.tuples(st.integers(0, 4), st.booleans()).map(lambda each: Word(NOON + each[0] * HOUR, each[1])),
        max_size=6,
    ),
    st.booleans(),
    st.randoms(),
)
@settings(max_examples=50, deadline=None)
def test_spans_cover_all_of_time_and_answer_as_the_rule_does(
    words: list[Word], missing: bool, random: Any
) -> None:
    found = spans(words, missing=missing)
    assert all(left.end == right.begin and left.may != right.may for left, right in pairwise(found))
    shuffled = words * 2
    random.shuffle(shuffled)
    assert spans(shuffled, missing=missing) == found
    for hours in range(-1, 6):
        at = NOON + hours * HOUR
        up_to_then = [each for each in words if each.said_at <= at]
        last = max((each.said_at for each in words), default=None)
        withdrawn = any(not each.is_granted for each in words if each.said_at == last)
        newest = max((each.said_at for each in up_to_then), default=None)
        held = (
            all(each.is_granted for each in up_to_then if each.said_at == newest) if up_to_then else missing
        )
        assert may_use(words, at, missing=missing) == (held and not withdrawn)


# Later words


def test_a_later_word_brings_back_what_was_without_consent_and_the_accounts_move_with_it(shop: Shop) -> None:
    shop.describe(missing_consent="denied")
    shop.deliver(DAY, [act("a1", "ann", NOON), act("a2", "ann", NOON + HOUR), act("b1", "bob", NOON)])
    shop.deliver(DAY, [{"user_id": "ann"}, {"user_id": "bob"}], "users.csv", "users")
    shop.land()
    assert landed(shop) == landed(shop, names.RAW_USERS, "user_id") == set()
    assert "ann" not in json.dumps(
        Lake.of(shop.settings).read(names.WITHHELD_EVENTS, DAY).to_pylist(), default=str
    )
    shop.deliver(NEXT, [word("ann", True, NOON + HOUR)], "consents.csv", "consents")
    told = shop.land(NEXT)
    assert told["event_days"] == 1
    assert landed(shop) == {"a2"}
    assert landed(shop, names.RAW_USERS, "user_id") == {"ann"}
    assert account(shop, f"events/{DAY}")["set_aside"] == {"NO_CONSENT": 2}
    assert account(shop, f"users/{DAY}")["good"] == 1
    record = State.of(shop.settings).get(LANDINGS, str(DAY))
    assert record is not None
    assert record["accounts"]["events"]["good"] == 1
    with open_warehouse(shop.settings) as warehouse:
        query = "select outcome, num_rows from ops.row_accounts where kind = 'events' order by outcome"
        held = warehouse.read(query, {"outcome": "text", "num_rows": "bigint"}).to_pylist()
    assert held == [
        {"outcome": "duplicate", "num_rows": 0},
        {"outcome": "good", "num_rows": 1},
        {"outcome": "set_aside", "num_rows": 2},
    ]
    # Another word about bob finds his row still, and ann's no more.
    shop.deliver(THIRD, [word("bob", True, NOON)], "consents.csv", "consents")
    shop.land(THIRD)
    assert landed(shop) == {"a2", "b1"}
    assert account(shop, f"events/{DAY}")["set_aside"] == {"NO_CONSENT": 1}


def test_a_delivery_that_is_gone_gives_nothing_back_stops_nobody_and_is_told(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    shop.describe(missing_consent="denied")
    shop.deliver(DAY, [act("a1", "ann", NOON)])
    shop.land()
    (shop.feed / "events" / f"received={DAY}" / "_SUCCESS").unlink()
    shop.deliver(NEXT, [word("ann", True, NOON)], "consents.csv", "consents")
    assert shop.land(NEXT)["event_days"] == 0
    assert account(shop, f"events/{DAY}")["set_aside"] == {"NO_CONSENT": 1}
    warning = f"withheld_rows_not_returned delivery=events/{DAY} rows=1 why=events/{DAY} is gone from"
    assert warning in caplog.text


def test_what_could_not_come_back_does_once_its_delivery_is_there_again(
    shop: Shop, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.describe(missing_consent="denied")
    shop.deliver(DAY, [act("a1", "ann", NOON), act("b1", "bob", NOON), act("b2", "bob", NOON - HOUR)])
    shop.deliver(DAY, [{"user_id": "ann"}], "users.csv", "users")
    shop.land()
    complete = shop.feed / "events" / f"received={DAY}" / "_SUCCESS"
    complete.unlink()
    words = [word("ann", True, NOON), word("bob", True, NOON)]
    shop.deliver(NEXT, words, "consents.csv", "consents")
    shop.deliver(THIRD, [word("bob", False, NOON + HOUR)], "consents.csv", "consents")
    listed = []
    listing = complete_deliveries
    monkeypatch.setattr(
        "jobs.landing.again.complete_deliveries",
        lambda *asked, **options: listed.append(1) or listing(*asked, **options),
    )
    shop.land(NEXT)
    assert len(listed) == 1  # of two deliveries, one of which is gone
    assert landed(shop, names.RAW_USERS, "user_id") == {"ann"}
    caplog.clear()
    shop.land(THIRD)
    # Nobody speaks of ann, who is asked for again; bob has said no since.
    assert f"withheld_rows_not_returned delivery=events/{DAY} rows=1 why=events/{DAY} is gone" in caplog.text
    complete.touch()
    last = THIRD + timedelta(days=1)
    caplog.clear()
    assert shop.land(last)["event_days"] == 1
    assert landed(shop) == {"a1"}
    assert [row["known_date"] for row in shop.events()] == [last]  # no run before has seen it
    assert account(shop, f"events/{DAY}")["set_aside"] == {"NO_CONSENT": 2}
    assert shop.land(last + timedelta(days=1))["event_days"] == 0
    assert len(listed) == 3
    assert "withheld_rows_not_returned" not in caplog.text


def test_nobody_asks_for_the_rows_of_an_erased_user_who_had_denied(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    denial = {"said_at": (NOON - HOUR).isoformat(), "known_date": str(DAY)}
    State.of(shop.settings).change(DENIALS, digest_of_user("ann"), lambda _: denial)
    shop.deliver(DAY, [word("bob", False, NOON - HOUR)], "consents.csv", "consents")
    shop.deliver(DAY, [act("a1", "ann", NOON), act("b1", "bob", NOON)])
    shop.land()
    (shop.feed / "events" / f"received={DAY}" / "_SUCCESS").unlink()
    shop.deliver(NEXT, [word("bob", True, NOON - HOUR / 2)], "consents.csv", "consents")
    shop.land(NEXT)
    caplog.clear()
    shop.land(THIRD)
    assert f"withheld_rows_not_returned delivery=events/{DAY} rows=1 why=" in caplog.text


class Killed(Exception):
    """The process is gone."""


@pytest.mark.parametrize("boundary", ["lake:committed", "state:recorded"])
def test_what_comes_back_is_counted_once_wherever_the_landing_is_killed(
    shop: Shop, boundary: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.describe(missing_consent="denied")
    shop.deliver(DAY, [act("a1", "ann", NOON), act("a1", "ann", NOON), act("b1", "bob", NOON)])
    shop.deliver(DAY, [{"user_id": "ann"}], "users.csv", "users")
    shop.land()
    shop.deliver(NEXT, [word("ann", True, NOON)], "consents.csv", "consents")
    for crossing in range(1, 9):
        seen: list[str] = []

        def die(name: str, seen: list[str] = seen, crossing: int = crossing) -> None:
            seen.append(name)
            if seen.count(boundary) == crossing and name == boundary:
                raise Killed

        with monkeypatch.context() as patch:
            patch.setattr("jobs.io.commit.boundary", die)
            try:
                shop.land(NEXT)
            except Killed:
                continue
        break
    shop.land(NEXT)
    assert landed(shop) == {"a1"}
    record = account(shop, f"events/{DAY}")
    assert (record["good"], record["duplicate"], record["set_aside"]) == (1, 1, {"NO_CONSENT": 1})
    assert account(shop, f"users/{DAY}")["good"] == 1


def test_what_a_killed_landing_was_about_to_bring_back_waits_for_the_next_word(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.describe(missing_consent="denied")
    shop.deliver(DAY, [act("a1", "ann", NOON)])
    shop.land()
    told = shop.deliver(NEXT, [word("ann", True, NOON)], "consents.csv", "consents")

    def die(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("jobs.land.write_row_accounts", die)
        with pytest.raises(Killed):
            shop.land(NEXT)
    shutil.rmtree(told.parent)
    shop.land(NEXT)  # the same day, which brings nothing back
    assert account(shop, f"events/{DAY}")["set_aside"] == {"NO_CONSENT": 1}
    shop.deliver(THIRD, [word("ann", True, NOON)], "consents.csv", "consents")
    shop.land(THIRD)
    assert landed(shop) == {"a1"}
    record = account(shop, f"events/{DAY}")
    assert (record["good"], record["set_aside"]) == (1, {})


def everything(shop: Shop) -> dict[str, Any]:
    """What lies in the lake, what the warehouse holds of it, and what the state remembers."""
    lake, state = Lake.of(shop.settings), State.of(shop.settings)
    tables = [*RAW_TABLES, *(f"quarantine/{kind}" for kind in KINDS), names.WITHHELD_EVENTS]
    found: dict[str, Any] = {
        f"{table}/{day}": lake.verify(table, day).digest for table in tables for day in lake.days(table)
    }
    with open_warehouse(shop.settings) as warehouse:
        for table in (*RAW_TABLES.values(), ROW_ACCOUNTS):
            schema = "ops" if table is ROW_ACCOUNTS else "raw"
            prepare(warehouse, schema, table)
            query = f"select * from {schema}.{table.short_name} order by all"
            found[table.name] = warehouse.read(query, table.columns).to_pylist()
    return found | {"deliveries": state.all(DELIVERIES), "landings": state.all(LANDINGS)}


@pytest.mark.parametrize("becomes", ["gone", "changed"])
def test_what_a_killed_landing_had_heard_is_forgotten_when_its_delivery_is_gone(
    tmp_path: Path, becomes: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed, killed = Shop(tmp_path / "undisturbed"), Shop(tmp_path / "killed")
    last = act("z1", "zoe", NOON + 2 * timedelta(days=1))
    for shop in (undisturbed, killed):
        shop.deliver(DAY, [act("a1", "ann", NOON), act("b1", "bob", NOON)])
        shop.land()
    # Words of every kind, good and bad, a late event, and one on a day that has no other
    tomorrow, linked = NOON + timedelta(days=1), link("phone", "bob", NOON)
    acts = [act("c1", "cid", NOON), act("d1", "dan", NOON), act("e1", "eve", tomorrow)]
    killed.deliver(NEXT, [*acts, act("bad", "?" * 200, NOON)])
    said = [word("ann", False, NOON), word("dan", False, NOON)]
    killed.deliver(NEXT, [*said, {**said[0], "at": ""}], "consents.csv", "consents")
    killed.deliver(NEXT, [linked], "links.csv", "identities")
    killed.deliver(NEXT, [{"user_id": "bob"}], "users.csv", "users")

    def die(name: str) -> None:
        written.append(name)
        if written.count("lake:committed") == 8:  # the withheld ones: all of the raw tables have been written
            raise Killed

    written: list[str] = []
    with monkeypatch.context() as patch:
        patch.setattr("jobs.io.commit.boundary", die)
        with pytest.raises(Killed):
            killed.land(NEXT, accept="to see the reasons")
    assert written.count("warehouse:committed") == 4
    for kind in ("events", "consents", "identities", "users"):
        shutil.rmtree(killed.feed / kind / f"received={NEXT}")
    for shop in (undisturbed, killed):
        if becomes == "changed":
            shop.deliver(NEXT, [{**word("ann", False, NOON), "granted": "?"}], "consents.csv", "consents")
        shop.deliver(THIRD, [last])
        shop.land(THIRD, accept="to see the reasons")
    assert everything(killed) == everything(undisturbed)
    with open_warehouse(killed.settings) as warehouse:  # a run of the first day may have built facts of them
        assert {DAY, NEXT} <= owed_event_days(warehouse, THIRD)


def test_what_was_rejected_and_is_without_consent_waits_for_a_word(shop: Shop) -> None:
    from tests.replaying import replayed

    shop.deliver(DAY, [act("a0", "bob", NOON), {**act("a1", "ann", NOON), "item_id": "x" * 129}])
    shop.deliver(DAY, [word("ann", False, NOON)], "consents.csv", "consents")
    shop.land(accept="one of two is bad")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("jobs.landing.checks.MOST_BYTES", 200)
        assert replayed(shop)["good"] == 0
        assert shop.reasons() == ["ID_TOO_LONG"]
        shop.deliver(NEXT, [word("ann", True, NOON + MICROSECOND)], "consents.csv", "consents")
        shop.deliver(NEXT, [word("ann", True, NOON - HOUR)], "more.csv", "consents")
        shop.land(NEXT)
        assert replayed(shop)["good"] == 0  # it happened while she had denied
        shop.deliver(THIRD, [act("c1", "cid", NOON)])
        shop.land(THIRD)
    assert landed(shop) == {"a0", "c1"}


def test_bad_words_and_links_are_quarantined_under_their_reasons_and_name_nobody(shop: Shop) -> None:
    shop.deliver(DAY, [act("a1", "ann", NOON), act("b1", "bob", NOON)])
    good = word("ann", False, NOON)
    words = [good, good, {**good, "user_id": ""}, {**good, "purpose": ""}, {**good, "granted": "maybe"}]
    words += [
        {**good, "at": ""},
        {**good, "at": "2011-03-01 10:00:00"},
        {**good, "at": "2011-03-02T00:06:00Z"},
    ]
    linked = link("phone", "ann", NOON)
    links = [
        linked,
        {**linked, "alias_id": ""},
        {**linked, "user_id": "phone"},
        {**linked, "linked_at": "soon"},
    ]
    shop.deliver(DAY, words, "consents.csv", "consents")
    shop.deliver(DAY, links, "links.csv", "identities")
    assert len(check_feed(str(shop.feed), shop.settings)) == 9
    shop.land(accept="to see the reasons")
    assert landed(shop) == {"b1"}
    assert shop.reasons(kind="consents") == ["NO_USER", "NO_PURPOSE", "TYPE", "NO_TS", "NO_TZ", "FUTURE"]
    assert shop.reasons(kind="identities") == ["NO_ALIAS", "SELF_LINK", "BAD_DATE"]
    record = account(shop, f"consents/{DAY}")
    assert (record["good"], record["duplicate"]) == (1, 1)
    for kind in ("consents", "identities"):
        kept = Lake.of(shop.settings).read(f"quarantine/{kind}", DAY).to_pylist()
        assert not any("ann" in row["raw_line"] or "phone" in row["raw_line"] for row in kept)


# Identities


def test_the_latest_link_counts_chains_are_followed_and_circles_are_one_person() -> None:
    at = [NOON + number * HOUR for number in range(3)]
    links = [
        Link("phone", "ann", at[1]),
        Link("phone", "bob", at[0]),
        Link("cookie", "phone", at[0]),
        Link("tied", "bob", at[0]),
        Link("tied", "ann", at[0]),
        Link("x", "y", at[0]),
        Link("y", "z", at[0]),
        Link("z", "y", at[2]),
    ]
    expected = {"phone": "ann", "cookie": "ann", "tied": "ann", "x": "y", "y": "y", "z": "y"}
    assert resolve(links) == resolve(reversed(links)) == expected


def test_consent_is_a_persons_under_every_id(shop: Shop) -> None:
    """A denial holds for all aliases, whichever it was said under, and so does what is granted."""
    shop.deliver(
        DAY,
        [act("a1", "ann", NOON), act("p1", "phone", NOON), act("c1", "cookie", NOON), act("b1", "bob", NOON)],
    )
    shop.deliver(DAY, [word("phone", False, NOON - HOUR)], "consents.csv", "consents")
    shop.deliver(DAY, [link("phone", "ann", NOON), link("cookie", "phone", NOON)], "links.csv", "identities")
    shop.land()
    assert landed(shop) == {"b1"}
    # Another person's phone after all: hers was silence, and comes back.
    shop.deliver(NEXT, [link("phone", "bob", NOON + HOUR)], "links.csv", "identities")
    shop.land(NEXT)
    assert landed(shop) == {"a1", "b1"}


def test_a_link_that_arrives_later_brings_back_what_its_person_consents_to(shop: Shop) -> None:
    shop.describe(missing_consent="denied")
    shop.deliver(DAY, [act("a1", "ann", NOON), act("p1", "phone", NOON)])
    shop.deliver(DAY, [word("ann", True, NOON - HOUR)], "consents.csv", "consents")
    shop.land()
    assert landed(shop) == {"a1"}
    shop.deliver(NEXT, [link("phone", "ann", NOON)], "links.csv", "identities")
    shop.land(NEXT)
    assert landed(shop) == {"a1", "p1"}


def people(words: list[tuple[str, bool, datetime]], links: list[Link], missing: bool) -> People:
    persons = resolve(links)
    by_person: dict[str, list[Word]] = {}
    for user, granted, at in words:
        by_person.setdefault(persons.get(user, user), []).append(Word(at, granted))
    aliases: dict[str, list[str]] = {}
    for alias, person in persons.items():
        aliases.setdefault(person, []).append(alias)
    return People(missing, persons, aliases, by_person)


def test_only_what_counts_otherwise_is_to_be_revised() -> None:
    before = people([("ann", True, NOON)], [Link("phone", "bob", NOON)], missing=False)
    again = people(
        [("ann", True, NOON), ("ann", True, NOON + HOUR)], [Link("phone", "bob", NOON)], missing=False
    )
    assert changes(before, again, {"ann", "bob", "phone"}) == []
    earlier = people(
        [("ann", True, NOON), ("ann", True, NOON - HOUR)], [Link("phone", "bob", NOON)], missing=False
    )
    assert changes(before, earlier, {"ann", "phone"}) == [("ann", NOON - HOUR, NOON)]
    linked = people([("ann", True, NOON)], [Link("phone", "ann", NOON + HOUR)], missing=False)
    assert [user for user, _, _ in changes(before, linked, {"ann", "bob", "phone"})] == ["phone"]


# Any order


FACTS = [
    ("events", act("a1", "ann", NOON)),
    ("events", act("a2", "ann", NOON + 2 * HOUR)),
    ("events", act("p1", "phone", NOON + HOUR)),
    ("events", act("b1", "bob", NOON)),
    ("events", act("c1", "cookie", NOON)),
    ("consents", word("ann", True, NOON - HOUR)),
    ("consents", word("ann", False, NOON + HOUR)),
    ("consents", word("phone", True, NOON + 2 * HOUR)),
    ("consents", word("bob", False, NOON)),
    ("consents", word("bob", True, NOON)),
    ("identities", link("phone", "ann", NOON)),
    ("identities", link("cookie", "bob", NOON)),
    ("identities", link("cookie", "phone", NOON + HOUR)),
    ("users", {"user_id": "phone"}),
    ("users", {"user_id": "bob"}),
]


@given(st.data(), st.sampled_from(["granted", "denied"]))
@settings(max_examples=3, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
def test_any_order_repetition_and_splitting_of_deliveries_keeps_all_that_may_be_used(
    tmp_path_factory: pytest.TempPathFactory, data: Any, missing: str
) -> None:
    """What a word takes out later stays in the raw tables, where only the models that ask about consent read it."""
    shop = Shop(tmp_path_factory.mktemp("shop"))
    shop.describe(missing_consent=missing)
    days = [DAY, NEXT, THIRD]
    deliveries: dict[tuple[str, date], list[dict[str, str]]] = {}
    for kind, row in data.draw(st.permutations(FACTS)):
        for day in data.draw(st.sets(st.sampled_from(days), min_size=1, max_size=2)):
            deliveries.setdefault((kind, day), []).append(row)
    for (kind, day), rows in deliveries.items():
        shop.deliver(day, rows, "rows.csv", kind)
    for day in days:
        shop.land(day)
    assert {"a1", "a2", "c1"} <= landed(shop)
    assert "phone" in landed(shop, names.RAW_USERS, "user_id")
    for key in State.of(shop.settings).all(DELIVERIES):
        account(shop, key)


# Late events


def test_a_week_late_is_landed_and_a_day_more_is_late(shop: Shop) -> None:
    """The first delivery may tell of years; what matters is the day of the delivery, and not when it is landed."""
    shop.deliver(DAY, [act("old", "ann", NOON - timedelta(days=900))])
    shop.land()
    received = DAY + timedelta(days=8)
    rows = [act(f"on_time{number}", "ann", NOON + timedelta(days=8)) for number in range(150)]
    rows += [
        act("week", "ann", datetime(2011, 3, 2)),
        act("late", "ann", datetime(2011, 3, 1, 23, 59, 59, 999999)),
    ]
    shop.deliver(received, rows)
    told = shop.land(received)
    assert (told["good"], told["quarantined"]) == (151, 1)
    assert shop.reasons(received) == ["LATE"]
    assert {"old", "week"} <= landed(shop)
