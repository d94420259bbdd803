"""Lists that a proof compares Foretaste's with: the best there can be, what is popular, and chance.

They are made from what the world knows and need no Foretaste. Every user of the day gets ten items that are for
sale; of two that are as good, the one with the lesser id comes first.

B users of a block · N places for items · M items, by number
"""

from __future__ import annotations

import gzip
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from contracts.feed import delivery_folder
from simulator.home_page import PLACES
from simulator.memory import recall
from simulator.people import user_id
from simulator.shop import Shop
from simulator.today import IntArray, Today

Lists = dict[str, list[str]]

_BLOCK = 512  # of users; bounds memory at so many times the number of items


def optimal_lists(shop: Shop, feed: Path, day: date) -> Lists:
    """For each user the items likeliest to be clicked on a day, by true taste and by what the feed's people have seen.

    Nobody can know as much: it is what recommendations could bring at most, on that day.
    """
    today = shop.today(day)
    items, places = _for_sale(today)
    lists: Lists = {}
    users = np.flatnonzero(today.member_U >= 0)
    for start in range(0, len(users), _BLOCK):
        users_B = users[start : start + _BLOCK]
        numbers_B = today.member_U[users_B]
        pairs = len(users_B), len(items)
        user_BN = np.repeat(users_B, pairs[1])
        chance_BN = today.attraction(user_BN, np.tile(places, pairs[0]))
        chance_BN *= recall(feed, day, numbers_B).appeal(
            np.repeat(numbers_B, pairs[1]), np.tile(items, pairs[0])
        )
        best_BP = np.argsort(-chance_BN.reshape(pairs), axis=1, kind="stable")[:, :PLACES]
        lists |= _named(today, numbers_B, items[best_BP])
    return lists


def random_lists(shop: Shop, day: date) -> Lists:
    """For each user ten items by chance, others every day."""
    today = shop.today(day)
    items, _ = _for_sale(today)
    numbers = today.member_U[today.member_U >= 0]
    rng = today.dice("random lists")
    lists: Lists = {}
    for start in range(0, len(numbers), _BLOCK):
        numbers_B = numbers[start : start + _BLOCK]
        drawn_BP = np.argsort(rng.random((len(numbers_B), len(items))), axis=1)[:, :PLACES]
        lists |= _named(today, numbers_B, items[drawn_BP])
    return lists


def popular_lists(shop: Shop, feed: Path, day: date, days: int = 7) -> Lists:
    """For everyone the items that were looked at most in the last days' deliveries."""
    today = shop.today(day)
    items, _ = _for_sale(today)
    views_M = np.zeros(len(today.catalogue.place_M), np.int64)
    number_of = {today.catalogue.item_id(item): item for item in items.tolist()}
    for days_ago in range(1, days + 1):
        for item, count in _delivered_views(feed, day - timedelta(days=days_ago)).items():
            if item in number_of:
                views_M[number_of[item]] += count
    best_P = items[np.argsort(-views_M[items], kind="stable")[:PLACES]]
    numbers = today.member_U[today.member_U >= 0]
    return _named(today, numbers, np.broadcast_to(best_P, (len(numbers), len(best_P))))


def items_for_sale(shop: Shop, day: date) -> list[str]:
    """The ids of all items that are for sale on a day, in order."""
    today = shop.today(day)
    return [today.catalogue.item_id(item) for item in _for_sale(today)[0].tolist()]


def _for_sale(today: Today) -> tuple[IntArray, IntArray]:
    """The numbers of the items that are for sale, which are in the order of their ids, and their places."""
    items = np.sort(today.shelf.item_N[today.shelf.is_available_N])
    return items, today.catalogue.place_M[items]


def _named(today: Today, numbers: IntArray, items_BP: IntArray) -> Lists:
    return {
        user_id(number): [today.catalogue.item_id(item) for item in items]
        for number, items in zip(numbers.tolist(), items_BP.tolist(), strict=True)
    }


def _delivered_views(feed: Path, day: date) -> dict[str, int]:
    """How often each item was looked at, by what was delivered on a day."""
    file = feed / delivery_folder("events", day) / "events.csv.gz"
    if not file.exists():
        return {}
    with gzip.open(file) as stream:
        wanted = pa_csv.ConvertOptions(include_columns=["item_id", "event_type"])
        events = pa_csv.read_csv(stream, convert_options=wanted)
    counted = pc.value_counts(events.filter(pc.equal(events["event_type"], "view"))["item_id"])
    return {entry["values"]: entry["counts"] for entry in counted.to_pylist()}
