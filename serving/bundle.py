"""A published version as an API process holds it: everything but the users' lists, loaded whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, replace
from datetime import datetime

from contracts.decisions import Item
from contracts.lists import PackedList, Pointer, unpack
from serving.compiled_rules import ActiveRules
from serving.content import Content


@dataclass(frozen=True, slots=True)
class Bundle:
    """One version: what the indices of its lists mean, the list of whoever has none, and the rules of what is shown."""

    pointer: Pointer
    published_at: datetime  # first; a rollback to it does not make it younger
    content: Content
    packed_popular: bytes
    popular: PackedList
    is_whole: bool  # False: there are the items of the popular list, and those that rules give a place, alone
    rules: ActiveRules
    related: (
        Mapping[str, bytes] | None
    )  # by item, the packed list of what goes with it; None: it is not known

    @classmethod
    def of(
        cls,
        pointer: Pointer,
        published_at: str,
        content: Content,
        popular: bytes,
        related: Mapping[str, bytes] | None = None,
        *,
        is_whole: bool,
    ) -> Bundle:
        """The bundle of what was read; nothing is blocked yet.

        Raises:
            ValueError: the popular list is none, or names an item that there is not.
        """
        found = unpack(popular)
        if missing := set(found.indices) - content.items.keys():
            raise ValueError(f"its popular list names item {min(missing)}, which is not there")
        since = datetime.fromisoformat(published_at)
        rules = content.activate(frozenset(), frozenset(), since.timestamp())
        return cls(pointer, since, content, popular, found, is_whole, rules, related)

    @property
    def version(self) -> str:
        return self.pointer.version

    @property
    def items(self) -> Mapping[int, Item]:
        return self.content.items

    def age_seconds(self, now: datetime) -> int:
        return max(0, int((now - self.published_at).total_seconds()))

    def under(self, blocked: Set[str], stopped: Set[str], now: float) -> Bundle:
        """The same under its rules as they are at an instant.

        Args:
            blocked: ids of items that nobody may be shown.
            stopped: names of experiments that nobody takes part in any more.
            now: seconds since 1970.
        """
        return replace(self, rules=self.content.activate(blocked, stopped, now))


def needed_of(popular: PackedList) -> set[int]:
    """The items without which a popular list cannot be shown."""
    return {*popular.indices, *(index for _, index in popular.reasons)}
