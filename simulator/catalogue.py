"""What the shop sells: items with category, style, price, a time on sale, and what is looked at after them.

N items · C categories · S styles · K followers of an item
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt

from simulator.config import ShopConfig, generator, uniform_hash

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]

NUM_STYLES = 4
#: How likely each of an item's followers is the one that is looked at.
FOLLOWER_SHARES = np.array([0.36, 0.24, 0.16, 0.11, 0.08, 0.05])
SERVICE_ITEMS = ("postage", "gift-wrap")
SERVICE_CENTS = np.array([490, 300])
#: The shop tells of a new item so many days before it can be bought.
ANNOUNCED_DAYS = 3
NEVER = 1_000_000

_POPULARITY_EXPONENT = 1.15  # inside a category; with the categories' own shares 0.7-1.0 over all items
_STYLE_LIFT = 8.0  # an item of a person's style appeals so many times more
_NOUNS = (
    "kettle", "lamp", "rug", "mug", "novel", "jacket", "racket", "planter", "puzzle", "headphones", "serum", "backpack",
    "chair", "notebook", "necklace", "tent", "drill", "pillow", "sneaker", "watch", "teapot", "easel", "leash", "bicycle",
)  # fmt: skip
_CATEGORIES = (
    "kitchen", "lighting", "textiles", "tableware", "books", "clothing", "sports", "garden", "toys", "audio", "beauty", "bags",
    "furniture", "stationery", "jewellery", "camping", "tools", "bedding", "shoes", "watches", "tea", "art", "pets", "cycling",
)  # fmt: skip
_ADJECTIVES = ("classic", "rustic", "sleek", "playful")  # one a style: a title tells what the item is like
_COLOURS = (
    "amber",
    "blue",
    "coral",
    "dusk",
    "ebony",
    "fern",
    "gold",
    "hazel",
    "ivory",
    "jade",
    "lilac",
    "moss",
    "navy",
    "olive",
)
_BRANDS = (
    "Aster",
    "Birke",
    "Calla",
    "Dorne",
    "Elmo",
    "Farn",
    "Ginko",
    "Holm",
    "Iris",
    "Juno",
    "Kiefer",
    "Linde",
)


@dataclass(frozen=True)
class Catalogue:
    """The items; those that come later are in it from the start, known only to the world."""

    item_ids_N: npt.NDArray[np.str_]
    titles_N: list[str]
    categories_C: list[str]
    brands_N: list[str]
    category_N: IntArray
    style_N: IntArray
    price_cents_N: IntArray
    on_sale_from_N: IntArray  # days since the start
    sold_out_N: IntArray  # the first day on which it is gone
    hash_key: int

    def is_available(self, offset: int) -> npt.NDArray[np.bool_]:
        """What can be bought, so many days after the start."""
        return (self.on_sale_from_N <= offset) & (offset < self.sold_out_N)

    def is_announced(self, offset: int) -> npt.NDArray[np.bool_]:
        return self.on_sale_from_N - ANNOUNCED_DAYS <= offset

    def prices(self, offset: int) -> IntArray:
        """Cents on that day: each item has its own weeks, and one week in twelve it costs a fifth less."""
        items_N = np.arange(len(self.item_ids_N))
        week_N = (offset + 3 * items_N) // 7
        is_reduced_N = uniform_hash(self.hash_key, items_N, week_N) < 1 / 12
        return np.where(is_reduced_N, self.price_cents_N * 4 // 5, self.price_cents_N)


@dataclass(frozen=True)
class Fashion:
    """What appeals in one period: a shift of taste replaces it."""

    appeal_N: FloatArray  # how often an item is chosen inside its category
    followers_NK: IntArray  # what is looked at after an item


def make_catalogue(config: ShopConfig) -> Catalogue:
    """The catalogue of a seed: the same in every process."""
    rng = generator(config, "catalogue")
    n, num_categories = config.num_items, config.num_categories
    category_N = np.arange(n) % num_categories
    style_N = rng.integers(0, NUM_STYLES, n)
    level_C = rng.lognormal(np.log(2200), 0.6, num_categories)
    price_N = np.round(level_C[category_N] * rng.lognormal(0, 0.45, n), -1).astype(np.int64)
    on_sale_from_N = np.where(rng.random(n) < 0.08, rng.integers(5, 85, n), -NEVER)
    is_ending_N = (rng.random(n) < 0.04) & (on_sale_from_N < 0)
    colours = rng.integers(0, len(_COLOURS), n)
    brands = rng.integers(0, len(_BRANDS), n)
    return Catalogue(
        item_ids_N=np.array([f"i{item:05d}" for item in range(n)]),
        titles_N=[
            f"{_COLOURS[colours[item]]} {_ADJECTIVES[style_N[item]]} {_NOUNS[category_N[item]]} No. {item}".capitalize()
            for item in range(n)
        ],
        categories_C=list(_CATEGORIES[:num_categories]),
        brands_N=[_BRANDS[brand] for brand in brands],
        category_N=category_N,
        style_N=style_N,
        price_cents_N=np.maximum(price_N - 5, 95),
        on_sale_from_N=on_sale_from_N,
        sold_out_N=np.where(is_ending_N, rng.integers(10, 85, n), NEVER),
        hash_key=int(rng.integers(2**62)),
    )


def make_fashions(config: ShopConfig, catalogue: Catalogue) -> tuple[Fashion, Fashion]:
    """What appeals before the shift, and after it: new favourites and new followers for a share of the items."""
    before = _fashion(config, catalogue, "before")
    fresh = _fashion(config, catalogue, "after")
    is_moved_N = generator(config, "moved items").random(config.num_items) < config.shifted_share
    return before, Fashion(
        appeal_N=np.where(is_moved_N, fresh.appeal_N, before.appeal_N),
        followers_NK=np.where(is_moved_N[:, None], fresh.followers_NK, before.followers_NK),
    )


def _fashion(config: ShopConfig, catalogue: Catalogue, period: str) -> Fashion:
    rng = generator(config, f"fashion {period}")
    num_in_category = np.bincount(catalogue.category_N, minlength=config.num_categories)
    rank_N = np.empty(config.num_items, np.int64)
    for category, count in enumerate(num_in_category):
        rank_N[catalogue.category_N == category] = rng.permutation(count)
    appeal_N = np.power(rank_N + 1.0, -_POPULARITY_EXPONENT).astype(np.float64)
    followers_NK = np.empty((config.num_items, len(FOLLOWER_SHARES)), np.int64)
    for category in range(config.num_categories):
        members = np.flatnonzero(catalogue.category_N == category)
        for style in range(NUM_STYLES):
            own = members[catalogue.style_N[members] == style]
            weight = appeal_N[members] * np.where(catalogue.style_N[members] == style, _STYLE_LIFT, 1)
            followers_NK[own] = rng.choice(
                members, size=(len(own), len(FOLLOWER_SHARES)), p=weight / weight.sum()
            )
    # The fourth follower comes from anywhere: what goes with it rather than what is like it.
    followers_NK[:, 3] = rng.choice(config.num_items, size=config.num_items, p=appeal_N / appeal_N.sum())
    return Fashion(appeal_N, followers_NK)


def style_weights(catalogue: Catalogue, appeal_N: FloatArray) -> FloatArray:
    """How much each item appeals to people of each style, weights_SN."""
    is_own_SN = catalogue.style_N[None, :] == np.arange(NUM_STYLES)[:, None]
    return appeal_N * np.where(is_own_SN, _STYLE_LIFT, 1.0)


def item_rows(catalogue: Catalogue, config: ShopConfig, day: date) -> list[tuple[str, ...]]:
    """What the shop says of its items on a day: those that are new to it or that changed since yesterday."""
    offset = (day - config.start).days
    known_N = catalogue.is_announced(offset)
    prices_N = catalogue.prices(offset)
    if offset == 0:
        is_told_N = known_N
    else:
        is_new_N = known_N & ~catalogue.is_announced(offset - 1)
        is_told_N = known_N & (
            is_new_N | (prices_N != catalogue.prices(offset - 1)) | (catalogue.sold_out_N == offset)
        )
    rows: list[tuple[str, ...]] = []
    for item in np.flatnonzero(is_told_N):
        starts, ends = int(catalogue.on_sale_from_N[item]), int(catalogue.sold_out_N[item])
        category = catalogue.categories_C[catalogue.category_N[item]]
        rows.append(
            (
                str(catalogue.item_ids_N[item]),
                catalogue.titles_N[item],
                category,
                catalogue.brands_N[item],
                f"{prices_N[item] / 100:.2f}",
                _midnight(config.start + timedelta(days=starts)) if starts > 0 else "",
                _midnight(config.start + timedelta(days=ends)) if ends <= offset else "",
                "",
            )
        )
    return rows


def _midnight(day: date) -> str:
    return f"{day.isoformat()}T00:00:00Z"
