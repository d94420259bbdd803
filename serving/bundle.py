"""A published version as an API process holds it: everything but the users' lists, loaded whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec

from contracts.decisions import Item
from contracts.lists import PackedList, Pointer, unpack

_item = msgspec.json.Decoder(Item)


@dataclass(frozen=True, slots=True)
class Bundle:
    """One version: what the indices of its lists mean, and the list of whoever has none."""

    pointer: Pointer
    published_at: datetime  # first; a rollback to it does not make it younger
    items: Mapping[int, Item]
    packed_popular: bytes
    popular: PackedList
    related: (
        Mapping[str, bytes] | None
    )  # by item, the packed list of what goes with it; None: it is not known
    is_whole: bool  # False: there are the items of the popular list alone

    @classmethod
    def of(
        cls,
        pointer: Pointer,
        published_at: str,
        items: Mapping[int, Item],
        popular: bytes,
        related: Mapping[str, bytes] | None = None,
        *,
        is_whole: bool,
    ) -> Bundle:
        """The bundle of what was read.

        Raises:
            ValueError: the popular list is none, or names an item that there is not.
        """
        found = unpack(popular)
        if missing := set(found.indices) - items.keys():
            raise ValueError(f"its popular list names item {min(missing)}, which is not there")
        return cls(pointer, datetime.fromisoformat(published_at), items, popular, found, related, is_whole)

    @property
    def version(self) -> str:
        return self.pointer.version

    def age_seconds(self, now: datetime) -> int:
        return max(0, int((now - self.published_at).total_seconds()))


def items_of(indices: Sequence[int], texts: Sequence[bytes]) -> dict[int, Item]:
    """Items by index.

    Raises:
        ValueError: a text is not the JSON of an item.
    """
    return {index: _item.decode(text) for index, text in zip(indices, texts, strict=True)}
