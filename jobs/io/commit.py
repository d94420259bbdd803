"""The commit protocol that every store follows: stage → make durable → check the fence → flip one pointer.

Each store implements it in a few lines; what they share is here: durable writes, digests, and the
named boundaries at which a process may die. A boundary does nothing in production. The fault tests
replace :data:`boundary` with a function that kills the process, so that what is killed is the real
code at the real place.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

#: Called with the name of each boundary as it is crossed; the fault tests inject a killer here.
boundary: Callable[[str], None] = lambda name: None  # noqa: E731

#: Every boundary of the protocol: ``<store>:<what has just become true>``. A test fails if one is never crossed.
BOUNDARIES = (
    "journal:closed",
    "journal:delivered",
    "feed:object_written",
    "journal:shipped",
    "journal:removed",
    "lake:staged",
    "lake:moved",
    "lake:committed",
    "lake:collected",
    "warehouse:replaced",
    "warehouse:committed",
    "state:recorded",
    "checkpoint:kept",
    "registry:promoted",
    "online:written",
    "online:verified",
    "online:flipped",
    "online:collected",
    "objects:data_written",
    "objects:manifest_written",
    "objects:pointer_written",
)


def cross(name: str) -> None:
    """Say that a boundary has been crossed."""
    boundary(name)


def canonical_json(value: Any) -> str:
    """JSON with one spelling, for digests."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)


def digest_of(value: Any) -> str:
    """sha256 of the canonical JSON of ``value``."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def sha256_of_file(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def fsync_path(path: Path) -> None:
    """Make a file's bytes, or a folder's entries, survive a crash."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_durably(path: Path, text: str, mode: int = 0o644) -> None:
    """Replace a small file whole: readers see the old text or the new, never a torn one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    staged = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    staged.replace(path)
    fsync_path(path.parent)
