"""Fatigue: what is shown again and again without a click appeals less and less, for a fortnight."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest

from simulator.config import ShopConfig
from simulator.memory import NOTHING, recall, remember
from simulator.people import user_id
from simulator.shop import Shop

START = date(2026, 1, 5)


def shown(feed: Path, offset: int, *rows: tuple[int, int, bool]) -> None:
    users, items, is_clicked = (np.array(values) for values in zip(*rows, strict=True))
    remember(feed, START + timedelta(days=offset), users, items, is_clicked.astype(bool))


def appeal(feed: Path, offset: int, user: int, item: int) -> float:
    memory = recall(feed, START + timedelta(days=offset), np.array([user]))
    return float(memory.appeal(np.array([user]), np.array([item]))[0])


def test_each_showing_without_a_click_takes_some_of_the_appeal(tmp_path: Path) -> None:
    feed = tmp_path / "feed"
    shown(feed, 0, (1, 5, False), (1, 6, False), (2, 5, False))
    shown(feed, 1, (1, 5, False), (1, 5, False))
    assert appeal(feed, 2, 1, 5) == pytest.approx(0.85**3)
    assert appeal(feed, 2, 1, 6) == pytest.approx(0.85)
    assert appeal(feed, 2, 2, 5) == pytest.approx(0.85)
    assert appeal(feed, 2, 2, 6) == 1.0
    assert appeal(feed, 1, 1, 5) == pytest.approx(0.85)  # the day itself is not remembered yet


def test_a_click_makes_it_fresh_again(tmp_path: Path) -> None:
    feed = tmp_path / "feed"
    shown(feed, 0, (1, 5, False))
    shown(feed, 1, (1, 5, False), (1, 5, True))
    assert appeal(feed, 2, 1, 5) == 1.0
    shown(feed, 2, (1, 5, False))
    assert appeal(feed, 3, 1, 5) == pytest.approx(0.85)


def test_after_a_fortnight_it_is_forgotten(tmp_path: Path) -> None:
    feed = tmp_path / "feed"
    shown(feed, 0, (1, 5, False))
    assert appeal(feed, 14, 1, 5) == pytest.approx(0.85)
    assert appeal(feed, 15, 1, 5) == 1.0


def test_who_was_shown_nothing_tires_of_nothing(tmp_path: Path) -> None:
    assert appeal(tmp_path / "feed", 3, 1, 5) == 1.0
    assert NOTHING.appeal(np.array([1]), np.array([5])).tolist() == [1.0]


def test_people_click_the_same_list_less_every_day_and_a_day_can_be_lived_by_itself(tmp_path: Path) -> None:
    config = ShopConfig(
        seed=5, num_users=80, num_items=64, num_categories=8, sessions_per_user=1.5, start=START
    )
    shop = Shop(config)
    item_ids = [shop.catalogue(START).item_id(item) for item in range(10)]
    lists = {user_id(number): item_ids for number in range(config.num_users)}
    days = [START + timedelta(days=offset) for offset in range(3)]
    told = [shop.deliver(tmp_path / "one" / "feed", day, lists, "v0001") for day in days]
    per_visit = [each["expected_clicks"] / each["visits"] for each in told]
    assert per_visit[2] < 0.9 * per_visit[0]
    for day in days:
        Shop(config).deliver(tmp_path / "many" / "feed", day, lists, "v0001")
    Shop(config).deliver(tmp_path / "many" / "feed", days[-1], lists, "v0001")
    one, many = (
        {
            path.relative_to(tmp_path / name): path.read_bytes()
            for path in (tmp_path / name).rglob("*.*")
            if path.is_file()
        }
        for name in ("one", "many")
    )
    assert one == many
