"""Incidents: each does what it says on its days, nothing before them, and what passes is over afterwards."""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from simulator import incidents
from simulator.config import ShopConfig
from simulator.incidents import (
    Bots,
    ColumnBroken,
    EventsLost,
    Holiday,
    Incident,
    NewCategory,
    PassingIncident,
    PriceFault,
    TasteShift,
    ViralItem,
)
from simulator.seasons import gift_categories
from simulator.shelf import item_rows
from simulator.shop import Shop

START = date(2026, 1, 5)
DAY = START + timedelta(days=5)
SMALL: dict[str, Any] = {"seed": 3, "num_users": 400, "num_items": 96, "num_categories": 8, "start": START}
SMALL["sessions_per_user"] = 0.6
ALL = (
    TasteShift(DAY),
    ViralItem(DAY, 2),
    NewCategory(DAY),
    EventsLost(DAY, 2),
    ColumnBroken(DAY, 2, "unit_price", "nan"),
    PriceFault(DAY, 2),
    Bots(DAY, 2, share=0.3),
    Holiday(DAY, 2, lift=2.0),
)
BEFORE, AFTER = DAY - timedelta(days=1), DAY + timedelta(days=2)


def shop_with(*incidents: Incident) -> Shop:
    return Shop(ShopConfig(**SMALL, incidents=incidents))


@pytest.fixture(scope="module")
def steady() -> Shop:
    return shop_with()


def told(shop: Shop, day: date) -> list[Any]:
    """Everything that the shop tells on a day."""
    lived = shop.live(day)
    items = item_rows(shop.config, shop.catalogue(day), day)
    joining = shop.people(day).joining(shop.config.offset(day)).tolist()
    return [lived.now.to_pydict(), lived.held_back.to_pydict(), items, joining]


def views(shop: Shop, day: date = DAY) -> pa.Table:
    events = shop.live(day).now
    return events.filter(pc.equal(events["event_type"], "view"))


def category_shares(shop: Shop, *days: date) -> np.ndarray:
    counts = np.zeros(SMALL["num_categories"] + 2)
    for day in days:
        catalogue = shop.catalogue(day)
        for item in views(shop, day)["item_id"].to_pylist():
            counts[catalogue.category_N[catalogue.place_M[int(item[1:])]]] += 1
    return counts / counts.sum()


def divergence(left: np.ndarray, right: np.ndarray) -> float:
    """Jensen-Shannon, in bits."""
    left, right = left[left + right > 0], right[left + right > 0]
    middle = (left + right) / 2
    return float(sum(np.sum(part * np.log2(np.maximum(part, 1e-12) / middle)) for part in (left, right)) / 2)


def test_every_incident_is_tried_here() -> None:
    kinds = {kind for kind in vars(incidents).values() if isinstance(kind, type)}
    told_of = {kind for kind in kinds if issubclass(kind, Incident)} - {Incident, PassingIncident}
    assert told_of == {type(incident) for incident in ALL}


@pytest.mark.parametrize("incident", ALL, ids=lambda incident: type(incident).__name__)
def test_an_incident_changes_its_days_and_none_before_them(steady: Shop, incident: Incident) -> None:
    shop = shop_with(incident)
    assert told(shop, BEFORE) == told(steady, BEFORE)
    assert repr(told(shop, DAY)) != repr(told(steady, DAY))


@pytest.mark.parametrize(
    "incident",
    [each for each in ALL if isinstance(each, PassingIncident)],
    ids=lambda each: type(each).__name__,
)
def test_what_passes_is_over_afterwards(steady: Shop, incident: Incident) -> None:
    assert shop_with(incident).live(AFTER).now.equals(steady.live(AFTER).now)


def test_incidents_deliver_the_same_bytes_before_them_to_the_feed(tmp_path: Path) -> None:
    written = []
    for name, shop in (("steady", shop_with()), ("eventful", shop_with(*ALL))):
        for offset in (3, 4):
            shop.deliver(tmp_path / name / "feed", START + timedelta(days=offset))
        files = sorted(path for path in (tmp_path / name).rglob("*") if path.is_file())
        written.append({str(path.relative_to(tmp_path / name)): path.read_bytes() for path in files})
    assert written[0] == written[1]


def test_several_shifts_move_taste_again_and_again() -> None:
    later = DAY + timedelta(days=4)
    shop = shop_with(TasteShift(DAY, share=0.7), TasteShift(later, share=0.5))
    shares = [category_shares(shop, day) for day in (START, DAY, later)]
    quiet = [category_shares(shop_with(), day) for day in (START, later)]
    assert divergence(shares[0], shares[1]) > 5 * divergence(*quiet)
    assert divergence(shares[1], shares[2]) > 3 * divergence(*quiet)


def test_a_viral_item_is_looked_at_by_everybody_for_its_days(steady: Shop) -> None:
    usual = Counter(views(steady)["item_id"].to_pylist())
    shop = shop_with(ViralItem(DAY, 2))
    now = views(shop)["item_id"].to_pylist()
    item, count = Counter(now).most_common(1)[0]
    assert count > 0.1 * len(now)
    assert usual[item] < 0.02 * usual.total()
    later = views(shop, DAY + timedelta(days=1))["item_id"].to_pylist()
    assert Counter(later).most_common(1)[0][0] == item


def test_a_new_category_is_told_of_and_liked_from_its_day_on(steady: Shop) -> None:
    shop = shop_with(NewCategory(DAY))
    new = [row for row in item_rows(shop.config, shop.catalogue(DAY), DAY) if row[2] == "toys"]
    assert len(new) == SMALL["num_items"] // SMALL["num_categories"]
    assert not [row for row in item_rows(steady.config, steady.catalogue(DAY), DAY) if row[2] == "toys"]
    shares = category_shares(shop, DAY, DAY + timedelta(days=1))
    assert 0.05 < shares[SMALL["num_categories"]] < 0.25
    assert shop.today(DAY).tastes.taste_UC.sum(axis=1) == pytest.approx(np.ones(SMALL["num_users"]), abs=1e-5)
    known = {int(row[0][1:]) for row in item_rows(steady.config, steady.catalogue(START), START)}
    assert not known & {int(row[0][1:]) for row in new}


def test_a_second_new_category_leaves_the_days_before_it_alone() -> None:
    one, two = shop_with(NewCategory(DAY)), shop_with(NewCategory(DAY), NewCategory(AFTER))
    day = AFTER - timedelta(days=1)
    assert told(one, day) == told(two, day)
    assert np.count_nonzero(category_shares(one, AFTER)) == SMALL["num_categories"] + 1
    assert np.count_nonzero(category_shares(two, AFTER)) == SMALL["num_categories"] + 2


def test_half_of_the_events_are_lost_while_people_do_what_they_do(steady: Shop) -> None:
    shop = shop_with(EventsLost(DAY, 2, share=0.5))
    whole, left = steady.live(DAY), shop.live(DAY)
    assert len(left.now) / len(whole.now) == pytest.approx(0.5, abs=0.05)
    assert set(left.now["event_id"].to_pylist()) < set(whole.now["event_id"].to_pylist())
    assert left.outcome == whole.outcome


@pytest.mark.parametrize(("column", "value"), [("unit_price", "nan"), ("item_id", ""), ("dwell_ms", "")])
def test_a_broken_column_holds_nothing_that_it_held(steady: Shop, column: str, value: str) -> None:
    whole, broken = steady.live(DAY).now, shop_with(ColumnBroken(DAY, 2, column, value)).live(DAY).now
    assert broken.drop_columns(column).equals(whole.drop_columns(column))
    had = pc.is_valid(whole[column])
    if value == "nan":
        assert pc.is_nan(broken[column].filter(had)).to_pylist() == [True] * pc.sum(had).as_py()
        assert broken[column].null_count == whole[column].null_count
    else:
        assert broken[column].null_count == len(whole)


def test_a_price_fault_tells_wrong_prices_and_takes_them_back(steady: Shop) -> None:
    shop = shop_with(PriceFault(DAY, 2, factor=100.0, share=0.3))
    was, wrong = (each.live(DAY).now for each in (steady, shop))
    ratio = np.round(pc.divide(wrong["unit_price"], was["unit_price"]).drop_null().to_numpy(), 3)
    assert set(ratio.tolist()) == {1.0, 100.0}
    told_wrong = {row[0]: float(row[4]) for row in item_rows(shop.config, shop.catalogue(DAY), DAY)}
    told_right = {row[0]: float(row[4]) for row in item_rows(shop.config, shop.catalogue(AFTER), AFTER)}
    assert 0.15 * SMALL["num_items"] < len(told_wrong) < 0.5 * SMALL["num_items"]
    assert told_wrong.keys() & told_right.keys()
    assert max(told_wrong.values()) > 20 * max(told_right.values())
    assert shop.live(DAY).outcome == steady.live(DAY).outcome


def test_bots_are_a_few_ids_with_a_huge_number_of_views_mostly_of_one_item(
    steady: Shop, tmp_path: Path
) -> None:
    shop = shop_with(Bots(DAY, 2, share=0.3))
    whole, now = views(steady), views(shop)
    added = Counter(now["user_id"].to_pylist())
    added.subtract(Counter(whole["user_id"].to_pylist()))
    bots = [user for user, count in added.items() if count > 30]
    assert 2 <= len(bots) <= 6
    theirs = now.filter(pc.is_in(now["user_id"], pa.array(bots)))
    assert len(theirs) / len(now) == pytest.approx(0.3, abs=0.02)
    _, count = Counter(theirs["item_id"].to_pylist()).most_common(1)[0]
    assert 0.5 * len(theirs) < count < len(theirs)
    assert len(set(theirs["item_id"].to_pylist())) > 30
    assert shop.deliver(tmp_path / "feed", DAY)["users"] == len(bots) + len(
        shop.people(DAY).joining(shop.config.offset(DAY))
    )


def test_a_holiday_brings_more_visits_and_presents(steady: Shop) -> None:
    shop = shop_with(Holiday(DAY, 2, lift=2.0))
    assert len(views(shop)) / len(views(steady)) == pytest.approx(2, rel=0.2)
    gifts = gift_categories(shop.config)
    assert category_shares(shop, DAY)[gifts].sum() > 1.4 * category_shares(steady, DAY)[gifts].sum()


@pytest.mark.parametrize(
    ("make", "rule"),
    [
        (lambda: ViralItem(DAY, 0), "a day at least"),
        (lambda: TasteShift(DAY, share=0.0), "share above 0"),
        (lambda: Holiday(DAY, 2, lift=1.0), "more than 1"),
        (lambda: Bots(DAY, 2, share=1.0), "between 0 and 1"),
        (lambda: EventsLost(DAY, 2, share=1.5), "share above 0"),
        (lambda: ColumnBroken(DAY, 2, "colour", ""), "one of user_id"),
        (lambda: ColumnBroken(DAY, 2, "quantity", "nan"), "quantity may become ''"),
        (lambda: PriceFault(DAY, 2, factor=1.0), "factor other than 1"),
        (lambda: PriceFault(DAY, 2, share=0.0), "share above 0"),
        (lambda: shop_with(TasteShift(START)), "after the shop's first day"),
        (
            lambda: Shop(ShopConfig(seed=1, num_categories=24, num_items=300, incidents=(NewCategory(DAY),))),
            "24",
        ),
    ],
)
def test_an_incident_that_cannot_be_is_refused(make: Any, rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        make()
