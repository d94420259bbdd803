"""What rules look at, as columns over the items of a version: by the index that packed lists name an item by.

N items, up to the highest index
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt

from contracts.published_items import PublishedItem

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

#: The code of a word that is not known: no two of them are alike.
UNKNOWN = -1
#: What counts of an item of which nothing is told, between the least and the most.
_MIDDLE = 0.5


@dataclass(frozen=True, slots=True)
class Words:
    """A column of words: each item's code, and the code of each word."""

    code_N: IntArray
    codes: Mapping[str, int]

    def are(self, words: tuple[str, ...]) -> BoolArray:
        """Which items have one of some words?"""
        wanted = [self.codes[word] for word in words if word in self.codes]
        return np.isin(self.code_N, wanted)


class Columns:
    """The columns; filled item by item, while requests go on."""

    def __init__(self, num_items: int) -> None:
        self._codes: dict[str, dict[str, int]] = {"category": {}, "brand": {}}
        self._words_N = {name: np.full(num_items, UNKNOWN) for name in self._codes}
        self._attributes: dict[str, dict[str, list[int]]] = {}
        self.price_N = np.full(num_items, np.nan)  # cents
        self.from_N = np.full(num_items, -np.inf)  # seconds since 1970
        self.until_N = np.full(num_items, np.inf)
        self._popularity_N = np.full(num_items, np.nan)
        self._margin_N = np.full(num_items, np.nan)

    def fill(self, index: int, item: PublishedItem) -> None:
        """Take in an item."""
        for name, codes in self._codes.items():
            word: str | None = getattr(item, name)
            if word is not None:
                self._words_N[name][index] = codes.setdefault(word, len(codes))
        for name, values in item.attributes.items():
            of_value = self._attributes.setdefault(name, {})
            for value in values:
                of_value.setdefault(value, []).append(index)
        if item.price_cents is not None:
            self.price_N[index] = item.price_cents
        if item.margin is not None:
            self._margin_N[index] = item.margin
        self._popularity_N[index] = item.popularity
        self.from_N[index] = _seconds(item.available_from, -np.inf)
        self.until_N[index] = _seconds(item.available_until, np.inf)

    def __len__(self) -> int:
        return len(self.price_N)

    @property
    def category(self) -> Words:
        return Words(self._words_N["category"], self._codes["category"])

    @property
    def brand(self) -> Words:
        return Words(self._words_N["brand"], self._codes["brand"])

    def have(self, attribute: str, values: tuple[str, ...]) -> BoolArray:
        """Which items have one of some values of an attribute?"""
        found_N = np.zeros(len(self), bool)
        for value in values:
            found_N[self._attributes.get(attribute, {}).get(value, [])] = True
        return found_N

    def margins(self) -> FloatArray:
        """Of each item the share of the others that have less margin; ties half."""
        return _share_below(self._margin_N)

    def novelties(self) -> FloatArray:
        """Of each item the share of the others that are more popular; ties half."""
        return 1 - _share_below(self._popularity_N)


def _share_below(values_N: FloatArray) -> FloatArray:
    """Of each value the share of the others that lie below it, ties half; the middle where it is not known."""
    known_N = ~np.isnan(values_N)
    known = np.sort(values_N[known_N])
    share_N = np.full(len(values_N), _MIDDLE)
    if len(known) > 1:
        below, up_to = (
            np.searchsorted(known, values_N[known_N]),
            np.searchsorted(known, values_N[known_N], "right"),
        )
        share_N[known_N] = (below + up_to - 1) / 2 / (len(known) - 1)
    return share_N


def _seconds(instant: datetime | None, missing: float) -> float:
    return missing if instant is None else instant.timestamp()
