"""Life goes on: people join and leave, items come, sell out and return, prices change, for years."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest

from simulator.config import ShopConfig
from simulator.living import live
from simulator.memory import NOTHING
from simulator.people import make_people
from simulator.shelf import item_rows, make_shelf
from simulator.shop import Shop
from simulator.turnover import BEFORE, Turnover, make_stays

START = date(2026, 1, 5)
CONFIG = ShopConfig(seed=3, num_users=400, num_items=120, start=START)
YEARS = 4


@pytest.fixture(scope="module")
def shop() -> Shop:
    return Shop(CONFIG)


def on(offset: int) -> date:
    return START + timedelta(days=offset)


def test_the_sizes_of_the_shop_stay_about_what_they_are(shop: Shop) -> None:
    for offset in range(0, 365 * YEARS, 200):
        day = on(offset)
        members = shop.people(day).members(offset)
        assert np.count_nonzero(members >= 0) == pytest.approx(CONFIG.num_users, rel=0.06)
        shelf = make_shelf(CONFIG, shop.catalogue(day), day)
        assert np.count_nonzero(shelf.is_available_N) == pytest.approx(CONFIG.num_items, rel=0.1)


def test_most_people_and_items_are_others_after_some_years_and_numbers_follow_on(shop: Shop) -> None:
    last = 365 * YEARS
    people = shop.people(on(last))
    first, later = (set(people.members(offset).tolist()) - {-1} for offset in (0, last))
    assert len(first & later) < 0.25 * CONFIG.num_users
    stays = people.stays
    is_new = stays.first_H > 0
    order = np.lexsort((stays.place_H[is_new], stays.first_H[is_new]))
    assert np.array_equal(stays.number_H[is_new][order], CONFIG.num_users + np.arange(is_new.sum()))


def test_some_items_are_back_under_their_number_and_others_are_followed(shop: Shop) -> None:
    stays = shop.catalogue(on(365 * YEARS)).stays
    per_item = np.bincount(stays.number_H)
    assert 0.2 < np.mean(per_item > 1) < 0.5
    for number in np.flatnonzero(per_item > 1).tolist():
        assert len(set(stays.place_H[stays.number_H == number].tolist())) == 1


def test_later_periods_change_nothing_about_earlier_ones() -> None:
    near, far = make_people(CONFIG, 0), make_people(CONFIG, 3)
    for offset in (0, 100, 363):
        assert np.array_equal(near.members(offset), far.members(offset))
        assert np.array_equal(near.joining(offset), far.joining(offset))
    told = [item_rows(CONFIG, Shop(CONFIG).catalogue(on(offset)), on(200)) for offset in (200, 364 * 2 + 1)]
    assert told[0] == told[1]


def test_nobody_holds_a_place_while_another_does(shop: Shop) -> None:
    for stays in (shop.people(on(700)).stays, shop.catalogue(on(700)).stays):
        order = np.lexsort((stays.first_H, stays.place_H))
        place, first, until = (values[order] for values in (stays.place_H, stays.first_H, stays.until_H))
        is_same = place[1:] == place[:-1]
        assert (first[1:] >= until[:-1])[is_same].all()
        assert (until > first).all()


def test_places_that_open_later_leave_the_others_alone() -> None:
    turnover = Turnover("trial", mean_days=60, mean_gap_days=5, known_ahead_days=3, return_share=0.3)
    steady = make_stays(CONFIG, turnover, 50, 0)
    opened = make_stays(CONFIG, turnover, 50, 0, [(100, 5)])
    for offset in (0, 50, 99):
        assert np.array_equal(steady.holders(offset, 50), opened.holders(offset, 55)[:50])
        assert (opened.holders(offset, 55)[50:] == -1).all()
    assert (opened.holders(100, 55)[50:] >= 0).all()
    assert (steady.known_H[:50] == BEFORE).all()


def test_the_feed_tells_of_an_item_when_it_comes_sells_out_and_returns(shop: Shop) -> None:
    catalogue = shop.catalogue(on(300))
    stays = catalogue.stays
    is_later = (stays.first_H > 3) & (stays.first_H < 300)
    returning = next(
        row for row in np.flatnonzero(is_later) if (stays.number_H[:row] == stays.number_H[row]).any()
    )
    number, first = int(stays.number_H[returning]), int(stays.first_H[returning])
    gone = int(stays.until_H[:returning][stays.number_H[:returning] == number][-1])

    def told(offset: int) -> tuple[str, ...]:
        rows = {row[0]: row for row in item_rows(CONFIG, shop.catalogue(on(offset)), on(offset))}
        return rows[catalogue.item_id(number)][5:7]

    assert told(gone)[1] == f"{on(gone)}T00:00:00Z"
    assert told(first - 3) == (f"{on(first)}T00:00:00Z", "")
    coming = int(np.flatnonzero(is_later & (stays.number_H >= CONFIG.num_items))[0])
    row = [row[0] for row in item_rows(CONFIG, catalogue, on(int(stays.first_H[coming]) - 3))]
    assert catalogue.item_id(int(stays.number_H[coming])) in row


def test_only_items_for_sale_are_looked_at(shop: Shop) -> None:
    lived = shop.live(on(500))
    shelf = make_shelf(CONFIG, shop.catalogue(on(500)), on(500))
    for_sale = {shop.catalogue(on(500)).item_id(item) for item in shelf.item_N[shelf.is_available_N].tolist()}
    assert (shelf.item_N < 0).any()
    assert set(lived.now["item_id"].to_pylist()) <= for_sale | {"postage", "gift-wrap"}


def test_prices_change_every_now_and_then_and_promotions_come_and_go(shop: Shop) -> None:
    catalogue = shop.catalogue(on(0))
    prices = np.stack([catalogue.prices(offset) for offset in range(360)])[:, : CONFIG.num_items]
    promoted = np.stack([catalogue.is_promoted(offset) for offset in range(360)])[:, : CONFIG.num_items]
    assert promoted.mean() == pytest.approx(1 / 12, rel=0.1)
    ordinary = np.where(promoted, -1, prices)
    num_prices = [len(set(ordinary[:, item].tolist()) - {-1}) for item in range(CONFIG.num_items)]
    assert 3 <= np.median(num_prices) <= 4
    both = promoted[1:] & ~promoted[:-1]  # the day on which a promotion begins
    cut = prices[1:][both] / prices[:-1][both]
    assert np.median(cut) == pytest.approx(0.8, abs=0.01)


def test_whoever_joins_has_come_to_look_at_something(shop: Shop) -> None:
    days = [offset for offset in range(1, 60) if len(shop.people(on(300)).joining(offset))][:10]
    assert len(days) == 10
    for offset in days:
        visiting = set(shop.live(on(offset)).arrivals.number_V.tolist())
        assert set(shop.people(on(300)).joining(offset).tolist()) <= visiting


def test_what_is_promoted_is_looked_at_and_bought_more() -> None:
    shop = Shop(ShopConfig(seed=3, num_users=900, num_items=300, sessions_per_user=3.0, start=START))
    today = shop.today(on(10))
    nobody = np.zeros(len(today.member_U), bool)
    plain = replace(today, shelf=replace(today.shelf, is_promoted_N=np.zeros_like(today.shelf.is_promoted_N)))
    promoted = today.shelf.item_N[today.shelf.is_promoted_N].tolist()
    ids = {today.catalogue.item_id(item) for item in promoted}
    counts = []
    for each in (plain, today):
        events = live(each, nobody, {}, None, lambda _: NOTHING).now
        kinds = zip(events["item_id"].to_pylist(), events["event_type"].to_pylist(), strict=True)
        counts.append(Counter(kind for item, kind in kinds if item in ids))
    assert counts[1]["view"] > 1.15 * counts[0]["view"]
    assert counts[1]["cart"] > 1.3 * counts[0]["cart"]
