"""The API's journal: what people did and what was answered, as the API writes it and ``foretaste ship`` reads it.

One SQLite file for each UTC day of arrival and kind. A row is a group of records that were made durable together: their
JSON, a line each. A file that is closed takes no further group: whoever has records for it writes them to the next day's.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path

from msgspec import Struct

KINDS = (EVENTS, DECISIONS) = ("events", "decisions")

#: ``ids``: of each event 8 bytes of the digest of its id and 8 of its line's, before the lines, so that they are read without them.
#: ``closed`` and ``shipped`` hold a row once it is true; ``prepared`` holds the digest of what was last about to be shipped.
SCHEMA = (
    "create table if not exists groups (number integer primary key, ids blob not null, lines blob not null)",
    "create table if not exists closed (is_closed integer primary key)",
    "create table if not exists prepared (sha256 text primary key)",
    "create table if not exists shipped (sha256 text primary key)",
)


class LoggedItem(Struct, frozen=True):
    """An item of an answer, and the probability with which it was given its place."""

    item_id: str
    position: int
    propensity: float


class LoggedDecision(Struct, frozen=True):
    """One answer, as it was made.

    Args:
        user_id: who, by the id that the shop's events carry; the feed asks for a pseudonym.
        source: the rung of the ladder that the answer comes from.
        fallback: why it is no higher one, if it could have been.
        made_from: what the list itself was made from when it was scored.
        is_short: there were fewer items than were asked for.
        rules_applied: labels of the rules that acted on the list; the version says what they are.
        rules_dropped: labels of those that could not be kept.
    """

    decision_id: str
    decided_at: datetime  # with its offset
    user_id: str
    surface: str
    version: str
    source: str
    fallback: str | None
    items: tuple[LoggedItem, ...]
    made_from: str
    is_short: bool
    rules_applied: Sequence[str] = ()
    rules_dropped: Sequence[str] = ()


def journal_folder(home: Path) -> Path:
    return home / "journal"


def journal_path(home: Path, kind: str, day: date) -> Path:
    return journal_folder(home) / f"{kind}-{day.isoformat()}.sqlite"


def journal_days(home: Path, kind: str) -> list[date]:
    """The days that the journal holds a file of."""
    found = journal_folder(home).glob(f"{kind}-*.sqlite")
    return sorted(date.fromisoformat(path.stem.removeprefix(f"{kind}-")) for path in found)
