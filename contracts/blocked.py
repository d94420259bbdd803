"""Which items nobody may be shown, as jobs tell the API: the ids in one text, replaced whole whatever the version is."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

#: Items blocked at once: the API looks at the text ten times a second. Whole kinds of items are a filter's to hide.
MOST_BLOCKED = 1000


class _Blocked(msgspec.Struct):
    items: list[str]


def pack_blocked(item_ids: Iterable[str]) -> bytes:
    """The text that ``ft:blocked`` holds; the same for the same items."""
    return msgspec.json.encode(_Blocked(sorted(item_ids)))


def unpack_blocked(text: bytes) -> frozenset[str]:
    """The inverse of :func:`pack_blocked`.

    Raises:
        ValueError: the text is none.
    """
    return frozenset(msgspec.json.decode(text, type=_Blocked).items)
