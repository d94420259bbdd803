"""S3, through boto3: published versions, each whole once its manifest stands, and one pointer."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from contracts import names
from contracts.errors import FenceStale, StoreUnfit
from contracts.lists import Pointer
from contracts.settings import Settings
from jobs.io.commit import cross, sha256_of_file
from jobs.io.s3 import RACED, get_object, s3_client

MANIFEST = "manifest.json"
DATA = "recs.parquet"


@contextmanager
def open_objects(settings: Settings, *, timeout: float = 60, attempts: int = 3) -> Iterator[Objects]:
    """The bucket that lists are published to.

    Raises:
        ServiceUnreachable: S3 does not answer.
        StoreUnfit: it answers and refuses: the keys are wrong, say, or the bucket is missing.
    """
    with s3_client(settings, settings.s3_bucket, timeout=timeout, attempts=attempts) as client:
        yield Objects(client, settings.s3_bucket)


class Objects:
    """The published versions of one bucket."""

    def __init__(self, client: Any, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def write_version(self, pointer: Pointer, data: Path) -> None:
        """Write a version; its manifest comes last, so that a version without one is no version."""
        prefix = names.published_prefix(pointer.version)
        with data.open("rb") as stream:
            self._client.put_object(Bucket=self._bucket, Key=prefix + DATA, Body=stream)
        cross("objects:data_written")
        manifest = {
            **asdict(pointer),
            "files": [{"name": DATA, "sha256": sha256_of_file(data), "bytes": data.stat().st_size}],
        }
        self._put(prefix + MANIFEST, json.dumps(manifest, sort_keys=True))
        cross("objects:manifest_written")

    def is_whole(self, version: str) -> bool:
        """Does a version have its manifest?"""
        return self._get(names.published_prefix(version) + MANIFEST) is not None

    def manifest(self, version: str) -> dict[str, Any] | None:
        """What a version holds; None where it is not whole."""
        found = self._get(names.published_prefix(version) + MANIFEST)
        return None if found is None else dict(json.loads(found[0]))

    def pointer(self) -> Pointer | None:
        found = self._get(names.PUBLISHED_POINTER)
        return None if found is None else Pointer.from_json(found[0])

    def point_at(self, pointer: Pointer) -> None:
        """Make a version the one that readers of S3 find, unless somebody with a higher fence has been there.

        Raises:
            FenceStale: the pointer in the bucket carries a higher fence than ours.
            StoreUnfit: the bucket does not hold the version.
        """
        from botocore.exceptions import ClientError

        if not self.is_whole(pointer.version):
            raise StoreUnfit(
                f"bucket {self._bucket} does not hold {pointer.version}: its pointer stays as it is"
            )
        while True:
            found = self._get(names.PUBLISHED_POINTER)
            before = None if found is None else Pointer.from_json(found[0])
            if before == pointer:
                return
            if before is not None and before.fence > pointer.fence:
                raise FenceStale(
                    f"fence {pointer.fence} is stale: {before.version} is live in bucket {self._bucket} with {before.fence}. "
                    f"If the online store or the state is a new one, remove {names.PUBLISHED_POINTER} from the bucket"
                )
            condition = {"IfNoneMatch": "*"} if found is None else {"IfMatch": found[1]}
            try:
                self._put(names.PUBLISHED_POINTER, pointer.to_json(), **condition)
            except ClientError as error:
                if error.response["Error"]["Code"] in RACED:
                    continue
                raise
            cross("objects:pointer_written")
            return

    def tell_consent(self, table: bytes) -> None:
        """Put a table in the place of the one that says to whom versions may be served."""
        self._client.put_object(Bucket=self._bucket, Key=names.PUBLISHED_CONSENT, Body=table)

    def collect(self, kept: Collection[str]) -> list[str]:
        """Delete every version but the kept ones, also what attempts have left. Returns what went."""
        dropped = [version for version in self.versions() if version not in kept]
        for version in dropped:
            self.delete_version(version)
        return dropped

    def versions(self) -> list[str]:
        """Every version that has an object, whole or not."""
        # Not by common prefixes: SeaweedFS names those of folders, too, whose objects have been deleted.
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=names.PUBLISHED
        )
        keys = [entry["Key"] for page in pages for entry in page.get("Contents", [])]
        found = {key.removeprefix(names.PUBLISHED).split("/")[0] for key in keys}
        return sorted(filter(names.is_version, found), key=names.version_number)

    def delete_version(self, version: str) -> None:
        """Delete a version: its manifest first, so that it never looks whole."""
        for name in (MANIFEST, DATA):
            self._client.delete_object(Bucket=self._bucket, Key=names.published_prefix(version) + name)

    def _put(self, key: str, text: str, **condition: str) -> None:
        self._client.put_object(
            Bucket=self._bucket, Key=key, Body=text.encode(), ContentType="application/json", **condition
        )

    def _get(self, key: str) -> tuple[bytes, str] | None:
        """An object's bytes and its tag, or None where there is none."""
        return get_object(self._client, self._bucket, key)
