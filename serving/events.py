"""``POST /v1/events``: every event is durable, once, before it is acknowledged."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from contracts.events import Event, Received, Refusal
from serving.event_rules import Told, read_events, refusal_of
from serving.group_commit import GroupCommit
from serving.journal import CONFLICTING, NEW, EventJournal

#: What waits is written within the time that a caller waits, also where the disk is slow.
_MOST_WAITING = 10_000
_PATIENCE = 0.25


def judge(told: Sequence[Told], outcomes: Sequence[str], refused: Sequence[Refusal]) -> Received:
    """What to answer, by what the journal said of each event."""
    conflicts = tuple(
        refusal_of(each.index, each.event.event_id, "event_id", each.event.event_id, "another event has been sent under this id, and the first counts",
                 "give every event an id of its own, and send it unchanged when you send it again")
        for each, outcome in zip(told, outcomes, strict=True)
        if outcome == CONFLICTING
    )  # fmt: skip
    num_new = sum(outcome == NEW for outcome in outcomes)
    return Received(num_new, len(told) - num_new - len(conflicts), conflicts, tuple(refused))


def _forget(events: Iterable[Event]) -> None:
    """What a reader does who wants nothing but durable events."""


class Events:
    """Takes events: each is durable, once, before it is acknowledged.

    Args:
        remember: is told of events once they are durable; of each once.
    """

    def __init__(self, home: Path, remember: Callable[[Iterable[Event]], None] = _forget) -> None:
        self._remember = remember
        self._journal = EventJournal(home)
        self._commits = GroupCommit(
            self._journal.commit, self._journal.rest, most_waiting=_MOST_WAITING, patience=_PATIENCE
        )

    async def ingest(self, request: Any, now: datetime) -> Received:
        """Take the events of a request.

        Raises:
            RequestUnfit: it holds none.
            JournalUnavailable: nothing is acknowledged; sent again, nothing counts twice.
        """
        told, refused = read_events(request, now)
        outcomes = await self._commits.add([each.record for each in told]) if told else ()
        self._remember([each.event for each, outcome in zip(told, outcomes, strict=True) if outcome == NEW])
        return judge(told, outcomes, refused)

    async def close(self) -> None:
        await self._commits.close()
        await asyncio.to_thread(self._journal.close)
