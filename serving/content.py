"""The items of a version with the rules of what is shown of them; filled part by part, while requests go on."""

from __future__ import annotations

from collections.abc import Iterable, Set

import msgspec

from contracts.decisions import Item
from contracts.lists import Pointer
from contracts.published_items import PublishedItem
from contracts.serving_rules import ServingRules, digest_of_rules
from serving.compiled_rules import ActiveRules, activate
from serving.item_columns import Columns

_item = msgspec.json.Decoder(PublishedItem)


class Content:
    """What a version holds beside its lists.

    Args:
        rules: as they were published; None: the version is of a release that had none.
        num_items: up to the highest index.
        remembered: the items whose texts are kept, beside the pinned ones.

    Raises:
        ValueError: the rules are none that this release knows.
    """

    def __init__(self, rules: bytes | None, num_items: int, remembered: Iterable[int]) -> None:
        self.rules_text = rules
        self._rules = ServingRules() if rules is None else ServingRules.model_validate_json(rules)
        self._pinned, self._named = self._rules.pinned, self._rules.named
        self._index_of: dict[str, int] = {}
        self._columns, self._remembered = Columns(num_items), {*remembered}
        self.items: dict[int, Item] = {}
        self.texts: dict[int, bytes] = {}

    def fill(self, texts: Iterable[tuple[int, bytes]]) -> None:
        """Take in items by index.

        Raises:
            ValueError: a text is not the JSON of an item.
        """
        for index, text in texts:
            item = _item.decode(text)
            self.items[index] = Item(item.item_id, item.title)
            self._columns.fill(index, item)
            if item.item_id in self._named:
                self._index_of[item.item_id] = index
            if index in self._remembered or item.item_id in self._pinned:
                self.texts[index] = text

    def activate(self, blocked: Set[str], now: float) -> ActiveRules:
        """The rules at an instant, in seconds since 1970; ``blocked`` are ids."""
        found = {index for index, item in self.items.items() if item.item_id in blocked} if blocked else set()
        return activate(self._rules, self._columns, self._index_of, found, now)


def refuse_other_rules(pointer: Pointer, rules: bytes | None) -> None:
    """Refuse rules that are not those of the version.

    Raises:
        ValueError: they are not.
    """
    if pointer.rules is not None and (rules is None or digest_of_rules(rules) != pointer.rules):
        raise ValueError("its rules are not those that were published")
