"""Histories that tell of each event more than its item: of what type it was, and on which day.

A history is an array of items, oldest first, or one of events: a row of item, type and day each. Whatever goes by items
alone takes :func:`items_of` either. Both are cut, and deleted from, in the same way.

B batch · L length · 3 item, type and day of an event
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

#: The columns of an event.
ITEM, TYPE, DAY = range(3)
#: Types are 1 … NUM_TYPES; 0 is padding.
NUM_TYPES = 3

Array = npt.NDArray[Any]


def events_of(items_L: Array, types_L: Array, days_L: Array) -> npt.NDArray[np.int64]:
    """A history of events, events_L3; days are numbers that rise by one a day."""
    return np.stack([items_L, types_L, days_L], axis=1).astype(np.int64)


def items_of(history: Array) -> Array:
    """The items of a history, whether of items or of events."""
    return history if history.ndim == 1 else history[:, ITEM]


def with_items(history: Array, items_L: Array) -> Array:
    """The history with these items instead of its own."""
    return items_L if history.ndim == 1 else events_of(items_L, history[:, TYPE], history[:, DAY])


def checked_types(types: Array) -> Array:
    """The types themselves, once all of them are known to be types."""
    if types.size and (types.min() < 1 or types.max() > NUM_TYPES):
        wrong = types[(types < 1) | (types > NUM_TYPES)][0]
        raise ValueError(f"{wrong} is no type of event; there are 1 … {NUM_TYPES}")
    return types


def known_of(history: Array, to_vocabulary_N: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """A history by the items of a vocabulary (-1: not in it), without those that are not in it."""
    items = to_vocabulary_N[items_of(history)]
    known: npt.NDArray[np.int64] = with_items(history, items)[items >= 0]
    return known
