"""Who visits the shop: people who come by for some time, each with a habit of visiting.

U places for people · H stays
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt

from simulator.config import ShopConfig, generator
from simulator.turnover import Stays, Turnover, make_stays

IntArray = npt.NDArray[np.int64]

#: The first number of the ids that bots go by: the feed does not tell them from people.
FIRST_BOT = 9_000_000
NUM_BOTS = 4

_TURNOVER = Turnover("people", mean_days=600, mean_gap_days=8, known_ahead_days=0, return_share=0.0)
_MOST_VISITS = 3.0  # a day, of anybody
_AGE_BANDS = ("18-24", "25-34", "35-44", "45-54", "55-64", "65+")
_CHANNELS = ("app", "web", "newsletter")


@dataclass(frozen=True)
class People:
    """Everyone who will come by until some later day."""

    stays: Stays
    visits_U: npt.NDArray[np.float64]  # sessions on an ordinary day: the habit of a place, whoever holds it

    def members(self, offset: int) -> IntArray:
        """Who is a user on a day, by place; -1 where nobody is."""
        return self.stays.holders(offset, len(self.visits_U))

    def joining(self, offset: int) -> IntArray:
        """Who is told of on a day: at the start everyone who is there, then who is new."""
        if offset == 0:
            return np.sort(self.members(0)[self.members(0) >= 0])
        return np.sort(self.stays.number_H[self.stays.first_H == offset])


def make_people(config: ShopConfig, period: int) -> People:
    """The people of a seed, up to the end of a period and beyond."""
    visits_U = generator(config, "habits").lognormal(0, 0.8, config.num_users)
    return People(
        stays=make_stays(config, _TURNOVER, config.num_users, period),
        visits_U=np.minimum(visits_U * config.sessions_per_user / visits_U.mean(), _MOST_VISITS),
    )


def user_id(number: int) -> str:
    return f"u{number:07d}"


def user_rows(config: ShopConfig, day: date, joining: IntArray) -> list[tuple[str, ...]]:
    """What the shop says of users on the day on which they are new."""
    offset = config.offset(day)
    rng = generator(config, "attributes", offset)
    known_for = rng.integers(1, 700, len(joining)) if offset == 0 else np.zeros(len(joining), np.int64)
    ages, channels = (
        rng.integers(0, len(_AGE_BANDS), len(joining)),
        rng.integers(0, len(_CHANNELS), len(joining)),
    )
    return [
        (
            user_id(number),
            f"{day - timedelta(days=int(known_for[row]))}T00:00:00Z",
            json.dumps({"age_band": _AGE_BANDS[ages[row]], "channel": _CHANNELS[channels[row]]}),
        )
        for row, number in enumerate(joining.tolist())
    ]
