"""What comes back: events that a shop reports, and every answer as it was made; both are durable, and shipped to the feed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path

import msgspec

from contracts.decisions import Decision
from contracts.errors import JournalUnavailable
from contracts.events import Event
from contracts.journal import LoggedDecision, LoggedItem
from serving.decision_log import LOGGED, DecisionLog
from serving.event_rules import RequestUnfit
from serving.events import Events
from serving.exchange import Answer
from serving.problems import Problem
from serving.strict_json import parse

_encode = msgspec.json.Encoder().encode


class Feedback:
    """The journal of a home folder, open; of one running loop.

    Args:
        remember: is told of events once they are durable.
    """

    def __init__(self, home: Path, remember: Callable[[Iterable[Event]], None]) -> None:
        self._events, self._decisions = Events(home, remember), DecisionLog(home)
        #: Events by what became of them.
        self.events = Counter[str]()

    async def prepare(self, now: datetime) -> None:
        """Make ready for what is decided from now on."""
        await self._decisions.prepare(now.astimezone(UTC).date())

    @property
    def decisions(self) -> Counter[str]:
        """Decisions by whether they were logged."""
        return self._decisions.counts

    @property
    def problem(self) -> str:
        """Why nothing can be learnt from what is answered now; "" where it can."""
        return (
            ""
            if self._decisions.is_logging
            else "decisions are not logged: the disk is full, failing or slow"
        )

    async def take(self, body: bytes, now: datetime) -> Answer:
        """Take what a shop reports.

        Raises:
            Problem: the body holds no events, or they could not be made durable.
        """
        try:
            received = await self._events.ingest(parse(body), now)
        except RequestUnfit as unfit:
            raise Problem(HTTPStatus.BAD_REQUEST, str(unfit), "See /openapi.json.") from unfit
        except JournalUnavailable as error:
            raise Problem(
                HTTPStatus.SERVICE_UNAVAILABLE,
                str(error),
                "Send the same events again after the seconds of Retry-After: none of them counts twice.",
                headers={"retry-after": "1"},
            ) from error
        self.events["accepted"] += received.accepted
        self.events["duplicate"] += received.duplicates
        self.events["conflicting"] += len(received.conflicts)
        self.events["refused"] += len(received.refused)
        return Answer(_encode(received), received.status)

    async def log(self, user_id: str, decision: Decision, shadow: Sequence[str], now: datetime) -> bool:
        """Log a decision before it is answered, with what its variant would have shown in the shadow; says whether it could be."""
        made = LoggedDecision(
            decision_id=decision.decision_id,
            decided_at=now,
            user_id=user_id,
            surface=decision.surface,
            version=decision.version,
            source=decision.source,
            fallback=decision.fallback,
            items=tuple(LoggedItem(item.item_id, item.position, item.propensity) for item in decision.items),
            made_from=decision.made_from,
            is_short=decision.is_short,
            rules_applied=decision.rules_applied,
            rules_dropped=decision.rules_dropped,
            variant=decision.variant,
            shadow=shadow,
        )
        return await self._decisions.write(made) == LOGGED

    async def close(self) -> None:
        """Write what has been added, and let go."""
        await self._events.close()
        await self._decisions.close()
