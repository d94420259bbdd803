"""Deliver to the feed, a folder or a prefix in S3: a delivery is there whole and durably or not at all, and is never replaced."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path

from contracts.errors import FeedInvalid
from contracts.feed import SUCCESS, delivery_folder
from contracts.settings import Settings
from jobs.io import feed_objects
from jobs.io.commit import fsync_path

#: Deliveries are put together here, where no reader of a feed looks.
_STAGED = ".shipping"


def file_of(kind: str) -> str:
    """The name of the one file of a delivery."""
    return f"{kind}.csv.gz"


def deliver(settings: Settings, kind: str, received: date, content: bytes) -> None:
    """Deliver one file with ``_SUCCESS`` beside it; the same bytes again change nothing.

    Raises:
        FeedInvalid: another delivery lies there.
        ServiceUnreachable, StoreUnfit: S3 does not answer, or refuses.
    """
    location, folder = settings.feed_location, delivery_folder(kind, received)
    is_in_s3 = location.startswith(feed_objects.SCHEME)
    there = (
        feed_objects.deliver(settings, location, folder, file_of(kind), content)
        if is_in_s3
        else _deliver(Path(location), folder, file_of(kind), content)
    )
    if there:
        raise FeedInvalid(
            f"{location.rstrip('/')}/{folder} holds another delivery ({', '.join(there)}), and a day has one. "
            "Deliver those files under another day"
        )


def lying_there(settings: Settings, kind: str, received: date) -> bytes | None:
    """The file of a delivery, whether complete or not; None where there is none."""
    location, name = settings.feed_location, f"{delivery_folder(kind, received)}/{file_of(kind)}"
    if location.startswith(feed_objects.SCHEME):
        return feed_objects.read(settings, location, name)
    path = Path(location) / name
    return path.read_bytes() if path.exists() else None


def _deliver(feed: Path, folder: str, name: str, content: bytes) -> list[str]:
    """Move the delivery to its place; returns what else lies there, and then does nothing."""
    place = feed / folder
    there = sorted(path.name for path in place.iterdir()) if place.is_dir() else []
    if there == sorted([SUCCESS, name]) and (place / name).read_bytes() == content:
        return []
    if there:
        return there
    staged = feed / _STAGED / folder.replace("/", "-")
    shutil.rmtree(staged, ignore_errors=True)
    staged.mkdir(parents=True)
    (staged / name).write_bytes(content)
    (staged / SUCCESS).touch()
    for path in (staged / name, staged / SUCCESS, staged):
        fsync_path(path)
    place.parent.mkdir(exist_ok=True)
    staged.rename(place)  # over nothing, or over an empty folder
    staged.parent.rmdir()
    for path in (place.parent, feed):
        fsync_path(path)
    return []
