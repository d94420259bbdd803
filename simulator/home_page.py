"""The shop's home page: who visits sees the published list, and clicks by its places and by taste.

V visits · I impressions
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from simulator.catalogue import Catalogue
from simulator.config import ShopConfig, generator
from simulator.people import People, Tastes
from simulator.visits import Arrivals, IntArray

PLACES = 10
#: Share of impressions that are clicked, by place, as measured in real shops.
CLICKS_BY_PLACE = np.array([0.31, 0.105, 0.076, 0.06, 0.051, 0.044, 0.038, 0.033, 0.029, 0.026])
#: A perfect item is clicked so much more often than the average one those shares were measured with.
_TASTE_LIFT = 4.0
#: What an item of a liked category in another style is worth.
_OTHER_STYLE = 0.35


@dataclass(frozen=True)
class Shown:
    """The impressions of a day, visit by visit from the first place on."""

    visit_I: IntArray
    place_I: IntArray  # from 1
    item_I: IntArray
    is_clicked_I: npt.NDArray[np.bool_]

    def last_clicks(self, num_visits: int) -> IntArray:
        """The item that each visit clicked last, -1 without one."""
        landed_V = np.full(num_visits, -1, np.int64)
        landed_V[self.visit_I[self.is_clicked_I]] = self.item_I[self.is_clicked_I]
        return landed_V


def match(tastes: Tastes, catalogue: Catalogue, users: IntArray, items: IntArray) -> npt.NDArray[np.float64]:
    """How well items suit people: 1 for the style they like in the category they like best."""
    categories = catalogue.category_N[items]
    best_U = tastes.taste_UC.max(axis=1)
    share = tastes.taste_UC[users, categories] / best_U[users]
    is_own_style = tastes.style_UC[users, categories] == catalogue.style_N[items]
    return np.asarray(share * np.where(is_own_style, 1.0, _OTHER_STYLE), np.float64)


def show_lists(
    config: ShopConfig,
    offset: int,
    arrivals: Arrivals,
    people: People,
    tastes: Tastes,
    catalogue: Catalogue,
    published: Mapping[str, Sequence[str]],
) -> Shown:
    """What everyone with a published list sees of it and clicks; people without one see no list."""
    number = {str(item): index for index, item in enumerate(catalogue.item_ids_N)}
    items_by_user: dict[int, list[int]] = {}
    visits: list[int] = []
    items: list[int] = []
    places: list[int] = []
    for visit in np.flatnonzero(~arrivals.is_anonymous_V).tolist():
        user = int(arrivals.user_V[visit])
        if user not in items_by_user:
            ids = published.get(str(people.user_ids_U[user]), ())[:PLACES]
            items_by_user[user] = [number[item] for item in ids if item in number]
        shown = items_by_user[user]
        visits.extend([visit] * len(shown))
        items.extend(shown)
        places.extend(range(1, len(shown) + 1))
    visit_I, item_I, place_I = (np.array(values, np.int64) for values in (visits, items, places))
    suits_I = match(tastes, catalogue, arrivals.user_V[visit_I], item_I)
    chance_I = CLICKS_BY_PLACE[place_I - 1] * _TASTE_LIFT * suits_I * catalogue.is_available(offset)[item_I]
    dice_I = generator(config, "clicks", offset).random(len(visit_I))
    return Shown(visit_I, place_I, item_I, dice_I < np.minimum(chance_I, 0.9))
