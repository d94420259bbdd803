"""Draws what people choose: an item of a style within a category, a category of a person's taste.

N places for items · C categories · S styles · V visits
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from simulator.fashion import style_weights
from simulator.today import IntArray, Today

#: An item on promotion is looked at so many times more often.
_PROMOTED_LOOKS = 1.6
_CATEGORY_BLOCK = 65_536  # bounds memory at so many people times the number of categories


@dataclass(frozen=True)
class Chooser:
    """Draws items for people of a style within a category, in proportion to their appeal, among what is for sale."""

    cumulative: npt.NDArray[np.float64]  # row by row, row = style · C + category; row r grows from r to r + 1
    places: IntArray
    is_open: npt.NDArray[np.bool_]  # has the row anything to sell?
    num_categories: int

    @classmethod
    def of(cls, today: Today) -> Chooser:
        category_N, num_categories = today.catalogue.category_N, len(today.catalogue.categories_C)
        looks_N = np.where(today.shelf.is_promoted_N, _PROMOTED_LOOKS, 1.0) * today.shelf.is_available_N
        weights_SN = style_weights(today.catalogue, today.fashion.appeal_N) * looks_N
        order_N = np.argsort(category_N, kind="stable")
        sums_SC = np.stack([np.bincount(category_N, weights_N, num_categories) for weights_N in weights_SN])
        shares_SN = weights_SN / np.maximum(sums_SC[:, category_N], 1e-12)
        return cls(
            cumulative=np.cumsum(shares_SN[:, order_N].ravel()),
            places=np.tile(order_N, len(weights_SN)),
            is_open=(sums_SC > 0).ravel(),
            num_categories=num_categories,
        )

    def draw(
        self, styles: npt.NDArray[np.int8], categories: IntArray, dice: npt.NDArray[np.float64]
    ) -> IntArray:
        """One place each; -1 where the category has nothing for sale."""
        rows = styles.astype(np.int64) * self.num_categories + categories
        # A row that is closed adds nothing, so rows begin where the open ones before them end.
        begins = np.concatenate([[0], np.cumsum(self.is_open)])[rows]
        # The sums of shares are whole numbers up to rounding: stay clear of the edges.
        found = np.searchsorted(self.cumulative, begins + 1e-9 + dice * (1 - 2e-9), side="right")
        drawn = self.places[np.minimum(found, len(self.places) - 1)]
        return np.where(self.is_open[rows], drawn, -1)


def own_categories(today: Today, users: IntArray, dice: npt.NDArray[np.float64]) -> IntArray:
    """A category for each, by the person's taste and the day's appetites."""
    categories = np.empty(len(users), np.int64)
    for start in range(0, len(users), _CATEGORY_BLOCK):
        part = slice(start, start + _CATEGORY_BLOCK)
        cumulative = np.cumsum(today.tastes.taste_UC[users[part]] * today.appetite_C, axis=1)
        cumulative /= cumulative[:, -1:]
        categories[part] = (cumulative[:, :-1] <= dice[part, None]).sum(axis=1)
    return categories
