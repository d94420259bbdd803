"""The feed, as it lies in a folder or below an S3 prefix: what it says of itself, and its deliveries."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from pydantic import ValidationError

from contracts.errors import FeedInvalid, ForetasteError
from contracts.feed import KINDS, SUCCESS, FeedDescription, delivery_folder
from contracts.settings import Settings
from jobs.io import feed_objects
from jobs.io.commit import sha256_of_file

FEED_JSON = "feed.json"
_FORMATS = (".csv", ".jsonl", ".ndjson", ".parquet")


@dataclass(frozen=True)
class Delivery:
    """One complete delivery: its files on this machine, and the digest of their names and bytes."""

    kind: str
    received: date
    files: tuple[Path, ...]
    is_first: bool = False  # of its kind in the feed: it may tell of a whole history

    @property
    def key(self) -> str:
        return f"{self.kind}/{self.received.isoformat()}"

    def sha256(self) -> str:
        """sha256 over the sorted names and bytes of the files."""
        return digest_of_files({path.name: sha256_of_file(path) for path in self.files})


def digest_of_files(digests: Mapping[str, str]) -> str:
    """The digest of a delivery of files, in the order of their names; ``digests`` is the SHA-256 of each, by its name."""
    told = "".join(f"{name}\x1f{digest}\n" for name, digest in sorted(digests.items()))
    return hashlib.sha256(told.encode()).hexdigest()


@dataclass(frozen=True)
class Problem:
    """Something in a feed that its shop should mend."""

    place: str
    what: str

    def __str__(self) -> str:
        return f"{self.place}: {self.what}"


def read_description(settings: Settings, location: str | None = None) -> FeedDescription:
    """``feed.json``, validated.

    Raises:
        FeedInvalid: it is missing or says something impossible; the message names the field.
    """
    location = location or settings.feed_location
    try:
        text = _read_text(settings, location, FEED_JSON)
    except FileNotFoundError as error:
        raise FeedInvalid(
            f"{location} has no {FEED_JSON}. Write one as docs/feeds.md shows, or import a data set: foretaste import"
        ) from error
    try:
        return FeedDescription(**json.loads(text))
    except ValidationError as error:
        told = "; ".join(f"{'.'.join(map(str, issue['loc']))}: {issue['msg']}" for issue in error.errors())
        raise FeedInvalid(f"{location}/{FEED_JSON}: {told}. See docs/feeds.md") from error
    except (ValueError, TypeError) as error:
        raise FeedInvalid(
            f"{location}/{FEED_JSON} is not a JSON object: {error}. See docs/feeds.md"
        ) from error


def is_delivery_complete(settings: Settings, day: date, today: date) -> bool:
    """Has the day's delivery of events been completed, or is none expected?

    Where events come by the API it is, as soon as the day is over: the landing ships them itself.
    """
    if not read_description(settings).expects_delivery(day):
        return True
    if settings.events_from == "api" and today > day:
        return True
    try:
        _read_text(settings, settings.feed_location, f"{delivery_folder('events', day)}/{SUCCESS}")
    except FileNotFoundError:
        return False
    return True


def complete_deliveries(settings: Settings, location: str, *, until: date | None = None) -> list[Delivery]:
    """Every complete delivery received up to a day, by day and then by kind; files of S3 are fetched first.

    Raises:
        FeedInvalid: a folder has another name than ``received=YYYY-MM-DD``, or a file is not a plain file of a known format.
    """
    is_in_s3 = location.startswith(feed_objects.SCHEME)
    root = feed_objects.fetch(settings, location, until) if is_in_s3 else Path(location)
    found = [delivery for kind in KINDS for delivery in _deliveries_of(root, kind, until)]
    return sorted(found, key=lambda delivery: (delivery.received, KINDS.index(delivery.kind)))


def later_delivery(settings: Settings, day: date) -> date | None:
    """The newest complete delivery of events that is later than a day; None when there is none. Reads no file."""
    location = settings.feed_location
    if location.startswith(feed_objects.SCHEME):
        folders = feed_objects.complete_folders(settings, location)
    else:
        folders = {
            path.parent.relative_to(location).as_posix()
            for path in Path(location).glob(f"events/received=*/{SUCCESS}")
        }
    received = (_day_of(folder) for folder in folders if folder.startswith("events/"))
    return max((found for found in received if found is not None and found > day), default=None)


def _day_of(folder: str) -> date | None:
    try:
        return date.fromisoformat(folder.rpartition("received=")[2])
    except ValueError:
        return None  # who reads the feed says so


def check_feed(location: str, settings: Settings, *, every: bool = False) -> list[Problem]:
    """What a shop should mend: description, folders, headers and rows of the newest (or every) delivery."""
    from jobs.landing.classify import classify_all

    try:
        description = read_description(settings, location)
        deliveries = complete_deliveries(settings, location)
    except ForetasteError as error:
        return [Problem(location, str(error))]
    problems = (
        []
        if deliveries
        else [Problem(location, f"no delivery is complete: none of its folders holds {SUCCESS}")]
    )
    newest = {
        kind: max((each.received for each in deliveries if each.kind == kind), default=None) for kind in KINDS
    }
    for delivery in deliveries:
        if not every and delivery.received != newest[delivery.kind]:
            continue
        try:
            (classified,) = classify_all([delivery], description)
        except ForetasteError as error:
            problems.append(Problem(delivery.key, str(error)))
            continue
        problems += [
            Problem(
                f"{delivery.key} {example['source_file']}:{example['line']}",
                f"{reason}: {count} rows, such as {example['raw_line']}",
            )
            for reason, count, example in classified.quarantine_summary()
        ]
    return problems


def _deliveries_of(root: Path, kind: str, until: date | None) -> Iterator[Delivery]:
    first = None
    for folder in sorted((root / kind).glob("*")):
        if not folder.is_dir():
            continue
        name = folder.name.removeprefix("received=")
        try:
            received = date.fromisoformat(name)
        except ValueError as error:
            raise FeedInvalid(
                f"{folder}: a delivery's folder is named received=YYYY-MM-DD. Rename or remove it"
            ) from error
        if (folder / SUCCESS).exists() and (until is None or received <= until):
            first = first or received
            yield Delivery(kind, received, tuple(_files(folder)), is_first=received == first)


def _files(folder: Path) -> list[Path]:
    files = []
    for path in sorted(folder.iterdir()):
        if path.name.startswith(("_", ".")):
            continue
        if path.is_symlink() or not path.is_file():
            raise FeedInvalid(
                f"{path} is not a plain file: links, pipes and folders are not read. Deliver the file itself"
            )
        if not path.name.removesuffix(".gz").endswith(_FORMATS):
            raise FeedInvalid(
                f"{path}: a delivery holds {', '.join(_FORMATS)} files, plain or .gz. Convert or remove it"
            )
        files.append(path)
    return files


def _read_text(settings: Settings, location: str, name: str) -> str:
    if not location.startswith(feed_objects.SCHEME):
        return (Path(location) / name).read_text(encoding="utf-8-sig")
    content = feed_objects.read(settings, location, name)
    if content is None:
        raise FileNotFoundError(name)
    return content.decode("utf-8-sig")
