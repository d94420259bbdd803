"""The API's journal, as ``foretaste ship`` reads it: days are closed, read, marked as shipped, and removed at last."""

from __future__ import annotations

import fcntl
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import date
from pathlib import Path

from contracts.errors import JournalUnavailable, LeaseHeld
from contracts.journal import DECISIONS, EVENTS, SCHEMA, journal_days, journal_folder, journal_path

#: A group is written in milliseconds; whoever holds a file longer is stuck.
_LOCK_SECONDS = 30.0
_BESIDE = ("", "-wal", "-shm")


class Journal:
    """The journal of a home folder; a day in it is a file of events and one of decisions."""

    def __init__(self, home: Path) -> None:
        self._home = home

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Nobody else ships as long as this lasts.

        Raises:
            LeaseHeld: somebody does.
        """
        journal_folder(self._home).mkdir(parents=True, exist_ok=True, mode=0o700)
        with (journal_folder(self._home) / "ship.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise LeaseHeld(
                    f"{journal_folder(self._home)} is being shipped already. Wait for it to end"
                ) from error
            yield

    def days(self) -> list[date]:
        return sorted({*journal_days(self._home, EVENTS), *journal_days(self._home, DECISIONS)})

    def close_day(self, day: date) -> None:
        """Let nothing more be written into a day; whatever arrives from now on is the next day's."""
        for kind in (EVENTS, DECISIONS):
            with self._file(kind, day) as connection, connection:
                connection.execute("begin immediate")
                connection.execute("insert or ignore into closed values (1)")

    def lines(self, kind: str, day: date) -> Iterator[bytes]:
        """The records of a day in the order in which they were written; none where there is no such day."""
        if not journal_path(self._home, kind, day).exists():
            return
        with self._file(kind, day) as connection:
            for (lines,) in connection.execute("select lines from groups order by number"):
                yield from lines.split(b"\n")

    def is_shipped(self, day: date) -> bool:
        if not journal_path(self._home, EVENTS, day).exists():
            return False
        with self._file(EVENTS, day) as connection:
            return bool(connection.execute("select exists (select 1 from shipped)").fetchone()[0])

    def mark_shipped(self, day: date, sha256: str) -> None:
        with self._file(EVENTS, day) as connection, connection:
            connection.execute("insert or ignore into shipped values (?)", (sha256,))

    def remove(self, day: date) -> None:
        """Remove a day. The file that says that it was shipped goes last."""
        for kind in (DECISIONS, EVENTS):
            path = journal_path(self._home, kind, day)
            for ending in _BESIDE:
                path.with_name(path.name + ending).unlink(missing_ok=True)

    @contextmanager
    def _file(self, kind: str, day: date) -> Iterator[sqlite3.Connection]:
        path = journal_path(self._home, kind, day)
        try:
            with closing(sqlite3.connect(path, timeout=_LOCK_SECONDS, isolation_level=None)) as connection:
                connection.execute("pragma journal_mode = wal")
                connection.execute("pragma synchronous = full")
                for statement in SCHEMA:
                    connection.execute(statement)
                yield connection
        except sqlite3.Error as error:
            raise JournalUnavailable(
                f"{path}: {error}. Look at the disk and at who holds the file, and ship again"
            ) from error
