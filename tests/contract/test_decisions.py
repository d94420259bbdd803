"""What the API answered lands like what people did: each decision once, with consent, in the partition of its UTC day."""

from __future__ import annotations

import asyncio
from datetime import date
from pathlib import Path
from typing import Any, get_args

import pytest

from contracts import names
from contracts.decisions import Fallback, Source
from contracts.journal import DECISIONS, EVENTS, journal_folder, journal_path
from contracts.settings import load_settings
from jobs.feed_reader import is_delivery_complete
from jobs.io.journal import Journal
from jobs.io.lake import Lake
from jobs.io.state import DELIVERIES, LANDINGS, State
from jobs.io.warehouse import open_warehouse
from jobs.runs import StepContext
from jobs.ship import ship
from jobs.validate import run_landed
from jobs.without_user import rewrite_without
from tests.event_log import DAY, NEXT, decided, decision, event, ingested, stored
from tests.shop import Shop

pytestmark = pytest.mark.contract

THIRD, FOURTH = date(2026, 1, 7), date(2026, 1, 8)


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path / "home")


def row(number: int, day: date = DAY, **changes: str) -> dict[str, str]:
    return {
        "decision_id": f"v0001:{number}", "user_id": f"u{number % 7}", "decided_at": f"{day}T10:00:00+00:00",
        "surface": "home", "version": "v0001", "source": "personal", "made_from": "personal", "fallback": "",
        "num_items": "10", "is_short": "false", "variant": "", "rules_applied": "", "rules_dropped": "", "shadow": "", **changes,
    }  # fmt: skip


def deliver(shop: Shop, rows: list[dict[str, str]], day: date = DAY) -> None:
    shop.deliver(day, rows, "decisions.csv", "decisions")


def landed(shop: Shop, day: date = DAY) -> dict[str, dict[str, Any]]:
    lake = Lake.of(shop.settings)
    if lake.manifest(names.RAW_DECISIONS, day) is None:
        return {}
    return {each["decision_id"]: each for each in lake.read(names.RAW_DECISIONS, day).to_pylist()}


def account(shop: Shop, day: date = DAY) -> dict[str, Any]:
    return dict(State.of(shop.settings).all(DELIVERIES)[f"decisions/{day}"])


def step(shop: Shop, function: Any, *arguments: Any) -> Any:
    with State.of(shop.settings).lease("test", "test", 60, is_last=True) as lease:
        return function(*arguments, StepContext.of(shop.settings, lease))


@pytest.mark.parametrize("of", ["session", "fallback"])
def test_decisions_of_every_rung_and_with_every_reason_land(shop: Shop, of: str) -> None:
    if of == "session":
        rows = [row(number, source=source) for number, source in enumerate(get_args(Source))]
    else:
        rows = [row(number, fallback=why) for number, why in enumerate(get_args(Fallback))]
    assert len(rows) >= 5
    deliver(shop, rows)
    shop.land(DAY)
    assert len(landed(shop)) == len(rows)


def test_a_decision_lands_in_lake_and_warehouse_with_all_that_was_logged(shop: Shop) -> None:
    popular = {"source": "popular", "made_from": "popular", "fallback": "unknown_user", "is_short": "true"}
    of_rules = {
        "variant": "hero:bold",
        "rules_applied": "blocked pin:card",
        "rules_dropped": "cap:brand",
        "shadow": '["a", "b"]',
    }
    deliver(shop, [row(1), row(2, **popular, **of_rules, num_items="0")])
    shop.land(DAY)
    found = landed(shop)["v0001:2"]
    assert (found["source"], found["fallback"], found["num_items"], found["is_short"]) == (
        "popular", "unknown_user", 0, True,
    )  # fmt: skip
    assert {name: found[name] for name in of_rules} == of_rules
    assert {landed(shop)["v0001:1"][name] for name in of_rules} == {None}
    assert (found["event_date"], found["known_date"], landed(shop)["v0001:1"]["fallback"]) == (DAY, DAY, None)
    with open_warehouse(shop.settings) as warehouse:
        query = "select decision_id from raw.decisions order by 1"
        assert warehouse.read(query, {"decision_id": "text"}).column(0).to_pylist() == ["v0001:1", "v0001:2"]
    record = State.of(shop.settings).get(LANDINGS, str(DAY)) or {}
    assert record["touched"] == [str(DAY)]  # although no event has come: its facts are built
    step(shop, run_landed, DAY)  # and the gate lets them through


BAD_ROWS: list[tuple[str, dict[str, str]]] = [
    ("NO_DECISION", {"decision_id": ""}),
    ("NO_DECISION", {"surface": ""}),
    ("NO_DECISION", {"version": ""}),
    ("NO_USER", {"user_id": ""}),
    ("PLACEHOLDER_ID", {"user_id": "null"}),
    ("NO_TS", {"decided_at": ""}),
    ("FUTURE", {"decided_at": "2026-01-06T00:06:00Z"}),
    ("UNKNOWN_TYPE", {"source": "guess"}),
    ("UNKNOWN_TYPE", {"source": ""}),
    ("UNKNOWN_TYPE", {"made_from": "guess"}),
    ("UNKNOWN_TYPE", {"fallback": "guess"}),
    ("TYPE", {"num_items": ""}),
    ("RANGE", {"num_items": "-1"}),
    ("TYPE", {"is_short": "perhaps"}),
]


def test_a_bad_decision_is_quarantined_under_its_reason_and_the_others_live(shop: Shop) -> None:
    good = [row(number) for number in range(100 * len(BAD_ROWS))]
    deliver(shop, [*(row(9_000 + place, **changes) for place, (_, changes) in enumerate(BAD_ROWS)), *good])
    shop.land(DAY)
    assert shop.reasons(DAY, "decisions") == [reason for reason, _ in BAD_ROWS]
    assert account(shop)["good"] == len(landed(shop)) == len(good)


def test_one_that_is_told_more_than_a_week_late_is_late_but_in_a_feeds_first_delivery(shop: Shop) -> None:
    deliver(shop, [row(1, date(2025, 12, 1))])
    deliver(shop, [*(row(number, NEXT) for number in range(2, 202)), row(500, date(2025, 12, 1))], NEXT)
    shop.land(NEXT)
    assert shop.reasons(NEXT, "decisions") == ["LATE"]
    assert set(landed(shop, date(2025, 12, 1))) == {"v0001:1"}


def test_the_first_word_about_a_decision_counts(shop: Shop) -> None:
    deliver(shop, [row(1), row(1), *(row(number) for number in range(10, 200))])
    shop.land(DAY)
    deliver(
        shop, [row(1), row(1, source="previous"), *(row(number, NEXT) for number in range(200, 400))], NEXT
    )
    shop.land(NEXT)
    assert (account(shop)["duplicate"], account(shop, NEXT)["duplicate"]) == (1, 1)
    assert shop.reasons(NEXT, "decisions") == ["ID_CONFLICT"]
    assert landed(shop)["v0001:1"]["source"] == "personal"


def test_a_decision_counts_while_consent_holds_and_comes_back_with_a_later_word(shop: Shop) -> None:
    def word(day: date, granted: str) -> None:
        told = {"user_id": "u1", "purpose": "personalization", "granted": granted, "at": f"{day}T12:00:00Z"}
        shop.deliver(day, [told], "consents.csv", "consents")

    word(DAY, "false")
    deliver(shop, [row(1), row(2)])
    shop.land(DAY)
    assert set(landed(shop)) == {"v0001:2"}
    assert account(shop)["set_aside"] == {"NO_CONSENT": 1}
    assert "u1" not in str(Lake.of(shop.settings).read(names.WITHHELD_DECISIONS, DAY).to_pylist())
    word(NEXT, "true")
    shop.land(NEXT)
    assert set(landed(shop)) == {"v0001:1", "v0001:2"}
    assert account(shop)["set_aside"] == {}


def test_nothing_names_an_erased_user_in_lake_warehouse_and_journal(shop: Shop) -> None:
    home = shop.settings.home
    asyncio.run(decided(home, [decision("v0001:a"), decision("v0001:b", NEXT)]))
    asyncio.run(ingested(home, [{"events": [event(number) for number in range(20)]}]))
    ship(shop.settings, DAY)
    shop.land(DAY)
    rows = step(shop, rewrite_without, ["u1"])["rows"]
    assert (rows[names.RAW_DECISIONS], rows["journal"]) == (1, 5)
    assert landed(shop) == {}
    assert {each["user_id"] for each in stored(home)} == {"u0", "u2", "u3", "u4", "u5", "u6"}
    assert stored(home, NEXT, DECISIONS) == stored(home, DAY, DECISIONS) == []
    (again,) = asyncio.run(ingested(home, [{"events": [event(0), event(20)]}]))  # others are known as before
    assert (again.accepted, again.duplicates) == (1, 1)
    assert "journal" not in step(shop, rewrite_without, ["u1"])["rows"]


def test_what_was_delivered_before_somebody_was_erased_stays_the_delivery(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shipping that was killed before it said that it had shipped does not deliver another thing in its place."""
    home = shop.settings.home
    asyncio.run(ingested(home, [{"events": [event(number) for number in range(20)]}]))
    with monkeypatch.context() as patch:
        patch.setattr(Journal, "mark_shipped", lambda *arguments: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            ship(shop.settings, DAY, [EVENTS])
    before = (shop.feed / "events" / f"received={DAY}" / "events.csv.gz").read_bytes()
    Journal(home).remove_users(["u1"])
    ship(shop.settings, DAY)
    assert (shop.feed / "events" / f"received={DAY}" / "events.csv.gz").read_bytes() == before
    assert shop.land(DAY)["read"] == 20


def test_a_landing_ships_decisions_first_and_says_that_events_wait(shop: Shop) -> None:
    home = shop.settings.home
    asyncio.run(decided(home, [decision("v0001:a")]))
    asyncio.run(ingested(home, [event(1)]))
    path = shop.deliver(DAY, [{"item_id": "i1", "event_type": "view", "occurred_at": f"{DAY}T10:00:00Z"}])
    before = path.read_bytes()
    told = shop.land(DAY)
    assert told["shipped"] == {"decisions": 1, "days_of_events_not_shipped": 1}
    assert (told["good"], path.read_bytes()) == (1, before)
    assert set(landed(shop)) == {"v0001:a"}
    assert shop.land(DAY)["shipped"] == {"days_of_events_not_shipped": 1}


def test_a_landing_ships_events_too_where_they_come_by_the_api(shop: Shop) -> None:
    shop.describe(calendar={})
    shop.settings = load_settings(home=shop.settings.home, events_from="api")
    asyncio.run(decided(shop.settings.home, [decision("v0001:a")]))
    asyncio.run(ingested(shop.settings.home, [event(1)]))
    assert not is_delivery_complete(shop.settings, DAY, DAY)
    assert is_delivery_complete(shop.settings, DAY, NEXT)  # the landing that follows ships it
    told = shop.land(DAY)
    assert told["shipped"] == {"events": 1, "decisions": 1, "shown": 2}
    assert told["good"] == 3
    assert is_delivery_complete(shop.settings, DAY, DAY)


def test_a_home_without_a_journal_gets_none_by_landing(shop: Shop) -> None:
    shop.deliver(DAY, [{"item_id": "i1", "event_type": "view", "occurred_at": f"{DAY}T10:00:00Z"}])
    assert "shipped" not in shop.land(DAY)
    assert not journal_folder(shop.settings.home).exists()


def test_a_day_goes_from_the_journal_as_soon_as_it_has_landed_and_nobody_needs_it(shop: Shop) -> None:
    shop.settings = load_settings(home=shop.settings.home, events_from="api")
    home = shop.settings.home
    asyncio.run(decided(home, [decision("v0001:a")]))
    for day in (DAY, NEXT):
        asyncio.run(ingested(home, [event(day.day, day)], day))
    shop.land(NEXT)
    assert journal_path(home, EVENTS, DAY).exists()  # repeats and late reports are held against it
    ship(shop.settings, THIRD)
    assert not journal_path(home, EVENTS, DAY).exists()
    assert not journal_path(home, DECISIONS, DAY).exists()
    state = State.of(shop.settings)
    state.put(
        DELIVERIES, f"events/{NEXT}", {**(state.get(DELIVERIES, f"events/{NEXT}") or {}), "sha256": "other"}
    )
    ship(shop.settings, FOURTH)
    assert journal_path(
        home, EVENTS, NEXT
    ).exists()  # what has landed is not what was shipped: a person looks
