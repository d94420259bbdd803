"""The body of ``POST /v1/events`` as a value: JSON that everybody reads alike, read in C but for bodies that look odd."""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec

from serving.event_rules import RequestUnfit

#: What ends a key. It stands in some texts as well, so that there are never fewer of it than keys.
_AFTER_A_KEY = re.compile(rb'"[ \t\r\n]*:')


def decode_events(body: bytes) -> Any:
    """The value that a body holds; ``read_events`` says what of it is taken.

    Raises:
        RequestUnfit: it is no JSON, holds NaN or a number that is none, or names a key twice in one object.
    """
    try:
        request = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RequestUnfit(f"the body is no JSON: {error}. Send one object in UTF-8") from error
    if len(_AFTER_A_KEY.findall(body)) != _num_keys(request):
        json.loads(body, object_pairs_hook=_unique)
    return request


def _num_keys(request: Any) -> int:
    """The keys of a request and of the events in it. Whatever holds objects deeper down has more, and is looked at slowly."""
    if not isinstance(request, dict):
        return 0
    events = request.get("events")
    return len(request) + sum(map(len, filter(_is_object, events if isinstance(events, list) else ())))


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


def _unique(pairs: list[tuple[str, Any]]) -> None:
    seen = set()
    for key, _ in pairs:
        if key in seen:
            raise RequestUnfit(f"the key {ascii(key)[:100]} stands twice in one object. Send each key once")
        seen.add(key)
