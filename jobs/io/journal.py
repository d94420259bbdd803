"""The API's journal, as ``foretaste ship`` reads it: days are closed, read, marked as shipped, and removed at last."""

from __future__ import annotations

import fcntl
import sqlite3
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager
from datetime import date
from pathlib import Path

import msgspec

from contracts.errors import JournalUnavailable, LeaseHeld
from contracts.journal import DECISIONS, EVENTS, KINDS, SCHEMA, journal_days, journal_folder, journal_path

#: A group is written in milliseconds; whoever holds a file longer is stuck.
_LOCK_SECONDS = 30.0
_BESIDE = ("", "-wal", "-shm")
_encode = msgspec.json.Encoder().encode


class _Named(msgspec.Struct):
    user_id: str | None = None


_user_of = msgspec.json.Decoder(_Named).decode


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
        return sorted({day for kind in KINDS for day in journal_days(self._home, kind)})

    def close_day(self, day: date) -> None:
        """Let nothing more be written into a day; whatever arrives from now on is the next day's."""
        for kind in KINDS:
            with self._file(kind, day) as connection, connection:
                connection.execute("begin immediate")
                connection.execute("insert or ignore into closed values (1)")

    def lines(self, kind: str, day: date) -> Iterator[bytes]:
        """The records of a day in the order in which they were written; none where there is no such day."""
        if not journal_path(self._home, kind, day).exists():
            return
        with self._file(kind, day) as connection:
            for (lines,) in connection.execute("select lines from groups order by number"):
                if lines:  # none where all were an erased person's
                    yield from lines.split(b"\n")

    def prepared(self, kind: str, day: date) -> str:
        """The digest of what was last about to be shipped; "" where nothing was."""
        return self._digest("prepared", kind, day) or ""

    def prepare(self, kind: str, day: date, sha256: str) -> None:
        """Remember what is about to be shipped."""
        with self._file(kind, day) as connection, connection:
            connection.execute("begin immediate")
            connection.execute("delete from prepared")
            connection.execute("insert into prepared values (?)", (sha256,))

    def shipped(self, kind: str, day: date) -> str | None:
        """The digest of what was shipped, "" where a day had nothing to ship; None where it is still to be shipped."""
        return self._digest("shipped", kind, day)

    def mark_shipped(self, kind: str, day: date, sha256: str) -> None:
        with self._file(kind, day) as connection, connection:
            connection.execute("insert or ignore into shipped values (?)", (sha256,))

    def remove_users(self, user_ids: Collection[str]) -> int:
        """Take every record of these users out; the API may be at work. Returns how many there were.

        A group that names one of them is written anew in a transaction of its own, so that nobody waits for long.

        Raises:
            LeaseHeld: somebody ships.
        """
        if not self.days():
            return 0
        sought = [_encode(each) for each in user_ids]
        with self.alone():
            return sum(
                self._without(number, kind, day, frozenset(user_ids))
                for day in self.days()
                for kind in KINDS
                for number in self._groups_with(sought, kind, day)
            )

    def remove(self, day: date) -> None:
        """Remove a day. The file that says that it was shipped goes last."""
        for kind in (DECISIONS, EVENTS):
            path = journal_path(self._home, kind, day)
            for ending in _BESIDE:
                path.with_name(path.name + ending).unlink(missing_ok=True)

    def _digest(self, table: str, kind: str, day: date) -> str | None:
        if not journal_path(self._home, kind, day).exists():
            return None
        with self._file(kind, day) as connection:
            found = connection.execute(f"select sha256 from {table}").fetchone()
        return None if found is None else str(found[0])

    def _groups_with(self, sought: list[bytes], kind: str, day: date) -> list[int]:
        if not journal_path(self._home, kind, day).exists():
            return []
        with self._file(kind, day) as connection:
            groups = connection.execute("select number, lines from groups order by number")
            return [number for number, lines in groups if any(each in lines for each in sought)]

    def _without(self, number: int, kind: str, day: date, user_ids: frozenset[str]) -> int:
        with self._file(kind, day) as connection, connection:
            connection.execute("pragma secure_delete = on")
            connection.execute("begin immediate")
            ((lines, ids),) = connection.execute("select lines, ids from groups where number = ?", (number,))
            records = lines.split(b"\n")
            kept = [place for place, line in enumerate(records) if _user_of(line).user_id not in user_ids]
            width = len(ids) // len(records)
            connection.execute(
                "update groups set lines = ?, ids = ? where number = ?",
                (
                    b"\n".join(records[place] for place in kept),
                    b"".join(ids[place * width : (place + 1) * width] for place in kept),
                    number,
                ),
            )
        return len(records) - len(kept)

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
