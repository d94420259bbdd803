"""Who visits the shop: people with tastes over categories, a style in each, and a habit of coming by.

U users · C categories
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt

from simulator.catalogue import NUM_STYLES
from simulator.config import ShopConfig, generator

_JOINING_SHARE = 0.15  # of all people; they come one after the other during the first 90 days
_JOINING_DAYS = 90
_CONCENTRATION = 0.15  # of a person's taste: most people care for one or two categories
# Half of the categories are liked so many times more than the others; a shift turns that round for whom it moves.
_FAVOUR = 4.0
_AGE_BANDS = ("18-24", "25-34", "35-44", "45-54", "55-64", "65+")
_CHANNELS = ("app", "web", "newsletter")


@dataclass(frozen=True)
class Tastes:
    """What people like in one period."""

    taste_UC: npt.NDArray[np.float32]  # shares
    cumulative_UC: npt.NDArray[np.float32]
    style_UC: npt.NDArray[np.int8]  # the style that each person likes in each category


@dataclass(frozen=True)
class People:
    """Everyone who will ever visit, in the order of their ids."""

    user_ids_U: npt.NDArray[np.str_]
    joined_U: npt.NDArray[np.int64]  # days since the start, 0 for those who were there before
    visits_U: npt.NDArray[np.float64]  # sessions a day

    def joining(self, offset: int) -> npt.NDArray[np.int64]:
        """Who is told of on this day: at the start everyone who is there, then who is new."""
        return np.flatnonzero(self.joined_U == offset)


def make_people(config: ShopConfig) -> People:
    """The people of a seed."""
    rng = generator(config, "people")
    visits_U = rng.lognormal(0, 0.8, config.num_users)
    is_joining_U = rng.random(config.num_users) < _JOINING_SHARE
    return People(
        user_ids_U=np.char.add("u", np.char.zfill(np.arange(config.num_users).astype(str), 7)),
        joined_U=np.where(is_joining_U, rng.integers(1, _JOINING_DAYS, config.num_users), 0),
        visits_U=np.minimum(visits_U * config.sessions_per_user / visits_U.mean(), 3.0),
    )


def make_tastes(config: ShopConfig, is_shifted: bool) -> Tastes:
    """Tastes before or after the shift; after it a share of people likes other things, in other styles."""
    taste_UC, style_UC = _drawn(config, "before", is_reversed=False)
    if is_shifted:
        fresh_UC, fresh_style_UC = _drawn(config, "after", is_reversed=True)
        is_moved_U1 = generator(config, "moved people").random((config.num_users, 1)) < config.shifted_share
        taste_UC = np.where(is_moved_U1, fresh_UC, taste_UC)
        style_UC = np.where(is_moved_U1, fresh_style_UC, style_UC)
    cumulative_UC = np.cumsum(taste_UC, axis=1)
    cumulative_UC[:, -1] = 2.0  # rounding must not leave a gap at the end
    return Tastes(taste_UC, cumulative_UC, style_UC)


def user_rows(people: People, config: ShopConfig, day: date) -> list[tuple[str, ...]]:
    """What the shop says of its users on a day: all at the start, later the new ones."""
    offset = config.offset(day)
    users = people.joining(offset)
    rng = generator(config, "attributes", offset)
    known_for = rng.integers(1, 700, len(users)) if offset == 0 else np.zeros(len(users), np.int64)
    ages, channels = rng.integers(0, len(_AGE_BANDS), len(users)), rng.integers(0, len(_CHANNELS), len(users))
    return [
        (
            str(people.user_ids_U[user]),
            f"{day - timedelta(days=int(known_for[row]))}T00:00:00Z",
            json.dumps({"age_band": _AGE_BANDS[ages[row]], "channel": _CHANNELS[channels[row]]}),
        )
        for row, user in enumerate(users)
    ]


def _drawn(
    config: ShopConfig, period: str, is_reversed: bool
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int8]]:
    rng = generator(config, f"tastes {period}")
    # Which half is in favour is the seed's choice, and the same one before and after.
    is_liked_C = generator(config, "favour").permutation(config.num_categories) < config.num_categories // 2
    share_C = np.where(is_liked_C != is_reversed, _FAVOUR, 1.0) * 2 / (1 + _FAVOUR)
    drawn_UC = rng.standard_gamma(_CONCENTRATION * share_C, (config.num_users, config.num_categories))
    weight_UC = drawn_UC.astype(np.float32) + np.float32(1e-6)
    taste_UC = weight_UC / weight_UC.sum(axis=1, keepdims=True)
    style_UC = rng.integers(0, NUM_STYLES, (config.num_users, config.num_categories), dtype=np.int8)
    return taste_UC, style_UC
