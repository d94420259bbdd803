"""What this machine remembers of the last version: enough for popular lists when the online store is gone at a start."""

from __future__ import annotations

import base64
import hashlib
import logging
import os
from pathlib import Path

import msgspec

from contracts.decisions import Item
from contracts.lists import Pointer
from serving.bundle import Bundle

log = logging.getLogger("foretaste.serving")


class _Remembered(msgspec.Struct):
    pointer: str
    published_at: str
    items: dict[int, Item]
    popular: str  # the packed list, in base64


class Snapshot:
    """A small file: the digest of what follows, then the version's popular list and its items."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, bundle: Bundle) -> None:
        """Remember a version; readers see the file before or after, never between. A full disk costs the memory alone."""
        named = {*bundle.popular.indices, *(index for _, index in bundle.popular.reasons)}
        text = msgspec.json.encode(
            _Remembered(
                bundle.pointer.to_json(),
                bundle.published_at.isoformat(),
                {index: bundle.items[index] for index in sorted(named)},
                base64.b64encode(bundle.packed_popular).decode(),
            )
        )
        staged = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with staged.open("wb") as stream:
                stream.write(hashlib.sha256(text).hexdigest().encode() + b"\n" + text)
                stream.flush()
                os.fsync(stream.fileno())
            staged.replace(self._path)
        except OSError as error:
            log.warning("snapshot_not_written version=%s why=%s", bundle.version, error)

    def read(self) -> Bundle | None:
        """The version that was remembered; None where there is no file, or a torn one."""
        try:
            digest, _, text = self._path.read_bytes().partition(b"\n")
        except OSError:
            return None
        if hashlib.sha256(text).hexdigest().encode() != digest:
            log.warning("snapshot_torn path=%s", self._path)
            return None
        try:
            found = msgspec.json.decode(text, type=_Remembered)
            return Bundle.of(
                Pointer.from_json(found.pointer),
                found.published_at,
                found.items,
                base64.b64decode(found.popular),
                is_whole=False,
            )
        except (ValueError, TypeError, KeyError) as error:
            log.warning("snapshot_unreadable path=%s why=%s", self._path, error)  # another release wrote it
            return None
