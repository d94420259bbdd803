"""The real data sets as arrays: read where they lie (``SOURCE``, ``FORETASTE_DATA`` or ``../shared/data``), never copied.

E events
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from jobs.feeds.movielens import RATINGS
from jobs.feeds.online_retail import HEADER, SERVICE_ITEMS, event_rows
from jobs.feeds.source_files import read_lines, read_rows
from models.recommender import IntArray

DAY_SECONDS = 86_400


@dataclass(frozen=True)
class Events:
    """Who took what, and when where that is known; in the order of the files, users and items numbered from 0."""

    users_E: npt.NDArray[np.int64]
    items_E: npt.NDArray[np.int64]
    times_E: npt.NDArray[np.float64] | None  # seconds; None: the order of the file is all there is
    repeats_allowed: bool

    @property
    def num_items(self) -> int:
        return int(self.items_E.max()) + 1


def folder_of(name: str) -> Path:
    """Where a data set lies.

    Raises:
        SystemExit: it does not; the message says how to name the place.
    """
    root = os.environ.get("SOURCE") or os.environ.get("FORETASTE_DATA")
    data = Path(root) if root else Path(__file__).resolve().parents[2] / "shared" / "data"
    if not (data / name).is_dir():
        raise SystemExit(f"{data} has no folder {name}: say where the data sets lie with SOURCE=folder")
    return data / name


@lru_cache(maxsize=1)
def beauty() -> Events:
    """Amazon Beauty, 5-core, as S3-Rec's sequences."""
    rows = (
        (int(text) for text in line.split(" "))
        for _, line in read_lines(folder_of("amazon-beauty") / "Beauty.txt")
    )
    return _numbered(np.array([(user, item) for user, *items in rows for item in items]), None)


@lru_cache(maxsize=1)
def movielens_1m() -> Events:
    """MovieLens 1M in the file of SASRec and gSASRec."""
    lines = read_lines(folder_of("movielens-1m") / "ml-1m.txt")
    return _numbered(np.array([[int(text) for text in line.split(" ")] for _, line in lines]), None)


@lru_cache(maxsize=1)
def movielens_100k() -> Events:
    """MovieLens 100K with seconds."""
    name, header = RATINGS
    _, rows = read_rows(folder_of("movielens-100k") / name, header, delimiter="\t", is_quoted=False)
    pairs = np.array([(int(user), int(item)) for user, item, *_ in rows])
    return _numbered(pairs, np.array([float(seconds) for *_, seconds in rows]))


@lru_cache(maxsize=1)
def online_retail() -> Events:
    """Purchases of known customers in UCI Online Retail: no returns, no service lines."""
    bought = list(_purchases(folder_of("online-retail")))
    users, items = ({name: number for number, name in enumerate(sorted(names))} for names in _names(bought))
    pairs = np.array([(users[user], items[item]) for user, item, _ in bought])
    return _numbered(pairs, np.array([second for *_, second in bought]), repeats_allowed=True)


def _purchases(folder: Path) -> Iterator[tuple[str, str, float]]:
    for path in sorted(folder.glob("*.csv*")):
        for _, user, item, kind, occurred_at, *_ in event_rows(read_rows(path, HEADER)[1]):
            if user and kind == "purchase" and item not in SERVICE_ITEMS:
                yield user, item, datetime.fromisoformat(occurred_at).timestamp()


def _names(bought: list[tuple[str, str, float]]) -> tuple[set[str], set[str]]:
    return {user for user, *_ in bought}, {item for _, item, _ in bought}


def _numbered(
    pairs_E2: IntArray, times_E: npt.NDArray[np.float64] | None, repeats_allowed: bool = False
) -> Events:
    """Users and items numbered anew from 0, without gaps, in the order of the numbers that they had."""
    users_E, items_E = (np.unique(column, return_inverse=True)[1] for column in pairs_E2.T)
    return Events(users_E, items_E, times_E, repeats_allowed)
