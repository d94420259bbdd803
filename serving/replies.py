"""What the online store sends, read as it comes: RESP2, https://redis.io/docs/latest/develop/reference/protocol-spec/.

redis-py reads a line at a time through eight functions, and of a decision that was the largest part.
"""

from __future__ import annotations

from typing import TypeAlias

_STRING, _ARRAY, _NUMBER, _SAID, _REFUSED = b"$*:+-"
_LINE_END = b"\r\n"


class Refused(Exception):
    """What the store answers instead, in its words."""


class NoReply(Exception):
    """The other side speaks no RESP2."""


Reply: TypeAlias = "bytes | int | Refused | list[Reply] | None"


class Replies:
    """Gives replies as soon as they are whole."""

    def __init__(self) -> None:
        self._unread = b""

    def read(self, received: bytes) -> list[Reply]:
        """Those that are whole with what has been received now.

        Raises:
            NoReply: these are none.
        """
        unread, at = self._unread + received, 0
        replies: list[Reply] = []
        while (found := _reply(unread, at)) is not None:
            reply, at = found
            replies.append(reply)
        self._unread = unread[at:]
        return replies


def _reply(text: bytes, at: int) -> tuple[Reply, int] | None:
    """The reply that begins somewhere, and where it ends; None where it has not come whole."""
    end = text.find(_LINE_END, at)
    if end < 0:
        return None
    kind, told, after = text[at], text[at + 1 : end], end + len(_LINE_END)
    if kind == _STRING:
        length = _number(told)
        if length < 0:
            return None, after
        end = after + length
        return (text[after:end], end + len(_LINE_END)) if len(text) >= end + len(_LINE_END) else None
    if kind == _ARRAY:
        return _array(text, after, _number(told))
    if kind == _NUMBER:
        return _number(told), after
    if kind == _SAID:
        return told, after
    if kind == _REFUSED:
        return Refused(told.decode(errors="replace")), after
    raise NoReply(f"a reply begins with {text[at : at + 20]!r}")


def _array(text: bytes, at: int, length: int) -> tuple[Reply, int] | None:
    if length < 0:
        return None, at
    parts: list[Reply] = []
    for _ in range(length):
        found = _reply(text, at)
        if found is None:
            return None
        part, at = found
        parts.append(part)
    return parts, at


def _number(told: bytes) -> int:
    try:
        return int(told)
    except ValueError as error:
        raise NoReply(f"{told[:20]!r} is no number") from error
