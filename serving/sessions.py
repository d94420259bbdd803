"""What a session says of somebody: their last events, ranked by, unless they must not be or cannot be in time."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from msgspec import UNSET, Struct

from contracts.decisions import (
    SESSION_BUSY,
    SESSION_MISSING,
    SESSION_UNKNOWN,
    DecisionRequest,
    SessionFallback,
)
from contracts.events import Event
from serving.session_batches import SessionBatches
from serving.session_events import Fresh, TakenEvents, fresh_events
from serving.session_ranker import SessionList, SessionRanker

_LOOKED = 1  # one of contracts.tables.DEPTHS


class SessionAnswer(Struct, frozen=True, gc=False):
    """A list that a session was ranked for; or why none was, though there are events to rank by."""

    found: SessionList | None
    fallback: SessionFallback | None


class Sessions:
    """What people did lately, and lists by it; of one running loop."""

    def __init__(self) -> None:
        self._taken = TakenEvents(time.time)
        self._batches = SessionBatches()

    def take(self, events: Iterable[Event]) -> None:
        """Remember events that are durable now."""
        self._taken.add(events)

    def fresh(self, request: DecisionRequest, user_id: str, now: float) -> Sequence[Fresh] | None:
        """What somebody did lately that says what is wanted, and looks at now; None where nothing is known of either."""
        sent = () if request.session is UNSET else request.session
        taken = self._taken.of(user_id)
        looked_at = () if request.context is UNSET else (Fresh(None, request.context.item_id, _LOOKED, now),)
        if not (sent or taken or looked_at):
            return None
        return [*fresh_events(sent, taken, now), *looked_at]

    async def rank(
        self, ranker: SessionRanker | None, packed: bytes | None, fresh: Sequence[Fresh], length: int
    ) -> SessionAnswer:
        """The list by a published history and what came after it."""
        if ranker is None:
            return SessionAnswer(None, SESSION_MISSING)
        question = ranker.question(packed, fresh)
        if question is None:
            return SessionAnswer(None, SESSION_UNKNOWN)
        found = await self._batches.rank(ranker, question, length)
        return SessionAnswer(found, None if found else SESSION_BUSY)
