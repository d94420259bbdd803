"""A feed that lies below an S3 prefix: what it says of itself, and its complete deliveries, fetched."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

from contracts.errors import FeedInvalid
from contracts.feed import KINDS, SUCCESS
from contracts.settings import Settings
from jobs.io.commit import cross
from jobs.io.s3 import get_object, put_new, s3_client

SCHEME = "s3://"
_FILE = re.compile(rf"(?:{'|'.join(KINDS)})/received=[^/]+/(?P<name>[^/]+)")


def read(settings: Settings, location: str, name: str) -> bytes | None:
    """An object of the feed; None where there is none.

    Raises:
        ServiceUnreachable, StoreUnfit: S3 does not answer, or refuses.
    """
    bucket, prefix = _bucket_and_prefix(location)
    with s3_client(settings, bucket) as client:
        found = get_object(client, bucket, prefix + name)
    return None if found is None else found[0]


def complete_folders(settings: Settings, location: str) -> set[str]:
    """The folders of complete deliveries, below the prefix.

    Raises:
        ServiceUnreachable, StoreUnfit: S3 does not answer, or refuses.
    """
    bucket, prefix = _bucket_and_prefix(location)
    with s3_client(settings, bucket) as client:
        return _complete(name for name, _ in _objects(client, bucket, prefix))


def deliver(settings: Settings, location: str, folder: str, name: str, content: bytes) -> list[str]:
    """Put one file into a delivery's folder and then ``_SUCCESS``; what lies there is never overwritten.

    Returns:
        What else lies there, where anything does; then the delivery is not complete because of this.

    Raises:
        ServiceUnreachable, StoreUnfit: S3 does not answer, or refuses.
    """
    bucket, prefix = _bucket_and_prefix(location)
    place = f"{prefix}{folder}/"
    with s3_client(settings, bucket) as client:
        there = sorted(found for found, _ in _objects(client, bucket, place))
        if set(there) - {name, SUCCESS}:
            return there
        if not put_new(client, bucket, place + name, content):
            found = get_object(client, bucket, place + name)
            if found is None or found[0] != content:
                return [name]
        cross("feed:object_written")
        put_new(client, bucket, place + SUCCESS, b"")
    return []


def _complete(names: Iterable[str]) -> set[str]:
    return {name.rsplit("/", 1)[0] for name in names if name.endswith(f"/{SUCCESS}")}


def fetch(settings: Settings, location: str, until: date | None) -> Path:
    """Copy every complete delivery up to a day to a folder below HOME/tmp, and return it.

    A file that is there with the same tag is not fetched again, and what S3 does not hold any more goes.

    Raises:
        FeedInvalid: a delivery holds folders.
        ServiceUnreachable, StoreUnfit: S3 does not answer, or refuses.
    """
    bucket, prefix = _bucket_and_prefix(location)
    root = settings.home / "tmp" / "feed" / hashlib.sha256(location.encode()).hexdigest()[:16]
    with s3_client(settings, bucket) as client:
        tags = dict(_objects(client, bucket, prefix))
        complete = _complete(tags)
        wanted = {}
        for name, tag in tags.items():
            folder = "/".join(name.split("/")[:2])
            if folder not in complete or (
                until is not None and folder.rpartition("=")[2] > until.isoformat()
            ):
                continue
            found = _FILE.fullmatch(name)
            if found is None or found["name"] in (".", ".."):
                raise FeedInvalid(
                    f"{location}: {name} is not a plain file of a delivery (kind/received=YYYY-MM-DD/file). Remove it"
                )
            wanted[name] = tag
        for name, tag in wanted.items():
            _keep(client, bucket, prefix, name, tag, root)
    for path in root.glob("*/*/*"):
        if str(path.relative_to(root)) not in wanted and not path.name.startswith("."):
            path.unlink()
    return root


def _keep(client: Any, bucket: str, prefix: str, name: str, tag: str, root: Path) -> None:
    """Fetch one object unless it is there; the mark beside it, made last, says which one it was."""
    path = root / name
    mark = path.with_name(f".{path.name}.{hashlib.sha256(tag.encode()).hexdigest()[:16]}")
    if mark.exists() and path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    for old in path.parent.glob(f".{path.name}.*"):
        old.unlink()
    client.download_file(bucket, prefix + name, str(path))
    mark.touch()


def _objects(client: Any, bucket: str, prefix: str) -> Iterator[tuple[str, str]]:
    """Name below the prefix and tag of each object."""
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for item in page.get("Contents", ()):
            if not item["Key"].endswith("/"):  # what some tools write for a folder
                yield item["Key"].removeprefix(prefix), item["ETag"]


def _bucket_and_prefix(location: str) -> tuple[str, str]:
    bucket, _, prefix = location.removeprefix(SCHEME).partition("/")
    return bucket, f"{prefix.rstrip('/')}/" if prefix else ""
