"""What the shop sells: items that come, sell out and return for years, each in a place with a category and a style.

N places for items · M items, by number · C categories · H stays
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from simulator.config import ShopConfig, generator, uniform_hash
from simulator.incidents import NewCategory
from simulator.names import ADJECTIVES, BRANDS, CATEGORIES, COLOURS, NOUNS
from simulator.tastes import NUM_STYLES
from simulator.turnover import Stays, Turnover, make_stays

IntArray = npt.NDArray[np.int64]

SERVICE_ITEMS = ("postage", "gift-wrap")
SERVICE_CENTS = np.array([490, 300])
#: The shop tells of a new item so many days before it can be bought.
ANNOUNCED_DAYS = 3

_TURNOVER = Turnover(
    "items", mean_days=600, mean_gap_days=10, known_ahead_days=ANNOUNCED_DAYS, return_share=0.3
)
_CATEGORY_CENTS, _CATEGORY_SPREAD, _ITEM_SPREAD, _LEAST_CENTS = 2200, 0.6, 0.45, 95
# Each item has weeks of its own; in some of them it is on promotion, and every now and then its price changes.
_PROMOTED_SHARE, _PROMOTION = 1 / 12, 0.8
_DAYS_OF_A_PRICE, _PRICE_SWING = 120, 0.1


@dataclass(frozen=True, eq=False)
class Catalogue:
    """The items; those that come later are in it too, known only to the world."""

    stays: Stays
    place_M: IntArray  # where each item lives
    categories_C: list[str]
    category_N: IntArray
    style_N: IntArray
    base_cents_M: npt.NDArray[np.float64]
    hash_key: int

    def item_id(self, item: int) -> str:
        return f"i{item:05d}"

    def title(self, item: int) -> str:
        """What an item is called: its style and its kind, so that a title tells what the item is like."""
        place = int(self.place_M[item])
        kind = f"{ADJECTIVES[self.style_N[place]]} {NOUNS[self.category_N[place]]}"
        return f"{self._one_of(COLOURS, 1, item)} {kind} No. {item}".capitalize()

    def brand(self, item: int) -> str:
        return self._one_of(BRANDS, 2, item)

    def is_promoted(self, offset: int) -> npt.NDArray[np.bool_]:
        """Which items are on promotion, is_promoted_M."""
        items_M = np.arange(len(self.place_M))
        return uniform_hash(self.hash_key, items_M, (offset + 3 * items_M) // 7) < _PROMOTED_SHARE

    def prices(self, offset: int) -> IntArray:
        """What each item costs on a day, cents_M."""
        items_M = np.arange(len(self.place_M))
        period_M = -1 - (offset + 11 * items_M) // _DAYS_OF_A_PRICE  # other dice than a promotion's
        swing_M = 1 + _PRICE_SWING * (2 * uniform_hash(self.hash_key, items_M, period_M) - 1)
        cents_M = np.maximum(np.round(self.base_cents_M * swing_M, -1).astype(np.int64) - 5, _LEAST_CENTS)
        return np.where(self.is_promoted(offset), np.round(cents_M * _PROMOTION).astype(np.int64), cents_M)

    def _one_of(self, names: tuple[str, ...], what: int, item: int) -> str:
        dice = uniform_hash(self.hash_key + what, np.array([item]), np.array([0]))
        return names[int(dice[0] * len(names))]


def make_catalogue(config: ShopConfig, period: int, new_categories: tuple[NewCategory, ...]) -> Catalogue:
    """The catalogue of a seed up to the end of a period and beyond: the same in every process."""
    items_each = config.num_items // config.num_categories
    openings = [(config.offset(new.day), items_each) for new in new_categories]
    stays = make_stays(config, _TURNOVER, config.num_items, period, openings)
    num_categories = config.num_categories + len(openings)
    rng = generator(config, "catalogue")
    hash_key = int(rng.integers(2**62))
    category_N = np.concatenate(
        [
            np.arange(config.num_items) % config.num_categories,
            *(np.full(size, config.num_categories + nth) for nth, (_, size) in enumerate(openings)),
        ]
    )
    level_C = _CATEGORY_CENTS * rng.lognormal(0, _CATEGORY_SPREAD, num_categories)
    return Catalogue(
        stays=stays,
        place_M=stays.place_M,
        categories_C=list(CATEGORIES[:num_categories]),
        category_N=category_N,
        style_N=np.concatenate(
            [
                generator(config, "styles").integers(0, NUM_STYLES, config.num_items),
                *(generator(config, f"styles {day}").integers(0, NUM_STYLES, size) for day, size in openings),
            ]
        ),
        base_cents_M=level_C[category_N[stays.place_M]] * np.exp(_ITEM_SPREAD * _normal(hash_key, stays)),
        hash_key=hash_key,
    )


def _normal(key: int, stays: Stays) -> npt.NDArray[np.float64]:
    """A normal number for each item, whatever items come after it (Box and Muller)."""
    items_M = np.arange(len(stays.place_M))
    radius_M, angle_M = (uniform_hash(key + 3, items_M, np.full(len(items_M), which)) for which in (1, 2))
    return np.asarray(np.sqrt(-2 * np.log1p(-radius_M)) * np.cos(2 * np.pi * angle_M))
