"""The journal's files as they are written: one of a day is open, and a group of records is one transaction in it."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import date, timedelta
from pathlib import Path

from contracts.errors import JournalUnavailable
from contracts.journal import SCHEMA, journal_folder, journal_path

log = logging.getLogger("foretaste.serving")

#: For so long another process that writes is waited for.
LOCK_SECONDS = 0.2
#: Of 4 KiB. A checkpoint waits for the disk: whoever writes makes one only where the one beside falls so far behind.
_MOST_PAGES_BEHIND = 25_000
_APPEND = "insert into groups (lines, ids) select ?, x'' where not exists (select 1 from closed)"


class DayFiles:
    """The files of a kind, one of them open; of one thread but for ``rest``."""

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
        with self._telling():
            day, connection = self._begin(arrived)
            yield day, connection
            connection.execute("commit")
            self._has_news = True

    def append(self, arrived: date, lines: bytes) -> None:
        """Write a group by one statement, which is a transaction: after each the interpreter's lock is waited for.

        Raises:
            JournalUnavailable: it is not written.
        """
        with self._telling():
            while True:
                day = max(arrived, self._first_open)
                if self._opened(day).execute(_APPEND, (lines,)).rowcount:
                    self._has_news = True
                    return
                self._first_open = day + timedelta(days=1)

    def prepare(self, day: date) -> None:
        """Open the file that takes what arrives on a day, before anybody waits for it.

        Raises:
            JournalUnavailable: it cannot be written.
        """
        with self._telling():
            self._opened(day)

    def rest(self) -> None:
        """Have what was written lazily reach the disk; in a thread of its own, over a connection of its own, nobody waits for it."""
        opened = self._open
        if not (self._has_news and opened):
            return
        self._has_news = False
        try:
            with closing(sqlite3.connect(self._path(opened[0]), timeout=LOCK_SECONDS)) as connection:
                connection.execute("pragma wal_checkpoint(passive)")
        except sqlite3.Error as error:  # the log still holds it, and is copied again after the next write
            log.warning("journal_not_checkpointed kind=%s why=%s", self._kind, error)

    def close(self) -> None:
        """Let go of the open file, and of what of a transaction was not committed."""
        opened, self._open = self._open, None
        if opened:
            opened[1].close()

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """What goes wrong, as whoever waits for it has to know."""
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            self.close()  # what a failed write has left in memory is not trusted
            raise JournalUnavailable(
                f"{journal_folder(self._home)}: {error}. Send it again later; an operator looks at the disk"
            ) from error

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
        path = self._path(day)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        connection = sqlite3.connect(
            path, timeout=LOCK_SECONDS, isolation_level=None, check_same_thread=False
        )
        self._open = day, connection
        connection.execute("pragma journal_mode = wal")
        connection.execute(f"pragma synchronous = {self._synchronous}")
        connection.execute(f"pragma wal_autocheckpoint = {_MOST_PAGES_BEHIND}")
        for statement in SCHEMA:
            connection.execute(statement)
        return connection

    def _path(self, day: date) -> Path:
        return journal_path(self._home, self._kind, day)
