"""``POST /v1/events``: what is taken, what is refused and why, and that it is durable before it is acknowledged."""

from __future__ import annotations

import asyncio
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from http import HTTPStatus
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from contracts.events import MOST_EVENTS, Event
from contracts.feed import LATE_DAYS
from serving.group_commit import GroupCommit
from serving.journal import CONFLICTING, NEW, EventJournal, Record

#: A shop's clock may be so much ahead of ours.
CLOCK_SKEW = timedelta(minutes=5)
#: The landing refuses what is older by the day of its delivery, which may be tomorrow.
_OLDEST = timedelta(days=LATE_DAYS - 1)

_MOST_WAITING = 50_000
#: No caller waits longer.
_PATIENCE = 0.25

_TEXTS = ("event_id", "user_id", "item_id", "session_id", "surface", "decision_id")
_CONTROL = re.compile("[\x00-\x1f\x7f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_ODD = re.compile(rf"^(?i:\s*|null|none|nan|undefined)$|{_CONTROL.pattern}|[^\x00-\x7f]")
_PLACEHOLDERS = ("null", "none", "nan", "undefined")
_ID_BYTES = 128
_PATH = re.compile(r" - at `\$\.(\w+)`$")
_NAMED = re.compile(r"^Object (?:contains unknown|missing required) field `(.*)`$", re.DOTALL)
_encode = msgspec.json.Encoder().encode


class Refusal(Struct, frozen=True):
    """An event that is not taken: where it stood, what of it is wrong, and the way out."""

    index: int
    event_id: str | None
    field: str
    value: str
    why: str
    hint: str


class Received(Struct, frozen=True):
    """What became of the events of a request."""

    accepted: int
    duplicates: int
    conflicts: tuple[Refusal, ...]
    refused: tuple[Refusal, ...]

    @property
    def status(self) -> int:
        """Good events are kept whatever stands beside them; only where there are none is the request refused."""
        if self.accepted or self.duplicates or not (self.conflicts or self.refused):
            return HTTPStatus.ACCEPTED
        return HTTPStatus.UNPROCESSABLE_ENTITY if self.refused else HTTPStatus.CONFLICT


@dataclass(frozen=True, slots=True)
class Told:
    """An event that may be taken, and where it stood."""

    index: int
    event_id: str
    record: Record


class RequestUnfit(Exception):
    """A request is neither an event nor a batch of them."""


def read_events(request: Any, now: datetime) -> tuple[list[Told], list[Refusal]]:
    """The events of a request as decoded from JSON, one or a batch, and those that cannot be taken.

    Raises:
        RequestUnfit: the request as a whole is no such thing.
    """
    told, refused = [], []
    for index, each in enumerate(_events_of(request)):
        event = _event_of(index, each, now)
        if isinstance(event, Refusal):
            refused.append(event)
        else:
            told.append(Told(index, event.event_id, _record(event, now)))
    return told, refused


def judge(told: Sequence[Told], outcomes: Sequence[str], refused: Sequence[Refusal]) -> Received:
    """What to answer, by what the journal said of each event."""
    conflicts = tuple(
        _refusal(each.index, each.event_id, "event_id", each.event_id, "another event has been sent under this id, and the first counts",
                 "give every event an id of its own, and send it unchanged when you send it again")
        for each, outcome in zip(told, outcomes, strict=True)
        if outcome == CONFLICTING
    )  # fmt: skip
    num_new = sum(outcome == NEW for outcome in outcomes)
    return Received(num_new, len(told) - num_new - len(conflicts), conflicts, tuple(refused))


class Events:
    """Takes events: each is durable, once, before it is acknowledged."""

    def __init__(self, home: Path) -> None:
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
        return judge(told, outcomes, refused)

    async def close(self) -> None:
        await self._commits.close()
        await asyncio.to_thread(self._journal.close)


def _events_of(request: Any) -> list[Any]:
    if not isinstance(request, dict):
        raise RequestUnfit(
            f'the body is {_shown(request)}. Send an event, or {{"events": [...]}} with up to {MOST_EVENTS} of them'
        )
    if "events" not in request:
        return [request]
    events = request["events"]
    if len(request) > 1 or not isinstance(events, list) or not events:
        raise RequestUnfit('a batch is {"events": [...]} with one event at least, and nothing beside it')
    if len(events) > MOST_EVENTS:
        raise RequestUnfit(
            f"{len(events)} events are in one request. Send {MOST_EVENTS} at most, and the others in a further one"
        )
    return events


def _event_of(index: int, given: Any, now: datetime) -> Event | Refusal:
    try:
        event = msgspec.convert(given, Event)
    except msgspec.ValidationError as error:
        return _misfit(index, given, str(error))
    for name in _TEXTS:
        text = getattr(event, name)
        if text is not None and _ODD.search(text):
            if why := _why_odd(text):
                return _refusal(index, event.event_id, name, text, *why)
            event = msgspec.structs.replace(event, **{name: unicodedata.normalize("NFC", text)})
    if event.occurred_at > now + CLOCK_SKEW:
        return _refusal(index, event.event_id, "occurred_at", given["occurred_at"], f"is later than {now:%Y-%m-%dT%H:%M:%SZ}",
                        "set the clock, and mind the offset")  # fmt: skip
    if event.occurred_at.astimezone(UTC).date() < now.date() - _OLDEST:
        return _refusal(index, event.event_id, "occurred_at", given["occurred_at"], f"is more than {_OLDEST.days} days ago",
                        "deliver a history as files: docs/feeds.md")  # fmt: skip
    return event


def _why_odd(text: str) -> tuple[str, str] | None:
    """Why the landing would refuse a text, and the way out; None where it is merely not ASCII."""
    if _CONTROL.search(text):
        return "holds control or direction characters", "send the text without them"
    if not text.strip() or text.lower() in _PLACEHOLDERS:
        return "stands for nothing", "leave the field out where there is nothing to say"
    if len(text.encode()) > _ID_BYTES:
        return f"has more than {_ID_BYTES} bytes", "send a shorter one"
    return None


def _record(event: Event, now: datetime) -> Record:
    """The event's one spelling: the same event in another order of fields, or at another offset, has the same."""
    line = _encode(msgspec.structs.replace(event, occurred_at=event.occurred_at.astimezone(UTC)))
    key = blake2b(event.event_id.encode(), digest_size=8).digest()
    return Record(now.date(), line, key + blake2b(line, digest_size=8).digest())


def _misfit(index: int, given: Any, said: str) -> Refusal:
    """What msgspec says, with the field and its value apart."""
    if not isinstance(given, dict):
        return _refusal(index, None, "", given, said, "send an object for each event")
    path, named = _PATH.search(said), _NAMED.match(said)
    field = path[1] if path else named[1] if named else ""
    event_id = given.get("event_id")
    return _refusal(index, event_id if isinstance(event_id, str) else None, field, given.get(field), said.removesuffix(path[0]) if path else said,
                    "docs/feeds.md describes every field of an event")  # fmt: skip


def _refusal(index: int, event_id: str | None, field: str, value: Any, why: str, hint: str) -> Refusal:
    return Refusal(
        index, event_id if event_id is None else _shown(event_id), _shown(field), _shown(value), why, hint
    )


def _shown(value: Any) -> str:
    """A value as it may stand in an answer and a log: short, and without characters that act."""
    text = ascii(value)
    text = text[1:-1] if isinstance(value, str) else text
    return text if len(text) <= 100 else f"{text[:97]}..."
