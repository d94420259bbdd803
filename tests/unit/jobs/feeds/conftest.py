"""Reading back what an importer wrote."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Callable
from pathlib import Path

import pytest

Rows = list[dict[str, str]]


@pytest.fixture
def delivered() -> Callable[[Path, str, str], Rows]:
    """The rows of one complete delivery; none where there is no such folder."""

    def read(feed: Path, kind: str, day: str) -> Rows:
        folder = feed / kind / f"received={day}"
        if not folder.exists():
            return []
        assert (folder / "_SUCCESS").exists()
        with gzip.open(folder / f"{kind}.csv.gz", "rt", encoding="utf-8", newline="") as stream:
            return list(csv.DictReader(stream))

    return read


@pytest.fixture
def contents() -> Callable[[Path], dict[str, bytes]]:
    """Every file below a folder, by its path."""

    def read(folder: Path) -> dict[str, bytes]:
        return {
            str(path.relative_to(folder)): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }

    return read
