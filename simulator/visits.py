"""One day in the shop: who comes, what they look at one after the other, what they buy.

V visits (sessions) · T their steps, one after the other · N items · C categories · S styles
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt

from simulator.catalogue import FOLLOWER_SHARES, NUM_STYLES, Catalogue, Fashion, style_weights
from simulator.config import ShopConfig, generator
from simulator.people import People, Tastes

IntArray = npt.NDArray[np.int64]

ANONYMOUS_SHARE = 0.15  # of sessions
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS

_WEEKDAYS = (1.0, 0.97, 0.96, 0.98, 1.0, 1.06, 1.03)
_HOURS = np.array(
    [1, 0.5, 0.3, 0.2, 0.2, 0.4, 1, 2, 3, 4, 4.5, 5, 5, 4.5, 4.5, 4.5, 5, 5.5, 6, 6.5, 6.5, 5.5, 4, 2]
)
# Session lengths: median 4, mean near 6.
_LENGTH_LOG_MEDIAN, _LENGTH_LOG_SPREAD, _LONGEST = np.log(4.0), 0.9, 40
# Seconds between two views of a session: median 46; after half an hour it is another session.
_GAP_LOG_MEDIAN, _GAP_LOG_SPREAD, _LONGEST_GAP = 3.75, 1.48, 1800.0
# Where the next view comes from. What is left goes to the person's own categories.
_FOLLOW, _BACK, _STAY = 0.52, 0.02, 0.26


@dataclass(frozen=True)
class Arrivals:
    """The sessions of a day."""

    user_V: IntArray  # whose taste it is
    is_anonymous_V: npt.NDArray[np.bool_]
    start_ms_V: IntArray  # of the day


@dataclass(frozen=True)
class Browsing:
    """What the sessions look at by themselves; a session's steps lie together, in order."""

    visit_T: IntArray
    item_T: IntArray
    after_ms_T: IntArray  # since the session's first step
    gap_ms_T: IntArray  # until the next one


@dataclass(frozen=True)
class Chooser:
    """Draws items for people of a style within a category, in proportion to their appeal, among what is for sale."""

    cumulative: npt.NDArray[np.float64]  # row by row, row = style · C + category; row r grows from r to r + 1
    items: IntArray
    is_open: npt.NDArray[np.bool_]  # has the row anything to sell?

    @classmethod
    def of(cls, catalogue: Catalogue, fashion: Fashion, is_available_N: npt.NDArray[np.bool_]) -> Chooser:
        num_categories = len(catalogue.categories_C)
        weights_SN = style_weights(catalogue, fashion.appeal_N) * is_available_N
        order_N = np.argsort(catalogue.category_N, kind="stable")
        sums_SC = np.stack(
            [np.bincount(catalogue.category_N, weights_N, num_categories) for weights_N in weights_SN]
        )
        shares_SN = weights_SN / np.maximum(sums_SC[:, catalogue.category_N], 1e-12)
        return cls(
            cumulative=np.cumsum(shares_SN[:, order_N].ravel()),
            items=np.tile(order_N, len(weights_SN)),
            is_open=(sums_SC > 0).ravel(),
        )

    def draw(
        self,
        styles: npt.NDArray[np.int8],
        categories: IntArray,
        num_categories: int,
        dice: npt.NDArray[np.float64],
    ) -> IntArray:
        """One item each; -1 where the category has nothing for sale."""
        rows = styles.astype(np.int64) * num_categories + categories
        # A row that is closed adds nothing, so rows begin where the open ones before them end.
        begins = np.concatenate([[0], np.cumsum(self.is_open)])[rows]
        # The sums of shares are whole numbers up to rounding: stay clear of the edges.
        places = np.searchsorted(self.cumulative, begins + 1e-9 + dice * (1 - 2e-9), side="right")
        drawn = self.items[np.minimum(places, len(self.items) - 1)]
        return np.where(self.is_open[rows], drawn, -1)


def who_comes(config: ShopConfig, day: date, people: People) -> Arrivals:
    """The sessions of a day: of people by their habits, and of strangers."""
    offset = config.offset(day)
    rng = generator(config, "visits", offset)
    has_joined_U = people.joined_U <= offset
    visits_U = rng.poisson(people.visits_U * _WEEKDAYS[day.weekday()]) * has_joined_U
    if offset:
        visits_U[people.joined_U == offset] += 1  # whoever joins has come to look at something
    known_V = np.repeat(np.arange(config.num_users), visits_U)
    num_anonymous = rng.poisson(len(known_V) * ANONYMOUS_SHARE / (1 - ANONYMOUS_SHARE))
    # Strangers have somebody's taste: they are the same kind of people, only not logged in.
    strangers_V = rng.choice(np.flatnonzero(has_joined_U), num_anonymous)
    user_V = np.concatenate([known_V, strangers_V]).astype(np.int64)
    hour_V = rng.choice(24, len(user_V), p=_HOURS / _HOURS.sum())
    return Arrivals(
        user_V=user_V,
        is_anonymous_V=np.arange(len(user_V)) >= len(known_V),
        start_ms_V=hour_V * HOUR_MS + rng.integers(0, HOUR_MS, len(user_V)),
    )


def browse(
    config: ShopConfig,
    offset: int,
    arrivals: Arrivals,
    landed_V: IntArray,
    tastes: Tastes,
    catalogue: Catalogue,
    fashion: Fashion,
) -> Browsing:
    """The views of a day.

    Args:
        landed_V: the item that a session comes from (a recommendation that was clicked), or -1.
    """
    num_visits = len(arrivals.user_V)
    rng = generator(config, "lengths", offset)
    drawn_V = np.rint(rng.lognormal(_LENGTH_LOG_MEDIAN, _LENGTH_LOG_SPREAD, num_visits))
    length_V = np.clip(drawn_V, 1, _LONGEST).astype(np.int64)
    first_V = np.cumsum(length_V) - length_V
    visit_T = np.repeat(np.arange(num_visits), length_V)
    seconds_T = generator(config, "gaps", offset).lognormal(_GAP_LOG_MEDIAN, _GAP_LOG_SPREAD, len(visit_T))
    gap_ms_T = (1000 * np.clip(seconds_T, 1.0, _LONGEST_GAP)).astype(np.int64)
    until_T = np.cumsum(gap_ms_T) - gap_ms_T
    return Browsing(
        visit_T=visit_T,
        item_T=_walk(
            config, offset, arrivals.user_V, first_V, length_V, landed_V, tastes, catalogue, fashion
        ),
        after_ms_T=until_T - until_T[first_V][visit_T],
        gap_ms_T=gap_ms_T,
    )


def _walk(
    config: ShopConfig,
    offset: int,
    user_V: IntArray,
    first_V: IntArray,
    length_V: IntArray,
    landed_V: IntArray,
    tastes: Tastes,
    catalogue: Catalogue,
    fashion: Fashion,
) -> IntArray:
    """Which item each step looks at: all sessions side by side, one step after the other."""
    rng = generator(config, "steps", offset)
    is_available_N = catalogue.is_available(offset)
    chooser = Chooser.of(catalogue, fashion, is_available_N)
    item_T = np.full(int(length_V.sum()), -1, np.int64)
    # Longest first: who is still there at a step is then always the front part.
    order_V = np.argsort(-length_V, kind="stable")
    follower_edges = np.cumsum(FOLLOWER_SHARES)[:-1]
    something = int(np.flatnonzero(is_available_N)[0])
    for step in range(int(length_V.max(initial=0))):
        here = order_V[: int(np.count_nonzero(length_V > step))]
        places = first_V[here] + step
        last = item_T[places - 1] if step else landed_V[here]
        comes_from_item = last >= 0
        way, which, where = rng.random((3, len(here)))
        # Something that follows what was just looked at …
        followers = fashion.followers_NK[last, np.searchsorted(follower_edges, which, side="right")]
        chosen = np.where(comes_from_item & (way < _FOLLOW) & is_available_N[followers], followers, -1)
        is_back = (way >= _FOLLOW) & (way < _FOLLOW + _BACK) & (step >= 2)
        if step >= 2:  # … or back to what was there before …
            chosen = np.where(is_back, item_T[places - 2], chosen)
        # … or more of the same category, or of another one that the person likes.
        is_staying = comes_from_item & (way < _FOLLOW + _BACK + _STAY)
        own = _own_categories(tastes, user_V[here], where)
        categories = np.where(is_staying, catalogue.category_N[last], own)
        styles = tastes.style_UC[user_V[here], categories]
        drawn = chooser.draw(styles, categories, config.num_categories, which)
        looked_at = np.where(chosen >= 0, chosen, drawn)
        # Who has seen it in this session looks for something else (unless they came back to it).
        is_repeated = np.zeros(len(here), bool)
        for before in range(1, step + 1):
            is_repeated |= item_T[places - before] == looked_at
        any_style = rng.integers(0, NUM_STYLES, len(here), dtype=np.int8)
        again = chooser.draw(any_style, categories, config.num_categories, rng.random(len(here)))
        looked_at = np.where(is_repeated & ~is_back, again, looked_at)
        item_T[places] = np.where(looked_at >= 0, looked_at, something)
    return item_T


def _own_categories(tastes: Tastes, users: IntArray, dice: npt.NDArray[np.float64]) -> IntArray:
    """A category for each, by the person's taste."""
    categories = np.empty(len(users), np.int64)
    for start in range(0, len(users), 65_536):  # bounds memory at 65 536 × C
        part = slice(start, start + 65_536)
        categories[part] = (tastes.cumulative_UC[users[part]] < dice[part, None]).sum(axis=1)
    return categories
