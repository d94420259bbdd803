"""What the simulated shop delivers is landed as it was meant: clean days clean, each fault under its own reason."""

from __future__ import annotations

import time
from datetime import date
from pathlib import Path

import pytest

from contracts.errors import FeedInvalid
from contracts.settings import Settings, load_settings
from jobs.feed_reader import complete_deliveries, read_description
from jobs.landing.classify import Classified, classify_all
from simulator import faults
from simulator.incidents import Bots, ColumnBroken, EventsLost, NewCategory, PriceFault
from simulator.policies import popular_lists
from simulator.shop import Shop, ShopConfig

pytestmark = pytest.mark.contract

DAY, NEXT = date(2026, 1, 5), date(2026, 1, 6)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    Shop(ShopConfig(seed=3, num_users=600, start=DAY)).deliver(tmp_path / "feed", DAY)
    return load_settings(home=tmp_path)


def landed(settings: Settings, day: date = DAY) -> dict[str, Classified]:
    deliveries = complete_deliveries(settings, settings.feed_location)
    of_day = [each for each in deliveries if each.received == day]
    classified = classify_all(of_day, read_description(settings))
    return {each.delivery.kind: each for each in classified}


def test_a_clean_day_has_nothing_to_quarantine(settings: Settings) -> None:
    classified = landed(settings)
    assert classified.keys() == {"events", "items", "users"}
    assert [each.rejected for each in classified.values()] == [[], [], []]
    assert classified["events"].set_aside.keys() == {"SERVICE_LINE"}


INCIDENTS = {
    "events lost": EventsLost(NEXT, 1),
    "a price column gone NaN": ColumnBroken(NEXT, 1, "unit_price", "nan"),
    "an item column gone empty": ColumnBroken(NEXT, 1, "item_id", ""),
    "wrong prices": PriceFault(NEXT, 1),
    "bots": Bots(NEXT, 1, share=0.3),
    "a new category": NewCategory(NEXT),
}
QUARANTINED = {"a price column gone NaN": "NON_FINITE", "an item column gone empty": "NO_ITEM"}


@pytest.mark.parametrize("name", INCIDENTS)
def test_an_incident_is_landed_as_what_it_is(tmp_path: Path, name: str) -> None:
    shop = Shop(ShopConfig(seed=3, num_users=600, start=DAY, incidents=(INCIDENTS[name],)))
    for day in (DAY, NEXT):
        shop.deliver(tmp_path / "feed", day)
    classified = landed(load_settings(home=tmp_path), NEXT)
    reasons = {reason for each in classified.values() for reason, _, _ in each.quarantine_summary()}
    assert reasons == ({QUARANTINED[name]} if name in QUARANTINED else set())


@pytest.mark.alone
def test_a_large_shop_delivers_a_million_events_in_a_minute_at_least(tmp_path: Path) -> None:
    shop = Shop(ShopConfig(seed=7, num_users=15_000, num_items=1000, sessions_per_user=0.65, start=DAY))
    shop.deliver(tmp_path / "feed", DAY)
    lists = popular_lists(shop, tmp_path / "feed", NEXT)
    begun = time.perf_counter()
    events = shop.deliver(tmp_path / "feed", NEXT, lists, "v0001")["events"]
    assert events > 100_000
    assert events / (time.perf_counter() - begun) > 1_000_000 / 60


def test_every_malformation_is_quarantined_under_its_own_reason(settings: Settings) -> None:
    told = faults.spoil_rows(settings.home / "feed", DAY, 0.1)
    found = {reason: count for reason, count, _ in landed(settings)["events"].quarantine_summary()}
    assert found == told
    assert set(told) == set(faults.MALFORMATIONS)


def test_rows_that_are_delivered_twice_are_duplicates(settings: Settings) -> None:
    before = landed(settings)["events"]
    again = faults.deliver_twice(settings.home / "feed", DAY)
    after = landed(settings)["events"]
    assert after.num_read == before.num_read + again
    assert after.rows.num_rows == before.rows.num_rows


def test_a_torn_file_or_another_header_is_refused_whole(settings: Settings) -> None:
    feed = settings.home / "feed"
    faults.rename_column(feed, DAY, "item_id", "sku")
    with pytest.raises(FeedInvalid, match="sku"):
        landed(settings)
    faults.rename_column(feed, DAY, "sku", "item_id")
    faults.drop_column(feed, DAY, "occurred_at")
    with pytest.raises(FeedInvalid, match="occurred_at"):
        landed(settings)


def test_a_file_that_was_cut_short_is_refused(settings: Settings) -> None:
    faults.cut_short(settings.home / "feed", DAY)
    with pytest.raises(FeedInvalid, match=r"events\.csv\.gz"):
        landed(settings)
