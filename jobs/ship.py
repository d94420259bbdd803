"""What the API has taken and answered becomes deliveries of the feed, those of a UTC day of arrival as if the shop had sent files.

A day is closed first: from then on the API writes into the next one, so that what is shipped of it never changes. Killed anywhere and
run again, the same bytes are delivered, and they are marked as shipped once they are on the disk.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from itertools import chain
from typing import Any

from contracts.feed import DECISION_COLUMNS, EVENT_COLUMNS
from contracts.journal import DECISIONS, EVENTS, KINDS
from contracts.settings import Settings
from jobs.feed_reader import digest_of_files
from jobs.io.commit import cross
from jobs.io.deliver import deliver, file_of, lying_there
from jobs.io.journal import Journal
from jobs.io.packed_csv import packed_csv
from jobs.io.state import DELIVERIES, State
from jobs.shown import Shipment

#: Of yesterday and the day before: the API knows repeated events by them, and what is reported late is held against them.
_NEEDED_DAYS = 2
_NOTHING = ""


def ship(settings: Settings, until: date, kinds: Sequence[str] = KINDS) -> list[dict[str, Any]]:
    """Deliver every day of the journal up to ``until``, and remove those that are not needed any more.

    Args:
        kinds: of records; the impressions that decisions are told by are shipped with the events.

    Returns:
        For each day of which something is delivered now: how many events, decisions and impressions.

    Raises:
        FeedInvalid: the feed holds another delivery of such a day.
        LeaseHeld: somebody else ships.
        ServiceUnreachable, StoreUnfit: the feed lies in S3, which does not answer or refuses.
    """
    journal, landed = Journal(settings.home), State.of(settings).all(DELIVERIES)
    with journal.alone():
        days = [(day, _to_ship(journal, day, kinds)) for day in journal.days() if day <= until]
        shipped = [_ship_day(journal, settings, day, due) for day, due in days if due]
        for day in journal.days():
            age = (until - day).days
            is_kept_long_enough = age > settings.journal_kept_days and not _to_ship(journal, day, KINDS)
            if is_kept_long_enough or (age >= _NEEDED_DAYS and _has_landed(journal, day, landed)):
                journal.remove(day)
                cross("journal:removed")
    return shipped


def ship_before_landing(settings: Settings, day: date) -> dict[str, int]:
    """Ship what the day's landing should find: decisions, and events where they come by the API alone.

    Returns:
        What was shipped, and how many days of events wait because the shop delivers files; nothing without a journal.
    """
    journal = Journal(settings.home)
    days = [each for each in journal.days() if each <= day]
    if not days:
        return {}
    told = Counter[str]()
    for each in ship(settings, day, KINDS if settings.events_from == "api" else (DECISIONS,)):
        told.update({name: count for name, count in each.items() if name != "day"})
    waiting = sum(journal.shipped(EVENTS, each) is None and any(journal.lines(EVENTS, each)) for each in days)
    return dict(+told) | ({"days_of_events_not_shipped": waiting} if waiting else {})


def _to_ship(journal: Journal, day: date, kinds: Sequence[str]) -> list[str]:
    return [kind for kind in kinds if journal.shipped(kind, day) is None]


def _ship_day(journal: Journal, settings: Settings, day: date, kinds: Sequence[str]) -> dict[str, Any]:
    journal.close_day(day)
    cross("journal:closed")
    shipment = Shipment(journal, day)
    # Events last: who waits for a day waits for them.
    rows = {DECISIONS: (DECISION_COLUMNS, shipment.decisions), EVENTS: (EVENT_COLUMNS, shipment.events)}
    for kind, (columns, rows_of) in rows.items():
        if kind in kinds:
            sha256 = _deliver(journal, settings, kind, day, columns, rows_of())
            cross("journal:delivered")
            journal.mark_shipped(kind, day, sha256)
            cross("journal:shipped")
    return {"day": day.isoformat(), **shipment.counts}


def _deliver(
    journal: Journal,
    settings: Settings,
    kind: str,
    day: date,
    columns: Sequence[str],
    rows: Iterator[list[Any]],
) -> str:
    """Deliver what a day holds of a kind; its digest, "" where that is nothing."""
    first = next(rows, None)
    if first is None:
        return _NOTHING
    content = packed_csv(columns, chain([first], rows))
    prepared = journal.prepared(kind, day)
    if prepared not in ("", _sha256(content)):  # somebody was erased since: what has been delivered stays
        there = lying_there(settings, kind, day)
        content = there if there is not None and _sha256(there) == prepared else content
    journal.prepare(kind, day, _sha256(content))
    deliver(settings, kind, day, content)
    return _sha256(content)


def _has_landed(journal: Journal, day: date, landed: Mapping[str, Mapping[str, Any]]) -> bool:
    """Has all of a day been landed here, byte for byte as it was shipped?"""
    digests = {kind: journal.shipped(kind, day) for kind in KINDS}
    return all(
        digest == _NOTHING
        or (
            digest is not None
            and landed.get(f"{kind}/{day}", {}).get("sha256") == digest_of_files({file_of(kind): digest})
        )
        for kind, digest in digests.items()
    )


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
