"""What the API has taken and answered becomes deliveries of the feed, one a UTC day of arrival, as if the shop had sent files.

A day is closed first: from then on the API writes into the next one, so that what is shipped of it never changes. Killed anywhere and
run again, the same bytes are delivered, and they are marked as shipped once they are on the disk.
"""

from __future__ import annotations

import hashlib
from datetime import date, timedelta
from itertools import chain
from pathlib import Path
from typing import Any

from contracts.errors import SettingInvalid
from contracts.feed import EVENT_COLUMNS, delivery_folder
from contracts.settings import Settings
from jobs.feeds.writer import FeedWriter
from jobs.io.commit import cross, fsync_path
from jobs.io.journal import Journal
from jobs.shown import Shipment

_NOTHING = ""


def ship(settings: Settings, until: date) -> list[dict[str, Any]]:
    """Deliver every day of the journal up to ``until``, and remove those that were shipped long ago.

    Returns:
        For each day that is delivered now: how many events, decisions and impressions.

    Raises:
        FeedInvalid: the feed holds another delivery of events of such a day.
        LeaseHeld: somebody else ships.
        SettingInvalid: the feed lies in S3.
    """
    if "://" in settings.feed_location:
        raise SettingInvalid(
            f"FORETASTE_FEED={settings.feed_location}: the API's events are shipped into a folder. Name one, and copy its "
            "deliveries to S3, _SUCCESS last"
        )
    journal, feed = Journal(settings.home), Path(settings.feed_location)
    with journal.alone():
        shipped = [
            _ship_day(journal, feed, day)
            for day in journal.days()
            if day <= until and not journal.is_shipped(day)
        ]
        for day in journal.days():
            if day < until - timedelta(days=settings.journal_kept_days) and journal.is_shipped(day):
                journal.remove(day)
                cross("journal:removed")
    return shipped


def _ship_day(journal: Journal, feed: Path, day: date) -> dict[str, Any]:
    journal.close_day(day)
    cross("journal:closed")
    shipment = Shipment(journal, day)
    place = _deliver(feed, day, shipment)
    cross("journal:delivered")
    digest = hashlib.sha256(place.read_bytes()).hexdigest() if place else _NOTHING
    journal.mark_shipped(day, digest)
    cross("journal:shipped")
    return {"day": day.isoformat(), **shipment.counts}


def _deliver(feed: Path, day: date, shipment: Shipment) -> Path | None:
    """Write the delivery durably; a day without a row is none."""
    rows = shipment.rows()
    first = next(rows, None)
    if first is None:
        return None
    folder = feed / delivery_folder("events", day)
    FeedWriter(feed).deliver("events", day, EVENT_COLUMNS, chain([first], rows), is_final=True)
    for path in (*folder.iterdir(), folder, folder.parent, feed):
        fsync_path(path)
    return folder / "events.csv.gz"
