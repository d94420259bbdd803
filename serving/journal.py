"""What arrives and what is decided, appended to one SQLite file a day and kind, group by group.

SQLite's write-ahead log, because it gives what a log of our own would have to be taught: a group is whole or absent after kill -9
and after a torn write, a failing fsync or a full disk is an error, several processes may write at once, and others
read meanwhile. A log of our own with the same index beside it was measured at twice the speed for single events and at the same
for batches (``make bench ONLY=events`` prints the bare write and fsync as reference); both are beyond what is asked.
The index of ids is no table of the file: ids come in no order, so each would rewrite a page of its own, a tenth of
the speed. It is in memory (``serving/recent_ids.py``), and read back from the files at the start.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np

from contracts.errors import JournalUnavailable
from contracts.journal import DECISIONS, EVENTS, SCHEMA, journal_folder, journal_path
from serving.recent_ids import ID, RecentIds

log = logging.getLogger("foretaste.serving")

NEW, REPEATED, CONFLICTING = "new", "repeated", "conflicting"
#: An event is recognised on the day on which it arrived first and on the next; a later repeat lands as a duplicate.
KNOWN_DAYS = 2

_LOCK_SECONDS = 0.2  # for which another process that writes is waited for


@dataclass(frozen=True, slots=True)
class Record:
    """One JSON line, when it arrived, and the digests of its id and of the line where it has an id."""

    arrived: date
    line: bytes
    id: bytes = b""


class DayFiles:
    """The files of a kind, one of them open; of one thread."""

    def __init__(self, home: Path, kind: str, *, synchronous: str) -> None:
        self._home, self._kind, self._synchronous = home, kind, synchronous
        self._open: tuple[date, sqlite3.Connection] | None = None
        self._first_open = date.min  # all days before are closed for good
        self._has_news = False

    @contextmanager
    def writing(self, arrived: date) -> Iterator[tuple[date, sqlite3.Connection]]:
        """A transaction in the file that takes what arrives on a day, and the day of that file.

        Raises:
            JournalUnavailable: it could not be made durable; nothing of it counts.
        """
        try:
            day, connection = self._begin(arrived)
            yield day, connection
            connection.execute("commit")
            self._has_news = True
        except (sqlite3.Error, OSError) as error:
            self.close()  # what a failed write has left in memory is not trusted
            raise JournalUnavailable(
                f"{journal_folder(self._home)}: {error}. Send it again later; an operator looks at the disk"
            ) from error

    def rest(self) -> None:
        """Have what was written lazily reach the disk."""
        if self._has_news and self._open:
            self._has_news = False
            try:
                self._open[1].execute("pragma wal_checkpoint(passive)")
            except sqlite3.Error as error:  # the log still holds it, and is copied again after the next write
                log.warning("journal_not_checkpointed kind=%s why=%s", self._kind, error)

    def close(self) -> None:
        """Let go of the open file, and of what of a transaction was not committed."""
        opened, self._open = self._open, None
        if opened:
            opened[1].close()

    def _begin(self, arrived: date) -> tuple[date, sqlite3.Connection]:
        while True:
            day = max(arrived, self._first_open)
            connection = self._opened(day)
            connection.execute("begin immediate")
            if not connection.execute("select exists (select 1 from closed)").fetchone()[0]:
                return day, connection
            connection.execute("rollback")
            self._first_open = day + timedelta(days=1)

    def _opened(self, day: date) -> sqlite3.Connection:
        if self._open and self._open[0] == day:
            return self._open[1]
        self.close()
        path = journal_path(self._home, self._kind, day)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        connection = sqlite3.connect(
            path, timeout=_LOCK_SECONDS, isolation_level=None, check_same_thread=False
        )
        self._open = day, connection
        connection.execute("pragma journal_mode = wal")
        connection.execute(f"pragma synchronous = {self._synchronous}")
        for statement in SCHEMA:
            connection.execute(statement)
        return connection


class EventJournal:
    """Events, each once: a group is durable, power cut included, when ``commit`` returns."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._files = DayFiles(home, EVENTS, synchronous="full")
        self._recent = RecentIds()
        self._read_until: dict[date, int] = {}  # the newest group of each day that the index knows

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
                f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=_LOCK_SECONDS, isolation_level=None
            )
            try:
                self._read(day, connection)
            finally:
                connection.close()

    def _read(self, day: date, connection: sqlite3.Connection) -> None:
        until = self._read_until.get(day, 0)
        for number, ids in connection.execute(
            "select number, ids from groups where number > ? order by number", (until,)
        ):
            self._recent.add(day, ids)
            until = number
        self._read_until[day] = until


class DecisionJournal:
    """Decisions: a group survives the process as soon as ``commit`` returns, and a power cut a second later."""

    def __init__(self, home: Path) -> None:
        self._files = DayFiles(home, DECISIONS, synchronous="normal")

    def commit(self, records: Sequence[Record]) -> list[str]:
        """Write the records.

        Raises:
            JournalUnavailable: they are not written.
        """
        lines = b"\n".join(record.line for record in records)
        with self._files.writing(max(record.arrived for record in records)) as (_, connection):
            connection.execute("insert into groups (lines, ids) values (?, x'')", (lines,))
        return [NEW] * len(records)

    def rest(self) -> None:
        self._files.rest()

    def close(self) -> None:
        self._files.close()
