"""S3, through boto3: published versions, each whole once its manifest stands, and one pointer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from contracts import names
from contracts.errors import FenceStale, ServiceUnreachable
from contracts.lists import Pointer
from contracts.settings import Settings
from jobs.io.commit import cross

MANIFEST = "manifest.json"
DATA = "recs.parquet"


@contextmanager
def open_objects(settings: Settings) -> Iterator[Objects]:
    """The bucket that the settings name.

    Raises:
        ServiceUnreachable: S3 does not answer or refuses the keys.
    """
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    if not settings.s3_endpoint_url:
        raise ServiceUnreachable(
            "no S3: set FORETASTE_S3_ENDPOINT_URL or start the embedded one with `foretaste up`"
        )
    client = boto3.client(
        "s3",
        endpoint_url=None if settings.s3_endpoint_url == "aws" else settings.s3_endpoint_url,
        region_name=settings.s3_region,
        aws_access_key_id=settings.s3_access_key.get_secret_value() or None,
        aws_secret_access_key=settings.s3_secret_key.get_secret_value() or None,
        config=Config(connect_timeout=5, read_timeout=60, retries={"max_attempts": 3}),
    )
    try:
        yield Objects(client, settings.s3_bucket)
    except (ClientError, BotoCoreError) as error:
        raise ServiceUnreachable(
            f"S3 at {settings.s3_endpoint_url}, bucket {settings.s3_bucket}: {error}. Look with: foretaste doctor"
        ) from error


class Objects:
    """The published versions of one bucket."""

    def __init__(self, client: Any, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def write_version(self, version: str, parquet: bytes, manifest: dict[str, Any]) -> None:
        """Write a version; its manifest comes last, so that a version without one is no version."""
        prefix = names.published_prefix(version)
        self._client.put_object(Bucket=self._bucket, Key=prefix + DATA, Body=parquet)
        cross("objects:data_written")
        self._client.put_object(
            Bucket=self._bucket, Key=prefix + MANIFEST, Body=json.dumps(manifest, sort_keys=True).encode()
        )
        cross("objects:manifest_written")

    def pointer(self) -> Pointer | None:
        found = self._live()
        return None if found is None else found[0]

    def point_at(self, pointer: Pointer) -> None:
        """Make a version the one that readers of S3 find, by a conditional write.

        Raises:
            FenceStale: somebody with a higher fence has been there.
        """
        found = self._live()
        if found is not None and found[0].fence > pointer.fence:
            raise FenceStale(
                f"fence {pointer.fence} is stale: {found[0].version} is live in S3 with {found[0].fence}"
            )
        condition = {"IfNoneMatch": "*"} if found is None else {"IfMatch": found[1]}
        self._client.put_object(
            Bucket=self._bucket, Key=names.PUBLISHED_POINTER, Body=pointer.to_json().encode(), **condition
        )
        cross("objects:pointer_written")

    def delete_version(self, version: str) -> None:
        """Delete a version: its manifest first, so that it never looks whole."""
        prefix = names.published_prefix(version)
        for name in (MANIFEST, DATA):
            self._client.delete_object(Bucket=self._bucket, Key=prefix + name)

    def _live(self) -> tuple[Pointer, str] | None:
        from botocore.exceptions import ClientError

        try:
            found = self._client.get_object(Bucket=self._bucket, Key=names.PUBLISHED_POINTER)
        except ClientError as error:
            if error.response["Error"]["Code"] in ("NoSuchKey", "404"):
                return None
            raise
        return Pointer.from_json(found["Body"].read()), found["ETag"]
