"""Sequences that have an order and no time, laid out over days: what a feed with ``clock: order`` delivers.

Nothing is known of when people acted, nor of who acted before whom. The layout says no more than what is known
and is still one that days can be run and judged on: each person's events are spread evenly over the same days, and
people begin at different points of their first stretch, so that all days have about as many events.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    IntArray = npt.NDArray[np.int64]

#: Days that a set is laid out over; each is one delivery.
NUM_DAYS = 100
FIRST_DAY = date(2000, 1, 1)

#: Multiples of the golden section leave no gaps and no heaps: people's beginnings are spread evenly (Knuth, vol. 3, 6.4).
_PARTS, _GOLDEN = 1 << 16, 40503

#: Position within the user's sequence, from 1, user, item, time: one event.
Step = tuple[int, int, int, str]


def days_of_steps(users: array[int], items: array[int]) -> Iterator[tuple[date, Iterator[Step]]]:
    """Each day with its events; within one, people stand in the order of the file and their events in theirs.

    Args:
        users, items: one entry an event; a user's entries are consecutive and in order.
    """
    import numpy as np

    by_event = np.frombuffer(users, dtype=np.int32)
    item = np.frombuffer(items, dtype=np.int32)
    place, length = _places(by_event)
    day = (place * _PARTS + by_event.astype(np.int64) * _GOLDEN % _PARTS) * NUM_DAYS // (length * _PARTS)
    order = np.argsort(day, kind="stable")
    starts = np.searchsorted(day[order], np.arange(NUM_DAYS + 1))
    for number in range(NUM_DAYS):
        chosen = order[starts[number] : starts[number + 1]]
        if len(chosen):
            yield (
                FIRST_DAY + timedelta(days=number),
                _steps(number, by_event[chosen], item[chosen], place[chosen]),
            )


def _places(users: npt.NDArray[np.int32]) -> tuple[IntArray, IntArray]:
    """Each event's place in its user's sequence, from 0, and that sequence's length."""
    import numpy as np

    starts = np.flatnonzero(np.append(True, users[1:] != users[:-1]))
    lengths = np.diff(np.append(starts, len(users)))
    return np.arange(len(users)) - np.repeat(starts, lengths), np.repeat(lengths, lengths)


def _steps(
    number: int, users: npt.NDArray[np.int32], items: npt.NDArray[np.int32], places: IntArray
) -> Iterator[Step]:
    midnight = datetime(FIRST_DAY.year, FIRST_DAY.month, FIRST_DAY.day, tzinfo=UTC) + timedelta(days=number)
    # The first event of a person's day is at second 0, the next at second 1: of two people nothing is said.
    second, _ = _places(users)
    times = [(midnight + timedelta(seconds=each)).isoformat() for each in range(int(second.max()) + 1)]
    for user, item, place, at in zip(
        users.tolist(), items.tolist(), places.tolist(), second.tolist(), strict=True
    ):
        yield place + 1, user, item, times[at]
