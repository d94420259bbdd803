"""A small file that is read whole or not at all: the digest of what follows, then the text."""

from __future__ import annotations

import hashlib
import logging
import os
from pathlib import Path

log = logging.getLogger("foretaste.serving")


def write_whole(path: Path, text: bytes) -> None:
    """Replace the file: readers see it as it was before or after, never between. A full disk costs the memory alone."""
    staged = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with staged.open("wb") as stream:
            stream.write(hashlib.sha256(text).hexdigest().encode() + b"\n" + text)
            stream.flush()
            os.fsync(stream.fileno())
        staged.replace(path)
    except OSError as error:
        log.warning("file_not_written path=%s why=%s", path, error)


def read_whole(path: Path) -> bytes | None:
    """The text; None where there is no file, or a torn one."""
    try:
        digest, _, text = path.read_bytes().partition(b"\n")
    except OSError:
        return None
    if hashlib.sha256(text).hexdigest().encode() != digest:
        log.error("file_torn path=%s", path)
        return None
    return text
