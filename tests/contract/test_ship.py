"""What was shipped lands as if the shop had delivered it in files, and what was shown is told once."""

from __future__ import annotations

import asyncio
import csv
import gzip
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from contracts.errors import FeedInvalid, LeaseHeld
from contracts.journal import DECISIONS, journal_folder, journal_path
from jobs.io.journal import Journal
from jobs.ship import ship
from tests.event_log import DAY, NEXT, decided, decision, event, ingested
from tests.shop import Shop

pytestmark = pytest.mark.contract

THIRD = NEXT + timedelta(days=1)


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path / "home")


def delivered(shop: Shop, day: Any = DAY) -> list[dict[str, str]]:
    path = shop.feed / "events" / f"received={day}" / "events.csv.gz"
    with gzip.open(path, "rt", newline="") as stream:
        return list(csv.DictReader(stream))


def answered(shop: Shop, day: Any = DAY) -> list[dict[str, str]]:
    path = shop.feed / "decisions" / f"received={day}" / "decisions.csv.gz"
    with gzip.open(path, "rt", newline="") as stream:
        return list(csv.DictReader(stream))


def shown(shop: Shop, day: Any = DAY) -> list[tuple[str, str, str, str]]:
    return [
        (row["decision_id"], row["item_id"], row["position"], row["propensity"])
        for row in delivered(shop, day)
        if row["event_type"] == "impression"
    ]


def impression(number: int, decision_id: str, item_id: str, day: Any = DAY, **changes: Any) -> dict[str, Any]:
    return event(number, day, event_type="impression", decision_id=decision_id, item_id=item_id, **changes)


def test_a_shipped_day_lands_like_the_same_events_in_a_file(shop: Shop, tmp_path: Path) -> None:
    sent = [event(number, value=1.5, quantity=number % 3, surface="home") for number in range(300)]
    sent += [
        event(300, occurred_at="2026-01-03T09:00:00Z"),
        event(301, event_type="purchase", unit_price=2.5),
    ]
    asyncio.run(ingested(shop.settings.home, [{"events": sent[:200]}, {"events": sent[100:]}]))
    assert ship(shop.settings, DAY) == [
        {"day": "2026-01-05", "events": 302, "told_already": 0, "decisions": 0, "shown": 0}
    ]
    by_file = Shop(tmp_path / "by_file")
    columns = dict.fromkeys(name for each in sent for name in each)
    rows = [{name: "" if each.get(name) is None else str(each[name]) for name in columns} for each in sent]
    by_file.deliver(DAY, rows)
    told = shop.land(DAY)
    assert told == by_file.land(DAY)
    assert (told["read"], told["good"]) == (302, 302)
    ours, theirs = (sorted(each.events(DAY), key=lambda row: row["event_id"]) for each in (shop, by_file))
    assert ours == theirs
    assert len(ours) == 301


def test_a_decision_is_delivered_as_it_was_logged(shop: Shop) -> None:
    low = msgspec.structs.replace(
        decision("v0001:b"),
        source="popular",
        made_from="popular",
        fallback="unknown_user",
        is_short=True,
        rules_applied=("pin:card", "filter:wine"),
        rules_dropped=("filter:cheap",),
    )
    asyncio.run(decided(shop.settings.home, [decision("v0001:a", num_items=5), low]))
    ship(shop.settings, DAY)
    first, second = answered(shop)
    assert first == {
        "decision_id": "v0001:a", "user_id": "u1", "decided_at": "2026-01-05T12:00:00+00:00", "surface": "home",
        "version": "v0001", "source": "personal", "made_from": "personal", "fallback": "", "num_items": "5",
        "is_short": "false", "variant": "", "rules_applied": "filter:no-wine", "rules_dropped": "pin:card", "shadow": "",
    }  # fmt: skip
    changed = [(name, value) for name, value in second.items() if value != first[name]]
    assert changed == [
        ("decision_id", "v0001:b"), ("source", "popular"), ("made_from", "popular"), ("fallback", "unknown_user"),
        ("num_items", "2"), ("is_short", "true"), ("rules_applied", "pin:card filter:wine"), ("rules_dropped", "filter:cheap"),
    ]  # fmt: skip


def test_what_a_shop_is_about_to_deliver_is_left_alone(shop: Shop) -> None:
    """Shops put a delivery together in a folder beside ``events``, as docs/feeds.md says."""
    own = shop.feed / ".incoming" / "items" / "items.csv"
    own.parent.mkdir(parents=True)
    own.write_text("item_id\n")
    asyncio.run(ingested(shop.settings.home, [event(1)]))
    ship(shop.settings, DAY)
    assert own.exists()
    assert sorted(path.name for path in shop.feed.iterdir()) == [".incoming", "events", "feed.json"]


def test_an_answer_that_nobody_reports_of_was_shown_whole(shop: Shop) -> None:
    asyncio.run(decided(shop.settings.home, [decision("v0001:a")]))
    asyncio.run(ingested(shop.settings.home, [event(1, decision_id="v0001:a", item_id="i2")]))
    ship(shop.settings, DAY)
    assert shown(shop) == [("v0001:a", "i1", "1", "0.5"), ("v0001:a", "i2", "2", "0.5")]
    assert delivered(shop)[-1]["event_id"] == "v0001:a#2"
    assert shop.land(DAY)["good"] == 3


def test_an_answer_that_the_shop_reports_of_was_shown_as_reported_and_completed(shop: Shop) -> None:
    asyncio.run(
        decided(shop.settings.home, [decision("v0001:a", num_items=5), decision("v0001:b", num_items=1)])
    )
    reported = [
        impression(1, "v0001:a", "i2"),
        impression(2, "v0001:a", "i1", position=3),
        impression(3, "v0001:a", "i9"),  # not of this answer
        impression(4, "elsewhere", "i1"),
    ]
    asyncio.run(ingested(shop.settings.home, [{"events": reported}]))
    ship(shop.settings, DAY)
    assert shown(shop) == [
        ("v0001:a", "i2", "2", "0.5"),
        ("v0001:a", "i1", "3", "0.5"),
        ("v0001:a", "i9", "", ""),
        ("elsewhere", "i1", "", ""),
        ("v0001:b", "i1", "1", "0.5"),
    ]


def test_a_report_on_the_next_day_tells_nothing_twice(shop: Shop) -> None:
    home = shop.settings.home
    asyncio.run(decided(home, [decision("v0001:a"), decision("v0001:b")]))
    asyncio.run(ingested(home, [impression(1, "v0001:b", "i1")]))
    late = [impression(2, "v0001:a", "i1", NEXT), impression(3, "v0001:b", "i2", NEXT)]
    asyncio.run(ingested(home, [{"events": late}], NEXT))
    first, second = ship(shop.settings, NEXT)
    assert (first["shown"], second["told_already"]) == (2, 1)
    assert [each[:2] for each in shown(shop)] == [("v0001:b", "i1"), ("v0001:a", "i1"), ("v0001:a", "i2")]
    assert shown(shop, NEXT) == [("v0001:b", "i2", "2", "0.5")]


def test_a_day_is_shipped_once_and_the_next_day_goes_on(shop: Shop) -> None:
    asyncio.run(ingested(shop.settings.home, [event(1)]))
    assert [each["events"] for each in ship(shop.settings, DAY)] == [1]
    asyncio.run(ingested(shop.settings.home, [event(2)]))  # after the day was closed
    assert ship(shop.settings, DAY) == []
    assert [each["day"] for each in ship(shop.settings, THIRD)] == ["2026-01-06"]
    assert [len(delivered(shop, day)) for day in (DAY, NEXT)] == [1, 1]
    assert not list(shop.feed.glob(f"events/received={THIRD}"))


def test_a_day_without_a_row_is_no_delivery(shop: Shop) -> None:
    journal = Journal(shop.settings.home)
    with journal.alone():
        journal.close_day(DAY)
    assert [each["events"] for each in ship(shop.settings, DAY)] == [0]
    assert not (shop.feed / "events").exists()


def test_a_day_that_the_shop_has_delivered_in_files_stays_as_it_is(shop: Shop) -> None:
    path = shop.deliver(DAY, [{"item_id": "i1", "event_type": "view", "occurred_at": "2026-01-05T10:00:00Z"}])
    asyncio.run(ingested(shop.settings.home, [event(1)]))
    before = path.read_bytes()
    with pytest.raises(FeedInvalid, match="holds another delivery"):
        ship(shop.settings, DAY)
    assert path.read_bytes() == before


def test_two_cannot_ship_at_once(shop: Shop) -> None:
    with Journal(shop.settings.home).alone(), pytest.raises(LeaseHeld, match="shipped already"):
        ship(shop.settings, DAY)


def test_what_was_shipped_goes_after_the_days_it_is_kept_and_what_was_not_stays(shop: Shop) -> None:
    home = shop.settings.home
    asyncio.run(decided(home, [decision("v0001:a")]))
    asyncio.run(ingested(home, [event(1)]))
    ship(shop.settings, DAY + timedelta(days=7))
    assert journal_path(home, DECISIONS, DAY).exists()
    ship(shop.settings, DAY + timedelta(days=8))
    assert [path.name for path in journal_folder(home).iterdir()] == ["ship.lock"]
