"""Results that took long, kept as JSON lines, so that a run resumes what an earlier one had finished."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any


def digest_of(settings: Mapping[str, Any], files: Iterable[Path]) -> str:
    """What a result follows from: the settings, and the code that made it."""
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode())
    for path in sorted(files):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


class Kept:
    """One line a result; a line that a killed run left cut short counts as none."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def once(self, digest: str, what: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """The result of this digest: the one that is kept, or the one that is made now and kept."""
        found = self._find(digest)
        if found is None:
            found = make()
            self._path.parent.mkdir(parents=True, exist_ok=True)
            # A line of its own, whatever a killed run has left of the one before.
            line = json.dumps({"digest": digest, "what": what, "result": found})
            with self._path.open("a", encoding="utf-8") as stream:
                stream.write(f"\n{line}\n")
        return found

    def _find(self, digest: str) -> dict[str, Any] | None:
        for line in self._path.read_text(encoding="utf-8").splitlines() if self._path.exists() else []:
            try:
                kept = json.loads(line)
            except ValueError:
                continue
            if kept["digest"] == digest:
                result: dict[str, Any] = kept["result"]
                return result
        return None
