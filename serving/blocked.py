"""What nobody may be shown, as this machine remembers it: a store that is away, or has lost it, unblocks nothing."""

from __future__ import annotations

import logging
from pathlib import Path

from contracts.blocked import unpack_blocked
from serving.whole_file import read_whole, write_whole

log = logging.getLogger("foretaste.serving")


class Blocked:
    """The ids of blocked items, and the file that keeps them."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._text: bytes | None = None
        self.items: frozenset[str] = frozenset()

    def remember(self) -> None:
        """Take up what the disk holds."""
        self.hear(read_whole(self._path))

    def hear(self, text: bytes | None) -> bool:
        """Take up what the store says; is it news? None, which a store says that has lost it, is not."""
        if text is None or text == self._text:
            return False
        self._text = text
        try:
            self.items = unpack_blocked(text)
        except ValueError as error:
            log.error("blocked_items_unreadable kept=%d why=%s", len(self.items), error)
            return False
        log.info("blocked_items_changed num=%d", len(self.items))
        return True

    def keep(self) -> None:
        """Have the disk hold what was heard last."""
        if self._text is not None:
            write_whole(self._path, self._text)
