"""What is published of an item, as JSON by its index in the version's vocabulary: jobs write it, readers read it."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from msgspec import Struct, field

#: The attribute whose number counts as an item's margin, in whatever unit the shop has it.
MARGIN = "margin"


class PublishedItem(Struct, frozen=True, gc=False):
    """An item as it was known when the version's day ended; a version of an earlier release says less.

    Args:
        available_from: for sale from this instant on; None: it always was.
        available_until: for sale up to, not at, this instant; None: no end is known.
        popularity: what recent popularity ranks by (``popularity_7d``).
        margin: the number of the attribute ``margin``.
        attributes: of those that a rule names, the values in words.
    """

    item_id: str
    title: str | None = None
    category: str | None = None
    brand: str | None = None
    price_cents: int | None = None
    available_from: datetime | None = None  # UTC
    available_until: datetime | None = None  # UTC
    popularity: float = 0.0
    margin: float | None = None
    attributes: dict[str, tuple[str, ...]] = field(default_factory=dict)


def attributes_of(text: str | None) -> dict[str, Any]:
    """The attributes that a shop told of an item as JSON; none where it is no object."""
    found = None if text is None else json.loads(text)
    return found if isinstance(found, dict) else {}


def values_of(value: Any) -> tuple[str, ...]:
    """The values of an attribute as rules spell them: text as it is, anything else as JSON, each one of a list by itself."""
    if isinstance(value, list):
        return tuple(each for one in value for each in values_of(one))
    if value is None:
        return ()
    return (value if isinstance(value, str) else json.dumps(value, ensure_ascii=False),)
