"""What people remember of what they were shown: of an item shown again and again they grow tired.

It lies beside the feed, a file a day, so that every day can be simulated in a process of its own.

R remembered pairs of a user and an item
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from simulator.today import IntArray

_DAYS = 14
#: How much of its appeal an item keeps with each time that it is shown and not clicked.
_KEPT_APPEAL = 0.85
_MOST_ITEMS = 1 << 24  # numbers of items stay below: a user and an item make one key


@dataclass(frozen=True)
class Memory:
    """How often each user was shown an item, lately, since they clicked it last."""

    key_R: IntArray  # sorted
    times_R: IntArray

    def appeal(self, users: IntArray, items: IntArray) -> npt.NDArray[np.float64]:
        """What is left of the items' appeal to these users (numbers both), from 0 to 1."""
        if not len(self.key_R):
            return np.ones(len(users))
        keys = _keys(users, items)
        found = np.minimum(np.searchsorted(self.key_R, keys), len(self.key_R) - 1)
        return np.power(_KEPT_APPEAL, np.where(self.key_R[found] == keys, self.times_R[found], 0))


#: Of somebody to whom nothing has been shown.
NOTHING = Memory(np.zeros(0, np.int64), np.zeros(0, np.int64))


def remember(
    feed: Path, day: date, users: IntArray, items: IntArray, is_clicked: npt.NDArray[np.bool_]
) -> None:
    """Keep what was shown on a day: each user and item once, with how often it was in vain, 0 if it was clicked."""
    keys, pair = np.unique(_keys(users, items), return_inverse=True)
    clicks = np.bincount(pair, is_clicked, len(keys))
    times = np.where(clicks > 0, 0, np.bincount(pair, minlength=len(keys)))
    file = _file(feed, day)
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"key": keys, "times": times.astype(np.int16)}), file)


def recall(feed: Path, day: date, users: IntArray) -> Memory:
    """What these users remember at the beginning of a day."""
    wanted = np.unique(users)
    keys, times = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for days_ago in range(_DAYS, 0, -1):
        file = _file(feed, day - timedelta(days=days_ago))
        if file.exists() and len(wanted):
            shown = pq.ParquetFile(file).read()
            key_R = shown["key"].to_numpy()
            user_R = key_R // _MOST_ITEMS
            is_wanted_R = wanted[np.minimum(np.searchsorted(wanted, user_R), len(wanted) - 1)] == user_R
            keys.append(key_R[is_wanted_R])
            times.append(shown["times"].to_numpy()[is_wanted_R].astype(np.int64))
    return _since_last_click(np.concatenate(keys), np.concatenate(times))


def _since_last_click(keys: IntArray, times: IntArray) -> Memory:
    """Days in the order of time, put together: what came before a click is forgotten."""
    if not len(keys):
        return NOTHING
    order = np.argsort(keys, kind="stable")
    keys, times = keys[order], times[order]
    firsts = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
    rows = np.arange(len(keys))
    last_click_R = np.maximum.reduceat(np.where(times == 0, rows, -1), firsts)
    counts = np.diff(np.concatenate([firsts, [len(keys)]]))
    return Memory(keys[firsts], np.add.reduceat(times * (rows > np.repeat(last_click_R, counts)), firsts))


def _keys(users: IntArray, items: IntArray) -> IntArray:
    return users.astype(np.int64) * _MOST_ITEMS + items


def _file(feed: Path, day: date) -> Path:
    return feed.parent / f"{feed.name}.held-back" / "shown" / f"day={day}.parquet"
