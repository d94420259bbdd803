"""Sessions are ranked on the event loop, those of about the same instant together, and no more than can be answered in time.

To read one history takes a third of what eight together take: whoever comes first waits a moment for company.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections import deque
from time import perf_counter
from typing import Final

from serving.session_ranker import BATCH, Question, SessionList, SessionRanker

log = logging.getLogger("foretaste.serving")

#: Seconds that somebody waits for a session to be ranked at most; beyond, the list that lies ready is the better answer.
PATIENCE: Final = 0.05
#: Seconds that the first of a batch waits for others.
_GATHERED = 0.001
#: How much of what a batch took before the last one counts.
_REMEMBERED = 0.9

_Waiting = tuple[SessionRanker, Question, int, "asyncio.Future[SessionList | None]"]


class SessionBatches:
    """Ranks what has been asked since it last ranked, in batches, and lets others be answered in between."""

    def __init__(self) -> None:
        self._waiting: deque[_Waiting] = deque()
        self._due: asyncio.Handle  # of the next batch, where somebody waits

    async def rank(self, ranker: SessionRanker, question: Question, length: int) -> SessionList | None:
        """A list of so many items; None where it cannot be had in time."""
        batches = math.ceil((len(self._waiting) + 1) / BATCH)
        if batches * ranker.seconds > PATIENCE:
            ranker.seconds *= _REMEMBERED  # nobody ranks now: what is believed of it has to be tried again
            return None
        loop = asyncio.get_running_loop()
        found: asyncio.Future[SessionList | None] = loop.create_future()
        self._waiting.append((ranker, question, length, found))
        if len(self._waiting) == 1:
            self._due = loop.call_later(_GATHERED, self._next)
        elif len(self._waiting) == BATCH:
            self._due.cancel()
            self._due = loop.call_soon(self._next)
        return await found

    def _next(self) -> None:
        """Rank a batch of one version's."""
        ranker = self._waiting[0][0]
        batch: list[_Waiting] = []
        while self._waiting and self._waiting[0][0] is ranker and len(batch) < BATCH:
            batch.append(self._waiting.popleft())
        batch = [each for each in batch if not each[3].done()]  # who asked may have gone
        begun = perf_counter()
        try:
            length = max((length for _, _, length, _ in batch), default=1)
            lists: list[SessionList | None] = [*ranker.rank([each[1] for each in batch], length)]
        except (
            Exception
        ):  # the outer edge of what nobody waits for: lists that lie ready are answered instead
            log.exception("sessions_failed version=%s", ranker.version)
            lists = [None] * len(batch)
        for (*_, waiting), found in zip(batch, lists, strict=True):
            waiting.set_result(found)
        took = perf_counter() - begun
        ranker.seconds += (1 - _REMEMBERED) * (took - ranker.seconds)
        if self._waiting:
            self._due = asyncio.get_running_loop().call_soon(self._next)
