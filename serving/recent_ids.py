"""Which events have arrived lately, by digests: 16 bytes an event, so that days of them fit into memory.

A digest of 64 bits stands for an id and another for what was said under it. Among ten million ids two share a digest with
a probability of 3 in a million; the later event is then refused as a conflict. None is ever taken for another's repeat
unless both digests agree.
"""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt

#: How many are looked up one by one before they are sorted into a run; and how long runs become that are merged. Each run has to be
#: looked into, and to merge two long ones takes some hundredths of a second.
_RUN_LENGTH, _LONGEST = 1 << 17, 1 << 21
ID = np.dtype([("key", "<u8"), ("body", "<u8")])

_Numbers = npt.NDArray[np.uint64]


class RecentIds:
    """The ids of some days: the newest in a dictionary, the others in sorted runs."""

    def __init__(self) -> None:
        self._day = date.min
        self._newest: dict[int, int] = {}
        self._runs: list[tuple[date, _Numbers, _Numbers]] = []

    def add(self, day: date, ids: bytes) -> None:
        """Remember events that arrived on a day and are not known yet."""
        found = np.frombuffer(ids, ID)
        if day != self._day or len(self._newest) + len(found) > _RUN_LENGTH:
            self._keep_newest()
        self._day = day
        if len(found) > _RUN_LENGTH:
            self._keep(day, found["key"], found["body"])
        else:
            self._newest.update(zip(found["key"].tolist(), found["body"].tolist(), strict=True))

    def bodies(self, keys: npt.NDArray[Any]) -> dict[int, int]:
        """Of those of the ids that are known: the digest of what was said under them."""
        wanted = np.sort(keys)
        found: dict[int, int] = {}
        for _, run_keys, run_bodies in self._runs:
            places = np.minimum(np.searchsorted(run_keys, wanted), len(run_keys) - 1)
            hits = places[run_keys[places] == wanted]
            found.update(zip(run_keys[hits].tolist(), run_bodies[hits].tolist(), strict=True))
        newest = self._newest
        return found | {key: newest[key] for key in keys.tolist() if key in newest}

    def forget_before(self, day: date) -> None:
        """Days before this one are not remembered any more."""
        if self._day < day:
            self._newest = {}
        self._runs = [run for run in self._runs if run[0] >= day]

    def _keep_newest(self) -> None:
        """Sort the newest into a run."""
        if self._newest:
            keys = np.fromiter(self._newest.keys(), np.uint64, len(self._newest))
            bodies = np.fromiter(self._newest.values(), np.uint64, len(self._newest))
            self._keep(self._day, keys, bodies)
            self._newest = {}

    def _keep(self, day: date, keys: _Numbers, bodies: _Numbers) -> None:
        """Keep a run, merged with those before it that are no longer than it is."""
        while self._runs and self._runs[-1][0] == day and len(self._runs[-1][1]) <= len(keys) < _LONGEST:
            _, earlier_keys, earlier_bodies = self._runs.pop()
            keys, bodies = np.concatenate([earlier_keys, keys]), np.concatenate([earlier_bodies, bodies])
        order = np.argsort(keys, kind="stable")
        self._runs.append((day, keys[order], bodies[order]))
