"""What is for sale on one day, at which price, and what the shop tells of it.

N places for items · M items, by number
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt

from simulator.catalogue import Catalogue
from simulator.config import ShopConfig, uniform_hash
from simulator.incidents import PriceFault

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

_NEVER = 1_000_000


@dataclass(frozen=True)
class Shelf:
    """The catalogue as it is on one day."""

    item_N: IntArray  # -1 where nothing is for sale
    is_available_N: BoolArray
    is_promoted_N: BoolArray
    cents_M: IntArray  # what is paid
    told_cents_M: IntArray  # what the shop tells; the same, but for a price fault


def make_shelf(config: ShopConfig, catalogue: Catalogue, day: date) -> Shelf:
    """What the catalogue offers on a day."""
    offset = config.offset(day)
    item_N = catalogue.stays.holders(offset, len(catalogue.category_N))
    cents_M = catalogue.prices(offset)
    return Shelf(
        item_N=item_N,
        is_available_N=item_N >= 0,
        is_promoted_N=catalogue.is_promoted(offset)[item_N] & (item_N >= 0),
        cents_M=cents_M,
        told_cents_M=_told(config, catalogue, day, cents_M),
    )


def item_rows(config: ShopConfig, catalogue: Catalogue, day: date) -> list[tuple[str, ...]]:
    """What the shop says of its items on a day: those that are new to it or that changed since yesterday."""
    is_known_M, from_M, until_M, cents_M = _state(config, catalogue, day)
    is_told_M = is_known_M
    if day > config.start:
        was_known_M, from_before_M, until_before_M, before_M = _state(
            config, catalogue, day - timedelta(days=1)
        )
        is_sold_M = until_M == _NEVER  # of what is gone, no price is told
        is_told_M = is_known_M & (
            ~was_known_M
            | (from_M != from_before_M)
            | (until_M != until_before_M)
            | (is_sold_M & (cents_M != before_M))
        )
    return [
        (
            catalogue.item_id(item),
            catalogue.title(item),
            catalogue.categories_C[catalogue.category_N[catalogue.place_M[item]]],
            catalogue.brand(item),
            f"{cents_M[item] / 100:.2f}",
            _midnight(config, from_M[item]) if from_M[item] > 0 else "",
            _midnight(config, until_M[item]) if until_M[item] != _NEVER else "",
            "",
        )
        for item in np.flatnonzero(is_told_M).tolist()
    ]


def _state(
    config: ShopConfig, catalogue: Catalogue, day: date
) -> tuple[BoolArray, IntArray, IntArray, IntArray]:
    """What the shop knows of each item on a day: is it known, from when and until when is it sold, for how much?"""
    stays, offset = catalogue.stays, config.offset(day)
    from_M = np.full(len(catalogue.place_M), _NEVER)
    until_M = from_M.copy()
    is_known_H = stays.known_H <= offset
    number_H = stays.number_H[is_known_H]  # in the order of time: the last stay counts
    from_M[number_H] = stays.first_H[is_known_H]
    # That it will sell out, nobody knows before.
    until_H = stays.until_H[is_known_H]
    until_M[number_H] = np.where(until_H <= offset, until_H, _NEVER)
    return from_M != _NEVER, from_M, until_M, _told(config, catalogue, day, catalogue.prices(offset))


def _told(config: ShopConfig, catalogue: Catalogue, day: date, cents_M: IntArray) -> IntArray:
    items_M = np.arange(len(cents_M))
    for fault in config.incidents_of(PriceFault, day):
        since_M = np.full(len(cents_M), config.offset(fault.day))
        is_wrong_M = uniform_hash(catalogue.hash_key + 5, items_M, since_M) < fault.share
        cents_M = np.where(is_wrong_M, np.round(cents_M * fault.factor).astype(np.int64), cents_M)
    return cents_M


def _midnight(config: ShopConfig, offset: int) -> str:
    return f"{config.start + timedelta(days=int(offset))}T00:00:00Z"
