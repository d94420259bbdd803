"""Who comes to the shop on a day, and when.

V visits (sessions)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from simulator.today import IntArray, Today

ANONYMOUS_SHARE = 0.15  # of sessions
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS

_HOURS = np.array(
    [1, 0.5, 0.3, 0.2, 0.2, 0.4, 1, 2, 3, 4, 4.5, 5, 5, 4.5, 4.5, 4.5, 5, 5.5, 6, 6.5, 6.5, 5.5, 4, 2]
)


@dataclass(frozen=True)
class Arrivals:
    """The sessions of a day."""

    user_V: IntArray  # the place whose taste it is
    number_V: IntArray  # of the user, -1 for a stranger
    start_ms_V: IntArray  # of the day

    def __len__(self) -> int:
        return len(self.user_V)


def who_comes(today: Today, is_joining_U: npt.NDArray[np.bool_]) -> Arrivals:
    """The sessions of a day: of people by their habits, and of strangers."""
    rng = today.dice("visits")
    is_there_U = today.member_U >= 0
    # Whoever joins has come to look at something.
    visits_U = (rng.poisson(today.visits_U) + is_joining_U) * is_there_U
    known_V = np.repeat(np.arange(len(visits_U)), visits_U)
    num_anonymous = rng.poisson(len(known_V) * ANONYMOUS_SHARE / (1 - ANONYMOUS_SHARE))
    # Strangers have somebody's taste: they are the same kind of people, only not logged in.
    strangers_V = rng.choice(np.flatnonzero(is_there_U), num_anonymous)
    user_V = np.concatenate([known_V, strangers_V]).astype(np.int64)
    hour_V = rng.choice(24, len(user_V), p=_HOURS / _HOURS.sum())
    return Arrivals(
        user_V=user_V,
        number_V=np.where(np.arange(len(user_V)) < len(known_V), today.member_U[user_V], -1),
        start_ms_V=hour_V * HOUR_MS + rng.integers(0, HOUR_MS, len(user_V)),
    )
