"""What people look at by themselves, one item after the other.

V visits (sessions) · T their steps, one after the other · N places for items
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simulator.chooser import Chooser, own_categories
from simulator.fashion import FOLLOWER_SHARES
from simulator.tastes import NUM_STYLES
from simulator.today import IntArray, Today
from simulator.visits import Arrivals

# Session lengths: everyone has a chance of leaving after each view, but not the same one, so that whoever has
# stayed for long is likelier to stay on. Median 4, mean near 6.
_LEAVING, _STAYING, _LONGEST = 2.85, 10.7, 30
# Seconds between two views of a session: median 46; after half an hour it is another session.
_GAP_LOG_MEDIAN, _GAP_LOG_SPREAD, _LONGEST_GAP = 3.75, 1.48, 1800.0
# Where the next view comes from. What is left goes to the person's own categories.
_FOLLOW, _BACK, _STAY = 0.52, 0.01, 0.26
#: How often people look for something that they have not seen yet, before they look at it again.
_TRIES = 2
#: While an item is viral, so many of all steps lead to it.
_VIRAL_SHARE = 0.15


@dataclass(frozen=True)
class Browsing:
    """What the sessions look at by themselves; a session's steps lie together, in order."""

    visit_T: IntArray
    place_T: IntArray
    after_ms_T: IntArray  # since the session's first step
    gap_ms_T: IntArray  # until the next one


def browse(today: Today, arrivals: Arrivals, landed_V: IntArray) -> Browsing:
    """The views of a day.

    Args:
        landed_V: the place of the item that a session comes from (one that was shown and clicked), or -1.
    """
    rng = today.dice("lengths")
    leaving_V = rng.beta(_LEAVING, _STAYING, len(arrivals))
    length_V = np.minimum(rng.geometric(leaving_V), _LONGEST)
    first_V = np.cumsum(length_V) - length_V
    visit_T = np.repeat(np.arange(len(arrivals)), length_V)
    seconds_T = today.dice("gaps").lognormal(_GAP_LOG_MEDIAN, _GAP_LOG_SPREAD, len(visit_T))
    gap_ms_T = (1000 * np.clip(seconds_T, 1.0, _LONGEST_GAP)).astype(np.int64)
    until_T = np.cumsum(gap_ms_T) - gap_ms_T
    return Browsing(
        visit_T=visit_T,
        place_T=_walk(today, arrivals.user_V, first_V, length_V, landed_V),
        after_ms_T=until_T - until_T[first_V][visit_T],
        gap_ms_T=gap_ms_T,
    )


def _walk(
    today: Today, user_V: IntArray, first_V: IntArray, length_V: IntArray, landed_V: IntArray
) -> IntArray:
    """Which item each step looks at: all sessions side by side, one step after the other."""
    rng, viral_rng = today.dice("steps"), today.dice("viral steps")
    is_available_N, chooser = today.shelf.is_available_N, Chooser.of(today)
    place_T = np.full(int(length_V.sum()), -1, np.int64)
    # Longest first: who is still there at a step is then always the front part.
    order_V = np.argsort(-length_V, kind="stable")
    follower_edges = np.cumsum(FOLLOWER_SHARES)[:-1]
    something = int(np.flatnonzero(is_available_N)[0])
    for step in range(int(length_V.max(initial=0))):
        here = order_V[: int(np.count_nonzero(length_V > step))]
        steps = first_V[here] + step
        last = place_T[steps - 1] if step else landed_V[here]
        comes_from_item = last >= 0
        way, which, where, *others = rng.random((3 + _TRIES, len(here)))
        # Something that follows what was just looked at …
        followers = today.fashion.followers_NK[last, np.searchsorted(follower_edges, which, side="right")]
        chosen = np.where(comes_from_item & (way < _FOLLOW) & is_available_N[followers], followers, -1)
        is_back = (way >= _FOLLOW) & (way < _FOLLOW + _BACK) & (step >= 2)
        if step >= 2:  # … or back to what was there before …
            chosen = np.where(is_back, place_T[steps - 2], chosen)
        # … or more of the same category, or of another one that the person likes.
        is_staying = comes_from_item & (way < _FOLLOW + _BACK + _STAY)
        own = own_categories(today, user_V[here], where)
        categories = np.where(is_staying, today.catalogue.category_N[last], own)
        drawn = chooser.draw(today.tastes.style_UC[user_V[here], categories], categories, which)
        looked_at = np.where(chosen >= 0, chosen, drawn)
        # Who has seen it in this session looks for something else (unless they came back to it).
        for instead in others:
            is_repeated = np.zeros(len(here), bool)
            for before in range(1, step + 1):
                is_repeated |= place_T[steps - before] == looked_at
            any_style = rng.integers(0, NUM_STYLES, len(here), dtype=np.int8)
            looked_at = np.where(
                is_repeated & ~is_back, chooser.draw(any_style, categories, instead), looked_at
            )
        for viral in today.viral_places:
            looked_at = np.where(viral_rng.random(len(here)) < _VIRAL_SHARE, viral, looked_at)
        place_T[steps] = np.where(looked_at >= 0, looked_at, something)
    return place_T
