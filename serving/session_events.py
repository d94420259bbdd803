"""What somebody did a moment ago: events that were sent along, and those that this process has taken lately."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Final

from msgspec import UNSET, Struct

from contracts.decisions import SessionEvent
from contracts.events import Event, EventType
from contracts.ids import CLOCK_SKEW

#: Events that were sent along count for so long; what is older, a version should know.
SENT_SECONDS: Final = 24 * 3600.0
#: Events that this process has taken are remembered for so long, so many of each of so many people.
TAKEN_SECONDS: Final = 3600.0
MOST_OF_ONE: Final = 50
MOST_PEOPLE: Final = 50_000
_SKEW = CLOCK_SKEW.total_seconds()
#: How far an event goes, one of ``contracts.tables.DEPTHS``; others say nothing of what is wanted.
_DEPTHS: Final[dict[EventType, int]] = {"view": 1, "rating": 1, "cart": 2, "purchase": 3}
#: Stars from which on a rating weighs more than nothing, as in ``int_events_weighted``.
_GOOD_RATING = 3.5


class Fresh(Struct, frozen=True, gc=False):
    """An event that says what is wanted."""

    event_id: str | None
    item_id: str
    depth: int
    at: float  # seconds since 1970


class TakenEvents:
    """The last events of people, as this process took them.

    Args:
        clock: seconds since 1970.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._by_user: OrderedDict[str, deque[Fresh]] = (
            OrderedDict()
        )  # who has done something last comes last

    def add(self, events: Iterable[Event]) -> None:
        """Remember events; without somebody's id there is nobody to remember."""
        for event in events:
            fresh = _fresh(event.event_id, event.item_id, event.event_type, event.value, event.occurred_at)
            if event.user_id is None or fresh is None:
                continue
            self._by_user.setdefault(event.user_id, deque(maxlen=MOST_OF_ONE)).append(fresh)
            self._by_user.move_to_end(event.user_id)
        while len(self._by_user) > MOST_PEOPLE:
            self._by_user.popitem(last=False)

    def of(self, user_id: str) -> list[Fresh]:
        """What is remembered of somebody, and is not too long ago."""
        found = self._by_user.get(user_id)
        if found is None:
            return []
        since = self._clock() - TAKEN_SECONDS
        fresh = [each for each in found if each.at >= since]
        if not fresh:
            del self._by_user[user_id]
        return fresh


def fresh_events(sent: Iterable[SessionEvent], taken: Iterable[Fresh], now: float) -> list[Fresh]:
    """What of both says what is wanted, in the order of time; each event once."""
    read = [*taken]
    for event in sent:
        event_id = None if event.event_id is UNSET else event.event_id
        value = None if event.value is UNSET else event.value
        fresh = _fresh(event_id, event.item_id, event.event_type, value, event.occurred_at)
        if fresh is not None and now - SENT_SECONDS <= fresh.at <= now + _SKEW:
            read.append(fresh)
    named = {each.event_id: each for each in read if each.event_id is not None}
    unnamed = [each for each in read if each.event_id is None]
    return sorted([*named.values(), *unnamed], key=lambda each: each.at)


def bought_of(events: Iterable[Fresh]) -> frozenset[str]:
    """The items that were bought."""
    return frozenset(each.item_id for each in events if each.depth == _DEPTHS["purchase"])


def _fresh(
    event_id: str | None, item_id: str, event_type: EventType, value: float | None, at: datetime
) -> Fresh | None:
    depth = _DEPTHS.get(event_type)
    if depth is None or (event_type == "rating" and (value is None or value < _GOOD_RATING)):
        return None
    return Fresh(event_id, item_id, depth, at.timestamp())
