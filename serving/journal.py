"""What arrives and what is decided, appended to one SQLite file a day and kind, group by group.

SQLite's write-ahead log, because it gives what a log of our own would have to be taught: a group is whole or absent after kill -9
and after a torn write, a failing fsync or a full disk is an error, several processes may write, and others read
meanwhile. A file with a checksum before each group, and all else the same, took events half as fast again and no more; what
is asked is reached without it (``make bench ONLY=events``, beside the bare write and fsync). The index of ids is no table of the
file: ids come in no order, so nearly each would rewrite a page of its own, which was most of the time. It is in memory
(``serving/recent_ids.py``), and read back from the files at the start.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

import numpy as np
from msgspec import Struct

from contracts.journal import DECISIONS, EVENTS, journal_path
from serving.day_files import LOCK_SECONDS, DayFiles
from serving.recent_ids import ID, RecentIds

NEW, REPEATED, CONFLICTING = "new", "repeated", "conflicting"
#: An event is recognised on the day on which it arrived first and on the next; a later repeat lands as a duplicate.
KNOWN_DAYS = 2

_GROUPS_AT_ONCE = 1_000


class Record(Struct, frozen=True, gc=False):
    """One JSON line, when it arrived, and the digests of its id and of the line where it has an id."""

    arrived: date
    line: bytes
    id: bytes = b""


class EventJournal:
    """Events, each once: a group is durable, power cut included, when ``commit`` returns."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._files = DayFiles(home, EVENTS, synchronous="full")
        self._recent = RecentIds()
        self._read_until: dict[date, int] = {}  # the newest group of each day that the index has read

    def commit(self, records: Sequence[Record]) -> list[str]:
        """Write those records that are new, and say of each what it is.

        Raises:
            JournalUnavailable: nothing of them is durable.
        """
        with self._files.writing(max(record.arrived for record in records)) as (day, connection):
            self._catch_up(day, connection)
            outcomes = self._judged(records)
            new = [record for record, outcome in zip(records, outcomes, strict=True) if outcome == NEW]
            if new:
                lines, ids = b"\n".join(each.line for each in new), b"".join(each.id for each in new)
                written = connection.execute("insert into groups (lines, ids) values (?, ?)", (lines, ids))
        if new:
            self._recent.add(day, ids)
            self._read_until[day] = written.lastrowid or 0
        return outcomes

    def rest(self) -> None:
        self._files.rest()

    def close(self) -> None:
        self._files.close()

    def _judged(self, records: Sequence[Record]) -> list[str]:
        """The first word about an id counts, also within these records."""
        ids = np.frombuffer(b"".join(record.id for record in records), ID)
        known, outcomes = self._recent.bodies(ids["key"]), []
        for key, body in ids.tolist():
            before = known.get(key)
            outcomes.append(NEW if before is None else REPEATED if before == body else CONFLICTING)
            known.setdefault(key, body)
        return outcomes

    def _catch_up(self, day: date, connection: sqlite3.Connection) -> None:
        """Know what other processes have written, and after a start what lies there."""
        if day not in self._read_until:
            first = day - timedelta(days=KNOWN_DAYS - 1)
            self._recent.forget_before(first)
            self._read_until = {each: number for each, number in self._read_until.items() if each >= first}
            for offset in range(1, KNOWN_DAYS):
                self._read_earlier(day - timedelta(days=offset))
        self._read(day, connection)

    def _read_earlier(self, day: date) -> None:
        path = journal_path(self._home, EVENTS, day)
        if path.exists():
            connection = sqlite3.connect(
                f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=LOCK_SECONDS, isolation_level=None
            )
            try:
                self._read(day, connection)
            finally:
                connection.close()

    def _read(self, day: date, connection: sqlite3.Connection) -> None:
        until = self._read_until.setdefault(day, 0)
        found = connection.execute(
            "select number, ids from groups where number > ? order by number", (until,)
        )
        while groups := found.fetchmany(_GROUPS_AT_ONCE):
            self._recent.add(day, b"".join(ids for _, ids in groups))
            self._read_until[day] = groups[-1][0]


class DecisionJournal:
    """Decisions: a group survives the process as soon as ``commit`` returns, and a power cut a second later."""

    def __init__(self, home: Path) -> None:
        self._files = DayFiles(home, DECISIONS, synchronous="normal")

    def prepare(self, day: date) -> None:
        """Make ready for a day, so that its first decision does not wait for a new file.

        Raises:
            JournalUnavailable: nothing can be written.
        """
        self._files.prepare(day)

    def commit(self, records: Sequence[Record]) -> list[str]:
        """Write the records.

        Raises:
            JournalUnavailable: they are not written.
        """
        lines = b"\n".join(record.line for record in records)
        self._files.append(max(record.arrived for record in records), lines)
        return [NEW] * len(records)

    def rest(self) -> None:
        self._files.rest()

    def close(self) -> None:
        self._files.close()
