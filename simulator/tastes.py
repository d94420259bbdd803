"""What people like: categories, a style in each, and how well an item suits somebody.

U places for people · C categories
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from simulator.config import ShopConfig, generator
from simulator.incidents import NewCategory, TasteShift

NUM_STYLES = 4

_CONCENTRATION = 0.15  # of a person's taste: most people care for one or two categories
# Half of the categories are liked so many times more than the others; a shift turns that round for whom it moves.
_FAVOUR = 4.0
#: An item of a liked category in another style suits so much less.
_OTHER_STYLE = 0.35
# A new category appeals to some of all people, and takes so much of their taste.
_APPETITE_SHARE, _APPETITE = 0.4, 0.4

FloatMatrix = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Tastes:
    """What people like in one period."""

    taste_UC: FloatMatrix  # shares
    best_U: FloatMatrix  # the greatest of them
    style_UC: npt.NDArray[np.int8]  # the style that each person likes in each category

    def match(
        self, users: npt.NDArray[np.int64], categories: npt.NDArray[np.int64], styles: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.float64]:
        """How well items suit people: 1 for the style that they like in the category they like best."""
        share = self.taste_UC[users, categories] / self.best_U[users]
        is_own_style = self.style_UC[users, categories] == styles
        return np.asarray(share * np.where(is_own_style, 1.0, _OTHER_STYLE), np.float64)


def make_tastes(
    config: ShopConfig, shifts: tuple[TasteShift, ...], new_categories: tuple[NewCategory, ...]
) -> Tastes:
    """Tastes after some shifts and with some new categories: each shift moves a share of people to other ones."""
    taste_UC, style_UC = _drawn(config, "before", is_reversed=False)
    for nth, shift in enumerate(shifts, start=1):
        fresh_UC, fresh_style_UC = _drawn(config, f"after {nth}", is_reversed=nth % 2 == 1)
        is_moved_U1 = generator(config, f"moved people {nth}").random((config.num_users, 1)) < shift.share
        taste_UC = np.where(is_moved_U1, fresh_UC, taste_UC)
        style_UC = np.where(is_moved_U1, fresh_style_UC, style_UC)
    for nth in range(1, len(new_categories) + 1):
        rng = generator(config, f"appetite {nth}")
        appetite_U1 = np.where(rng.random((config.num_users, 1)) < _APPETITE_SHARE, _APPETITE, 0)
        appetite_U1 = appetite_U1.astype(np.float32)
        taste_UC = np.concatenate([taste_UC * (1 - appetite_U1), appetite_U1], axis=1)
        fresh_style_U1 = rng.integers(0, NUM_STYLES, (config.num_users, 1), dtype=np.int8)
        style_UC = np.concatenate([style_UC, fresh_style_U1], axis=1)
    return Tastes(taste_UC, taste_UC.max(axis=1), style_UC)


def _drawn(config: ShopConfig, period: str, is_reversed: bool) -> tuple[FloatMatrix, npt.NDArray[np.int8]]:
    rng = generator(config, f"tastes {period}")
    # Which half is in favour is the seed's choice, and the same one before and after.
    is_liked_C = generator(config, "favour").permutation(config.num_categories) < config.num_categories // 2
    share_C = np.where(is_liked_C != is_reversed, _FAVOUR, 1.0) * 2 / (1 + _FAVOUR)
    drawn_UC = rng.standard_gamma(_CONCENTRATION * share_C, (config.num_users, config.num_categories))
    weight_UC = drawn_UC.astype(np.float32) + np.float32(1e-6)
    taste_UC = weight_UC / weight_UC.sum(axis=1, keepdims=True)
    style_UC = rng.integers(0, NUM_STYLES, (config.num_users, config.num_categories), dtype=np.int8)
    return taste_UC, style_UC
