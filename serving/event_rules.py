"""What an event has to be like to be taken, and what of a request is refused and why: a function of the request and the time."""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, datetime, time, timedelta
from hashlib import blake2b
from itertools import product
from typing import Any

import msgspec
from msgspec import Struct

from contracts.events import MOST_EVENTS, Event, Refusal
from contracts.feed import LATE_DAYS
from contracts.ids import BLANKS, CLOCK_SKEW, CONTROLS, MOST_BYTES, PLACEHOLDERS
from serving.journal import Record

#: The landing refuses what is older by the day of its delivery, which may be tomorrow.
_OLDEST = timedelta(days=LATE_DAYS - 1)

_TEXTS = ("event_id", "user_id", "item_id", "session_id", "surface", "decision_id")
_BLANK = re.compile(f"[\\s{BLANKS}]*")
_CONTROL = re.compile(f"[{CONTROLS}\ud800-\udfff]")
_PLACEHOLDERS: frozenset[str | None] = frozenset(
    "".join(letters)
    for word in PLACEHOLDERS
    for letters in product(*((letter, letter.upper()) for letter in word))
)
_PATH = re.compile(r" - at `\$\.(\w+)`$")
_NAMED = re.compile(r"^Object (?:contains unknown|missing required) field `(.*)`$", re.DOTALL)
_encode = msgspec.json.Encoder().encode


class Told(Struct, frozen=True, gc=False):
    """An event that may be taken, and where it stood."""

    index: int
    event: Event
    record: Record


class RequestUnfit(Exception):
    """A request is neither an event nor a batch of them."""


def read_events(request: Any, now: datetime) -> tuple[list[Told], list[Refusal]]:
    """The events of a request as decoded from JSON, one or a batch, and those that cannot be taken.

    Raises:
        RequestUnfit: the request as a whole is no such thing.
    """
    told, refused = [], []
    earliest = datetime.combine(now.astimezone(UTC).date() - _OLDEST, time.min, UTC)
    latest, arrived = now + CLOCK_SKEW, now.astimezone(UTC).date()
    for index, given in enumerate(_events_of(request)):
        try:
            event = msgspec.convert(given, Event)
        except msgspec.ValidationError as error:
            refused.append(_misfit(index, given, str(error)))
            continue
        if not earliest <= event.occurred_at <= latest:
            refused.append(_out_of_time(index, event, given["occurred_at"], earliest, now))
            continue
        line = _line(event)
        if not _is_plain(event, line):
            wrong = _wrong_text(index, event)
            if wrong is not None:
                refused.append(wrong)
                continue
            event = _respelt(event)
            line = _line(event)
        key = blake2b(event.event_id.encode(), digest_size=8).digest()
        record = Record(arrived, line, key + blake2b(line, digest_size=8).digest())
        told.append(Told(index, event, record))
    return told, refused


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


def _line(event: Event) -> bytes:
    try:
        return _encode(event)
    except UnicodeEncodeError:  # half of a surrogate pair
        return b"\\"


def _is_plain(event: Event, line: bytes) -> bool:
    """Is nothing of it to be looked at more closely? Of most events nothing is, and looking takes longer than all else.

    In a line all control characters but DEL are escaped, and a value that is blank begins with a space.
    """
    return (
        event.occurred_at.tzinfo is UTC
        and line.isascii()
        and b"\\" not in line
        and b"\x7f" not in line
        and b'" ' not in line
        and _PLACEHOLDERS.isdisjoint(
            (event.event_id, event.user_id, event.item_id, event.session_id, event.surface, event.decision_id)
        )
    )


def _wrong_text(index: int, event: Event) -> Refusal | None:
    """What the landing would refuse of its texts, and the way out."""
    for name in _TEXTS:
        text = getattr(event, name)
        if text is None:
            continue
        if _CONTROL.search(text):
            why = "holds control or direction characters", "send the text without them"
        elif _BLANK.fullmatch(text) or text in _PLACEHOLDERS:
            why = "stands for nothing", "leave the field out where there is nothing to say"
        elif len(text.encode()) > MOST_BYTES:
            why = f"has more than {MOST_BYTES} bytes", "send a shorter one"
        else:
            continue
        return refusal_of(index, event.event_id, name, text, *why)
    return None


def _respelt(event: Event) -> Event:
    """The event's one spelling: at another offset, or in another Unicode form, it is the same event."""
    texts = {name: getattr(event, name) for name in _TEXTS}
    composed = {name: text and unicodedata.normalize("NFC", text) for name, text in texts.items()}
    return msgspec.structs.replace(event, occurred_at=event.occurred_at.astimezone(UTC), **composed)


def _out_of_time(index: int, event: Event, given: Any, earliest: datetime, now: datetime) -> Refusal:
    if event.occurred_at < earliest:
        why = f"is more than {_OLDEST.days} days ago", "deliver a history as files: docs/feeds.md"
    else:
        why = f"is later than {now:%Y-%m-%dT%H:%M:%SZ}", "set the clock, and mind the offset"
    return refusal_of(index, event.event_id, "occurred_at", given, *why)


def _misfit(index: int, given: Any, said: str) -> Refusal:
    """What msgspec says, with the field and its value apart."""
    if not isinstance(given, dict):
        return refusal_of(index, None, "", given, said, "send an object for each event")
    path, named = _PATH.search(said), _NAMED.match(said)
    field = path[1] if path else named[1] if named else ""
    event_id = given.get("event_id")
    return refusal_of(index, event_id if isinstance(event_id, str) else None, field, given.get(field), said.removesuffix(path[0]) if path else said,
                    "docs/feeds.md describes every field of an event")  # fmt: skip


def refusal_of(index: int, event_id: str | None, field: str, value: Any, why: str, hint: str) -> Refusal:
    return Refusal(
        index, event_id if event_id is None else _shown(event_id), _shown(field), _shown(value), why, hint
    )


def _shown(value: Any) -> str:
    """A value as it may stand in an answer and a log: short, and without characters that act."""
    text = ascii(value)
    text = text[1:-1] if isinstance(value, str) else text
    return text if len(text) <= 100 else f"{text[:97]}..."
