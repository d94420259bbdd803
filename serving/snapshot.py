"""What this machine remembers of the last version: enough for popular lists when the online store is gone at a start."""

from __future__ import annotations

import base64
import logging
from pathlib import Path

import msgspec

from contracts.lists import Pointer, unpack
from serving.bundle import Bundle, needed_of
from serving.content import Content
from serving.whole_file import read_whole, write_whole

log = logging.getLogger("foretaste.serving")


class _Remembered(msgspec.Struct):
    pointer: str
    published_at: str
    items: dict[int, str]  # by index, as they were published
    rules: str | None  # as they were published
    popular: str  # the packed list, in base64


class Snapshot:
    """A small file: the version's popular list, its items and the rules that it is shown under."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, bundle: Bundle) -> None:
        """Remember a version; a full disk costs the memory alone."""
        content = bundle.content
        remembered = _Remembered(
            bundle.pointer.to_json(),
            bundle.published_at.isoformat(),
            {index: content.texts[index].decode() for index in sorted(content.texts)},
            None if content.rules_text is None else content.rules_text.decode(),
            base64.b64encode(bundle.packed_popular).decode(),
        )
        write_whole(self._path, msgspec.json.encode(remembered))

    def read(self) -> Bundle | None:
        """The version that was remembered; None where there is no file, or a torn one."""
        text = read_whole(self._path)
        if text is None:
            return None
        try:
            found = msgspec.json.decode(text, type=_Remembered)
            popular = base64.b64decode(found.popular)
            rules = None if found.rules is None else found.rules.encode()
            content = Content(rules, max(found.items, default=-1) + 1, needed_of(unpack(popular)))
            content.fill((index, item.encode()) for index, item in found.items.items())
            return Bundle.of(
                Pointer.from_json(found.pointer), found.published_at, content, popular, is_whole=False
            )
        except (ValueError, TypeError, KeyError) as error:
            log.warning("snapshot_unreadable path=%s why=%s", self._path, error)  # another release wrote it
            return None
