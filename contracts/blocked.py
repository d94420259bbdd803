"""Which items nobody may be shown, as jobs tell the API: one text, replaced whole whatever the version is."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

#: Items blocked at once: the API looks at the text ten times a second. Whole kinds of items are a filter's to hide.
MOST_BLOCKED = 1000


class BlockedItems(msgspec.Struct, frozen=True):
    """The ids of all blocked items.

    Args:
        said_at: when the last item was blocked or unblocked (ISO 8601, UTC); "" where none ever was. A reader that knows of a
            later word does not listen: a store that was restored from before unblocks nothing.
    """

    said_at: str = ""
    items: frozenset[str] = frozenset()


def pack_blocked(items: Iterable[str], said_at: str) -> bytes:
    """The text that ``ft:blocked`` holds; the same for the same items."""
    return msgspec.json.encode({"said_at": said_at, "items": sorted(items)})


def unpack_blocked(text: bytes) -> BlockedItems:
    """The inverse of :func:`pack_blocked`.

    Raises:
        ValueError: the text is none.
    """
    return msgspec.json.decode(text, type=BlockedItems)
