"""What appeals in a period: how often each item is chosen, and what is looked at after it.

N places for items · S styles · K followers of an item
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from simulator.catalogue import Catalogue
from simulator.config import ShopConfig, generator
from simulator.incidents import TasteShift
from simulator.tastes import NUM_STYLES

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]

#: How likely each of an item's followers is the one that is looked at.
FOLLOWER_SHARES = np.array([0.36, 0.24, 0.16, 0.11, 0.08, 0.05])

_POPULARITY_EXPONENT = 1.3  # inside a category; with the categories' own shares 0.7-1.0 over all items
_STYLE_LIFT = 8.0  # an item of a person's style is chosen so many times more
#: How much of an item's appeal shows in the clicks on it.
_QUALITY_EXPONENT = 0.25


@dataclass(frozen=True)
class Fashion:
    """What appeals in one period: a shift of taste replaces it for a share of the places."""

    appeal_N: FloatArray  # how often an item is chosen inside its category
    followers_NK: IntArray  # what is looked at after an item

    def quality(self) -> FloatArray:
        """How much an item is clicked compared to the best of its kind, quality_N."""
        return np.asarray(self.appeal_N**_QUALITY_EXPONENT)


def make_fashion(config: ShopConfig, catalogue: Catalogue, shifts: tuple[TasteShift, ...]) -> Fashion:
    """What appeals after some shifts, to which each has brought new favourites and new followers."""
    fashion = _drawn(config, catalogue, "before")
    for nth, shift in enumerate(shifts, start=1):
        fresh = _drawn(config, catalogue, f"after {nth}")
        is_moved_N = generator(config, f"moved items {nth}").random(len(catalogue.category_N)) < shift.share
        fashion = Fashion(
            appeal_N=np.where(is_moved_N, fresh.appeal_N, fashion.appeal_N),
            followers_NK=np.where(is_moved_N[:, None], fresh.followers_NK, fashion.followers_NK),
        )
    return fashion


def style_weights(catalogue: Catalogue, appeal_N: FloatArray) -> FloatArray:
    """How often each item is chosen by people of each style, weights_SN."""
    is_own_SN = catalogue.style_N[None, :] == np.arange(NUM_STYLES)[:, None]
    return appeal_N * np.where(is_own_SN, _STYLE_LIFT, 1.0)


def _drawn(config: ShopConfig, catalogue: Catalogue, period: str) -> Fashion:
    rng = generator(config, f"fashion {period}")
    num_places, num_categories = len(catalogue.category_N), len(catalogue.categories_C)
    appeal_N = np.zeros(num_places)
    followers_NK = np.zeros((num_places, len(FOLLOWER_SHARES)), np.int64)
    _draw_categories(rng, catalogue, range(config.num_categories), appeal_N, followers_NK)
    # The fourth follower comes from anywhere: what goes with it rather than what is like it.
    followers_NK[: config.num_items, 3] = rng.choice(
        num_places, size=config.num_items, p=appeal_N / appeal_N.sum()
    )
    # New categories come after the old ones and one by one: they change nothing that was drawn before them.
    for category in range(config.num_categories, num_categories):
        _draw_categories(rng, catalogue, range(category, category + 1), appeal_N, followers_NK)
    return Fashion(appeal_N, followers_NK)


def _draw_categories(
    rng: np.random.Generator,
    catalogue: Catalogue,
    categories: range,
    appeal_N: FloatArray,
    followers_NK: IntArray,
) -> None:
    """Ranks and followers of the items of some categories, written into the arrays."""
    members_of = {category: np.flatnonzero(catalogue.category_N == category) for category in categories}
    for members in members_of.values():
        appeal_N[members] = np.power(rng.permutation(len(members)) + 1.0, -_POPULARITY_EXPONENT)
    for members in members_of.values():
        for style in range(NUM_STYLES):
            own = members[catalogue.style_N[members] == style]
            weight = appeal_N[members] * np.where(catalogue.style_N[members] == style, _STYLE_LIFT, 1)
            followers_NK[own] = rng.choice(
                members, size=(len(own), len(FOLLOWER_SHARES)), p=weight / weight.sum()
            )
