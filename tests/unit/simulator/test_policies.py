"""What the world knows: the best lists there can be, and what would have happened without any."""

from __future__ import annotations

import csv
import gzip
from collections import Counter
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simulator.config import ShopConfig
from simulator.home_page import click_chances
from simulator.memory import recall
from simulator.people import user_id
from simulator.policies import optimal_lists, popular_lists, random_lists
from simulator.shop import Shop

START = date(2026, 1, 5)
DAY = START + timedelta(days=3)
CONFIG = ShopConfig(seed=5, num_users=150, num_items=96, num_categories=8, sessions_per_user=1.0, start=START)


@pytest.fixture(scope="module")
def shop() -> Shop:
    return Shop(CONFIG)


@pytest.fixture(scope="module")
def feed(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three days, the last two with random lists."""
    feed = tmp_path_factory.mktemp("policies") / "feed"
    shop.deliver(feed, START)
    for offset in (1, 2):
        day = START + timedelta(days=offset)
        shop.deliver(feed, day, random_lists(shop, day), "v0001")
    return feed


def test_every_policy_lists_ten_items_that_are_for_sale_for_every_user(shop: Shop, feed: Path) -> None:
    today = shop.today(DAY)
    for_sale = {today.catalogue.item_id(item) for item in today.shelf.item_N.tolist() if item >= 0}
    users = {user_id(number) for number in today.member_U.tolist() if number >= 0}
    policies = [optimal_lists(shop, feed, DAY), random_lists(shop, DAY), popular_lists(shop, feed, DAY)]
    for lists in policies:
        assert lists.keys() == users
        assert all(len(set(items)) == len(items) == 10 for items in lists.values())
        assert {item for items in lists.values() for item in items} <= for_sale
    again = [optimal_lists(Shop(CONFIG), feed, DAY), random_lists(Shop(CONFIG), DAY)]
    assert policies[:2] == again


def test_the_optimum_holds_the_likeliest_clicks_by_brute_force(shop: Shop, feed: Path) -> None:
    today = shop.today(DAY)
    lists = optimal_lists(shop, feed, DAY)
    items = np.sort(today.shelf.item_N[today.shelf.item_N >= 0])
    for place in np.flatnonzero(today.member_U >= 0)[:20].tolist():
        number = int(today.member_U[place])
        memory = recall(feed, DAY, np.array([number]))
        everyone, tops = np.full(len(items), place), np.full(len(items), 2)
        chances = click_chances(today, everyone, items, tops, memory)
        best = sorted(zip(-chances, items, strict=True))[:10]
        assert lists[user_id(number)] == [today.catalogue.item_id(int(item)) for _, item in best]


def test_popular_lists_hold_what_the_feed_tells(shop: Shop, feed: Path) -> None:
    today = shop.today(DAY)
    for_sale = {today.catalogue.item_id(item) for item in today.shelf.item_N.tolist() if item >= 0}
    views: Counter[str] = Counter()
    for path in sorted(feed.glob("events/*/events.csv.gz")):
        with gzip.open(path, "rt", newline="") as stream:
            views.update(row["item_id"] for row in csv.DictReader(stream) if row["event_type"] == "view")
    ranked = sorted((item for item in views if item in for_sale), key=lambda item: (-views[item], item))
    lists = popular_lists(shop, feed, DAY)
    assert set(map(tuple, lists.values())) == {tuple(ranked[:10])}
    assert popular_lists(shop, feed, DAY, days=1) != lists


def test_the_better_the_lists_the_more_clicks_are_to_be_expected(shop: Shop, feed: Path) -> None:
    def expected(lists: dict[str, list[str]]) -> float:
        outcome = shop.live(DAY, lists, "v0001", feed).outcome
        return float(outcome["expected_clicks"] / outcome["visits"])

    optimal = expected(optimal_lists(shop, feed, DAY))
    popular, random = expected(popular_lists(shop, feed, DAY)), expected(random_lists(shop, DAY))
    assert optimal > 3 * popular > 3 * random


def test_the_outcome_is_what_the_events_tell(shop: Shop, feed: Path) -> None:
    lists = optimal_lists(shop, feed, DAY)
    lived = shop.live(DAY, lists, "v0001", feed)
    events = [*lived.now.to_pylist(), *lived.held_back.to_pylist()]
    home = [event for event in events if event["surface"] == "home"]
    outcome = lived.outcome
    assert outcome["visits"] == len({event["session_id"] for event in home})
    assert outcome["clicks"] == outcome["home_views"] == sum(event["event_type"] == "view" for event in home)
    assert outcome["expected_clicks"] == pytest.approx(outcome["clicks"], rel=0.2)
    visits = {event["session_id"] for event in home}
    views = [event for event in events if event["event_type"] == "view"]
    assert outcome["views"] == sum(event["session_id"] in visits for event in views)
    bought = [event for event in events if event["event_type"] == "purchase"]
    goods = [event for event in bought if event["item_id"] not in ("postage", "gift-wrap")]
    assert outcome["orders"] == len({event["session_id"] for event in goods}) > 0
    paid = sum(round(100 * event["unit_price"]) * event["quantity"] for event in bought)
    assert outcome["revenue_cents"] == paid


def by_session(shop: Shop, lists: dict[str, list[str]] | None) -> dict[str, Any]:
    """What each visit did, apart from what it was shown; without the numbers that events are given in the end."""
    lived = shop.live(DAY, lists, "v0001")
    found: dict[str, Any] = {}
    for event in [*lived.now.to_pylist(), *lived.held_back.to_pylist()]:
        if event["event_type"] != "impression" and event["session_id"]:
            told = {key: value for key, value in event.items() if key not in ("event_id", "due")}
            found.setdefault(event["session_id"], []).append(told)
    return {name: sorted(told, key=repr) for name, told in found.items()}


def test_who_clicks_nothing_does_what_they_would_have_done_without_a_list(shop: Shop, feed: Path) -> None:
    without = by_session(shop, None)
    for lists in (random_lists(shop, DAY), optimal_lists(shop, feed, DAY)):
        shown = by_session(shop, lists)
        assert shown.keys() == without.keys()
        clicked = {name for name, told in shown.items() if any(event["surface"] == "home" for event in told)}
        assert 0 < len(clicked) < len(shown)
        assert [name for name in shown.keys() - clicked if shown[name] != without[name]] == []


def test_what_others_are_shown_changes_nothing_for_anybody(shop: Shop) -> None:
    lists, others = random_lists(shop, DAY), random_lists(shop, START)
    users = sorted(lists)
    mixed = {user: lists[user] if nth % 2 else others[user][:7] for nth, user in enumerate(users)}
    same = {user for nth, user in enumerate(users) if nth % 2}
    first, second = by_session(shop, lists), by_session(shop, mixed)
    theirs = [name for name, told in first.items() if told[0]["user_id"] in same]
    assert sum(any(event["surface"] == "home" for event in first[name]) for name in theirs) > 10
    assert [name for name in theirs if first[name] != second[name]] == []
    assert first != second


def test_arms_that_show_the_same_deliver_the_same_bytes(shop: Shop, tmp_path: Path) -> None:
    for arm in ("a", "b"):
        shop.deliver(tmp_path / arm / "feed", START)
        shop.deliver(tmp_path / arm / "feed", START + timedelta(days=1), random_lists(shop, DAY), "v0001")
    first, second = (
        [path.read_bytes() for path in sorted((tmp_path / arm).rglob("*")) if path.is_file()]
        for arm in ("a", "b")
    )
    assert first == second
