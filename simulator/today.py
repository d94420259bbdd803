"""The shop as it is on one day: who is a user, what is for sale, what is liked, and what is going on.

U places for people · N places for items · C categories
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt

from simulator.catalogue import Catalogue
from simulator.config import ShopConfig, generator, uniform_hash
from simulator.fashion import Fashion
from simulator.incidents import ViralItem
from simulator.shelf import Shelf
from simulator.tastes import Tastes

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]

#: How much better than the others an item of the best quality suits everybody while it is viral.
_VIRAL_MATCH = 0.8
#: Items on promotion are clicked so many times more often where they are shown.
_PROMOTED_CLICKS = 1.25


@dataclass(frozen=True)
class Today:
    """Everything that a day depends on, but for what is published and remembered."""

    config: ShopConfig
    day: date
    catalogue: Catalogue
    shelf: Shelf
    tastes: Tastes
    fashion: Fashion
    member_U: IntArray  # the number of whoever holds a place, -1 where nobody does
    visits_U: FloatArray  # sessions that are to be expected of each place
    appetite_C: npt.NDArray[np.float32]
    viral_places: IntArray

    @property
    def offset(self) -> int:
        return self.config.offset(self.day)

    def dice(self, purpose: str) -> np.random.Generator:
        """The day's own dice for a purpose."""
        return generator(self.config, purpose, self.offset)

    def dice_of(self, purpose: str, visits: IntArray, positions: IntArray, num_dice: int = 1) -> FloatArray:
        """Dice that belong to the positions of a list as a visit sees it, whatever else is shown to whom."""
        key = int(self.dice(purpose).integers(2**62))
        seen = visits * 1024 + positions
        return np.stack([uniform_hash(key, seen, np.full(len(seen), die)) for die in range(num_dice)], axis=1)

    def match(self, users: IntArray, places: IntArray) -> FloatArray:
        """How well the items of places suit people, from 0 to 1."""
        categories, styles = self.catalogue.category_N[places], self.catalogue.style_N[places]
        match = self.tastes.match(users, categories, styles)
        if len(self.viral_places):
            match = np.where(np.isin(places, self.viral_places), np.maximum(match, _VIRAL_MATCH), match)
        return match

    def attraction(self, users: IntArray, places: IntArray) -> FloatArray:
        """How strongly items attract people who are shown them, before anybody tires of them."""
        quality_N = self.fashion.quality()
        quality_N[self.viral_places] = 1.0
        quality_N *= np.where(self.shelf.is_promoted_N, _PROMOTED_CLICKS, 1.0)
        return np.asarray(self.match(users, places) * quality_N[places])


def viral_places(config: ShopConfig, catalogue: Catalogue, fashion: Fashion, day: date) -> IntArray:
    """The places of the items that are viral on a day: of those that few looked at, one for each incident."""
    places = []
    for viral in config.incidents_of(ViralItem, day):
        offset = config.offset(viral.day)
        stays = catalogue.stays
        # It has to be there all the time: a viral item that sells out is another story.
        stays_H = (stays.first_H <= offset) & (offset + viral.days <= stays.until_H)
        candidates = np.sort(stays.place_H[stays_H])
        candidates = candidates[fashion.appeal_N[candidates] <= np.median(fashion.appeal_N)]
        places.append(int(generator(config, "viral", offset).choice(candidates)))
    return np.array(places, np.int64)
