"""Every answer, logged as it was made: before it goes out it has been handed to the system, or the answer says that it is not."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from contextlib import suppress
from datetime import UTC, date
from pathlib import Path
from typing import Final

import msgspec

from contracts.errors import JournalUnavailable
from contracts.journal import LoggedDecision
from serving.group_commit import GroupCommit
from serving.journal import DecisionJournal, Record

log = logging.getLogger("foretaste.serving")

LOGGED: Final = "logged"
#: The answer goes out, and nothing can be learnt from it: it should say so.
UNLOGGED: Final = "unlogged"

_MOST_WAITING = 10_000
#: An answer is not kept back longer; what is written later all the same was told of as unlogged.
_PATIENCE = 0.05
_encode = msgspec.json.Encoder().encode


class DecisionLog:
    """Logs decisions, and counts what became of them (``counts``)."""

    def __init__(self, home: Path) -> None:
        self.counts: Counter[str] = Counter({LOGGED: 0, UNLOGGED: 0})
        self._last = LOGGED
        self._journal = DecisionJournal(home)
        self._commits = GroupCommit(
            self._journal.commit, self._journal.rest, most_waiting=_MOST_WAITING, patience=_PATIENCE
        )

    @property
    def is_logging(self) -> bool:
        """Was the last decision logged?"""
        return self._last == LOGGED

    async def prepare(self, day: date) -> None:
        """Make ready for a day; where that fails, its first decision says so."""
        with suppress(JournalUnavailable):
            await asyncio.to_thread(self._journal.prepare, day)

    async def write(self, decision: LoggedDecision) -> str:
        """``LOGGED`` once the decision survives this process; ``UNLOGGED`` where the disk is full, failing or slow."""
        outcome = LOGGED
        try:
            await self._commits.add([Record(decision.decided_at.astimezone(UTC).date(), _encode(decision))])
        except JournalUnavailable as error:
            outcome = UNLOGGED
            if self._last == LOGGED:  # one line an outage
                log.warning("decision_unlogged decision=%s why=%s", decision.decision_id, error)
        self.counts[outcome] += 1
        self._last = outcome
        return outcome

    async def close(self) -> None:
        await self._commits.close()
        await asyncio.to_thread(self._journal.close)
