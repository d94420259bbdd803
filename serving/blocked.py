"""What nobody may be shown, as this machine remembers it: a store that is away, or has lost it, unblocks nothing."""

from __future__ import annotations

import logging
from pathlib import Path

from contracts.blocked import BlockedItems, unpack_blocked
from serving.whole_file import read_whole, write_whole

log = logging.getLogger("foretaste.serving")


class Blocked:
    """The ids of blocked items, and the file that keeps them."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._text: bytes | None = None  # that was looked at last
        self._heard, self._said = BlockedItems(), b""

    @property
    def items(self) -> frozenset[str]:
        return self._heard.items

    def remember(self) -> None:
        """Take up what the disk holds."""
        self.hear(read_whole(self._path))

    def hear(self, text: bytes | None) -> bool:
        """Take up what the store says; is it news? Nothing is, and an older word than is known."""
        if text is None or text == self._text:
            return False
        self._text = text
        try:
            told = unpack_blocked(text)
        except ValueError as error:
            log.error("blocked_items_unreadable kept=%d why=%s", len(self.items), error)
            return False
        if told.said_at < self._heard.said_at:
            log.warning("blocked_items_outdated kept=%s told=%s", self._heard.said_at, told.said_at)
            return False
        log.info("blocked_items_changed num=%d said_at=%s", len(told.items), told.said_at)
        self._heard, self._said = told, text
        return True

    def keep(self) -> None:
        """Have the disk hold what was heard."""
        write_whole(self._path, self._said)
