"""The shop's home page: who visits sees the published list, and clicks by its places and by taste.

V visits · I impressions
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from simulator.memory import Memory
from simulator.people import user_id
from simulator.today import IntArray, Today
from simulator.visits import Arrivals

PLACES = 10
#: Share of impressions that are clicked, by place, as measured in real shops.
CLICKS_BY_PLACE = np.array([0.31, 0.105, 0.076, 0.06, 0.051, 0.044, 0.038, 0.033, 0.029, 0.026])
#: A perfect item is clicked so much more often than the average one those shares were measured with.
_TASTE_LIFT = 4.0
_SUREST_CLICK = 0.9


@dataclass(frozen=True)
class Shown:
    """The impressions of a day, visit by visit from the first place on."""

    visit_I: IntArray
    position_I: IntArray  # from 1
    item_I: IntArray  # numbers
    place_I: IntArray  # of the items in the catalogue
    chance_I: npt.NDArray[np.float64]
    is_clicked_I: npt.NDArray[np.bool_]

    def last_clicks(self, num_visits: int) -> IntArray:
        """The place of the item that each visit clicked last, -1 without one."""
        landed_V = np.full(num_visits, -1, np.int64)
        landed_V[self.visit_I[self.is_clicked_I]] = self.place_I[self.is_clicked_I]
        return landed_V


def show_lists(
    today: Today, arrivals: Arrivals, published: Mapping[str, Sequence[str]], memory: Memory
) -> Shown:
    """What everyone with a published list sees of it and clicks; people without one see no list."""
    visit_V = np.flatnonzero(arrivals.number_V >= 0)
    users, user_V = np.unique(arrivals.number_V[visit_V], return_inverse=True)
    item_L, begin_U, size_U = _lists_of(today, users, published)
    size_V = size_U[user_V]
    visit_I = np.repeat(visit_V, size_V)
    position_I = np.arange(len(visit_I)) - np.repeat(np.cumsum(size_V) - size_V, size_V) + 1
    item_I = item_L[np.repeat(begin_U[user_V], size_V) + position_I - 1]
    place_I = today.catalogue.place_M[item_I]
    chance_I = click_chances(today, arrivals.user_V[visit_I], item_I, position_I, memory)
    # Each visit and position has its own dice, so that what is shown to one changes nothing for another.
    dice_I = today.dice_of("clicks", visit_I, position_I)[:, 0]
    return Shown(visit_I, position_I, item_I, place_I, chance_I, dice_I < chance_I)


def click_chances(
    today: Today, users: IntArray, items: IntArray, positions: IntArray, memory: Memory
) -> npt.NDArray[np.float64]:
    """How likely people (by place) click items (by number) at positions of their lists."""
    places = today.catalogue.place_M[items]
    # Whoever follows a sold-out item in its place does not inherit its clicks.
    is_there = today.shelf.item_N[places] == items
    attraction = today.attraction(users, places) * memory.appeal(today.member_U[users], items) * is_there
    return np.asarray(np.minimum(CLICKS_BY_PLACE[positions - 1] * _TASTE_LIFT * attraction, _SUREST_CLICK))


def _lists_of(
    today: Today, users: IntArray, published: Mapping[str, Sequence[str]]
) -> tuple[IntArray, IntArray, IntArray]:
    """The first items of the users' lists, one list after the other, where each begins and how long it is."""
    lists = [published.get(user_id(user), ())[:PLACES] for user in users.tolist()] if published else []
    sizes = np.array([len(items) for items in lists] or np.zeros(len(users)), np.int64)
    ids = pa.array(list(itertools.chain.from_iterable(lists)), pa.string())
    known = pa.array([today.catalogue.item_id(item) for item in range(len(today.catalogue.place_M))])
    items = pc.fill_null(pc.index_in(ids, known), -1).to_numpy().astype(np.int64)
    # What the shop does not know it cannot show: the next item moves up.
    owner = np.repeat(np.arange(len(users)), sizes)[items >= 0]
    sizes = np.bincount(owner, minlength=len(users))
    return items[items >= 0], np.cumsum(sizes) - sizes, sizes
