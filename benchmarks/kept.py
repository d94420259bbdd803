"""Results that took long, kept as JSON lines and weights, so that a run resumes what an earlier one had finished."""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from models.recommender import State
from models.splits import Split

_ROOT = Path(__file__).parents[1]
_PACKAGES = ("benchmarks", "models", "jobs")
#: Lists are exact whatever makes them, which its tests hold; data are known by their content, whatever has read them.
_ANYHOW = ("models/topk.py", "benchmarks/data_sets.py")


@cache
def code_of(*paths: Path) -> list[Path]:
    """The files and all that they import of the repository's code, however far away: what a result of theirs follows from."""
    found: set[Path] = set()
    waiting = [path.resolve() for path in paths]
    while waiting:
        path = waiting.pop()
        if path not in found and str(path.relative_to(_ROOT)) not in _ANYHOW:
            found.add(path)
            waiting += _imported(path)
    return sorted(found)


def _imported(path: Path) -> Iterator[Path]:
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{each.name}" for each in node.names)]
        elif isinstance(node, ast.Import):
            names = [each.name for each in node.names]
        else:
            continue
        for name in names:
            file = _ROOT.joinpath(*name.split(".")).with_suffix(".py")
            if name.split(".")[0] in _PACKAGES and file.is_file():
                yield file


def digest_of(settings: Mapping[str, Any], files: Iterable[Path]) -> str:
    """What a result follows from: the settings, and the code that made it, whatever its layout and its comments."""
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode())
    for path in sorted(files):
        digest.update(path.name.encode() + b"\0" + _meaning(path.read_bytes()))
    return digest.hexdigest()[:16]


@cache
def _meaning(code: bytes) -> bytes:
    return ast.dump(ast.parse(code)).encode()


def digest_of_split(split: Split) -> str:
    """What is learnt from and what is asked, item by item."""
    digest = hashlib.sha256()
    for sequences in (split.fit, split.refit, split.validation.histories, split.test.histories):
        digest.update(np.array([len(each) for each in sequences], np.int64).tobytes())
        for sequence in sequences:
            digest.update(np.ascontiguousarray(sequence, np.int64).tobytes())
    for asked in (split.validation, split.test):
        digest.update(np.stack([asked.targets_Q, asked.users_Q]).astype(np.int64).tobytes())
    return digest.hexdigest()[:16]


class Kept:
    """One line a result; a line that a killed run left cut short counts as none."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def once(self, digest: str, what: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """The result of this digest: the one that is kept, or the one that is made now and kept."""
        found = self.find(digest)
        if found is None:
            found = make()
            self._write(digest, what, found)
        return found

    def learnt(
        self, digest: str, what: str, make: Callable[[], tuple[dict[str, Any], State]]
    ) -> tuple[dict[str, Any], State]:
        """The same of a result with weights, which lie in a file beside the lines."""
        found, file = self.find(digest), self._path.parent / "bench-weights" / f"{digest}.npz"
        if found is not None and file.is_file():
            with np.load(file) as arrays:
                return found, dict(arrays)
        found, weights = make()
        file.parent.mkdir(parents=True, exist_ok=True)
        half = file.with_suffix(".half.npz")  # a killed run leaves no file that cannot be read
        np.savez(half, **weights)  # type: ignore[arg-type]
        half.replace(file)
        self._write(digest, what, found)
        return found, weights

    def find(self, digest: str) -> dict[str, Any] | None:
        """What is kept of this digest."""
        for line in self._path.read_text(encoding="utf-8").splitlines() if self._path.exists() else []:
            try:
                kept = json.loads(line)
            except ValueError:
                continue
            if kept["digest"] == digest:
                result: dict[str, Any] = kept["result"]
                return result
        return None

    def _write(self, digest: str, what: str, found: Mapping[str, Any]) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        # A line of its own, whatever a killed run has left of the one before.
        line = json.dumps({"digest": digest, "what": what, "result": found})
        with self._path.open("a", encoding="utf-8") as stream:
            stream.write(f"\n{line}\n")
