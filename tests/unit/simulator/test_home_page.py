"""What is clicked of a list: what is there, what suits, what is good, promoted or viral."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest

from simulator.config import ShopConfig
from simulator.home_page import click_chances
from simulator.incidents import ViralItem
from simulator.memory import NOTHING
from simulator.people import user_id
from simulator.shop import Shop
from simulator.today import Today

START = date(2026, 1, 5)
DAY = START + timedelta(days=200)
CONFIG = ShopConfig(seed=5, num_users=100, num_items=96, num_categories=8, sessions_per_user=1.0, start=START)


@pytest.fixture(scope="module")
def shop() -> Shop:
    return Shop(CONFIG)


@pytest.fixture(scope="module")
def today(shop: Shop) -> Today:
    return shop.today(DAY)


def chances(today: Today, items: np.ndarray, position: int = 10) -> np.ndarray:
    """How likely each person clicks each of the items, at a low place where nothing is sure."""
    users = np.flatnonzero(today.member_U >= 0)
    pairs = np.repeat(users, len(items)), np.tile(items, len(users))
    return click_chances(today, *pairs, np.full(len(pairs[0]), position), NOTHING).reshape(-1, len(items))


def test_what_is_sold_out_is_shown_and_never_clicked_whoever_has_its_place(shop: Shop, today: Today) -> None:
    catalogue = today.catalogue
    is_gone = (catalogue.stays.until_H <= 200) & (catalogue.stays.until_H > 0)
    gone = np.setdiff1d(catalogue.stays.number_H[is_gone], today.shelf.item_N)
    followed = [item for item in gone.tolist() if today.shelf.item_N[catalogue.place_M[item]] >= 0]
    assert followed
    assert chances(today, gone).max() == 0
    assert chances(today, today.shelf.item_N[catalogue.place_M[followed]]).max() > 0
    ids = [catalogue.item_id(item) for item in gone.tolist()][:10]
    lived = shop.live(DAY, {user_id(number): ids for number in range(CONFIG.num_users)}, "v0001")
    assert set(lived.shown.item_I.tolist()) == set(gone.tolist()[:10])
    assert lived.outcome["clicks"] == 0


def test_what_the_shop_does_not_know_leaves_its_place_to_the_next(shop: Shop, today: Today) -> None:
    item = int(today.shelf.item_N.max())
    ids = ["no such item", today.catalogue.item_id(item)]
    lived = shop.live(DAY, {user_id(number): ids for number in range(CONFIG.num_users)}, "v0001")
    assert set(lived.shown.item_I.tolist()) == {item}
    assert set(lived.shown.position_I.tolist()) == {1}


def test_the_better_of_two_items_that_suit_alike_is_clicked_more(today: Today) -> None:
    places = np.flatnonzero(today.shelf.is_available_N & ~today.shelf.is_promoted_N)
    kinds = today.catalogue.category_N[places] * 10 + today.catalogue.style_N[places]
    alike = places[kinds == np.bincount(kinds).argmax()]
    alike = alike[np.argsort(-today.fashion.appeal_N[alike])][[0, -1]]
    chance = chances(today, today.shelf.item_N[alike])
    ratio = (today.fashion.appeal_N[alike[0]] / today.fashion.appeal_N[alike[1]]) ** 0.25
    assert chance[:, 0] == pytest.approx(ratio * chance[:, 1])
    assert ratio > 1.2


def test_promotions_are_clicked_more(today: Today) -> None:
    promoted = today.shelf.item_N[today.shelf.is_promoted_N]
    plain = replace(today, shelf=replace(today.shelf, is_promoted_N=np.zeros_like(today.shelf.is_promoted_N)))
    assert chances(today, promoted) == pytest.approx(1.25 * chances(plain, promoted))


def test_a_viral_item_is_clicked_by_everybody_whatever_their_taste(today: Today) -> None:
    viral = Shop(replace(CONFIG, incidents=(ViralItem(DAY, 3),))).today(DAY)
    item = viral.shelf.item_N[viral.viral_places]
    now, usual = chances(viral, item), chances(today, item)
    assert np.median(now) > 5 * np.median(usual)
    best = chances(viral, viral.shelf.item_N[viral.shelf.is_available_N]).max()
    assert now.min() > 0.5 * best
