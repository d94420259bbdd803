"""One client of S3, whose errors say what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from contracts.errors import ServiceUnreachable, StoreUnfit
from contracts.settings import Settings

_ABSENT = ("NoSuchKey", "NotFound", "404")
#: Somebody else has written what a condition was about.
RACED = ("PreconditionFailed", "ConditionalRequestConflict", "412", "409")


@contextmanager
def s3_client(settings: Settings, bucket: str, *, timeout: float = 60, attempts: int = 3) -> Iterator[Any]:
    """boto3's client for the S3 that the settings name; ``bucket`` is named when something is wrong.

    Raises:
        ServiceUnreachable: S3 does not answer.
        StoreUnfit: it answers and refuses: the keys are wrong, say, or the bucket is missing.
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
        config=Config(
            connect_timeout=min(timeout, 5),
            read_timeout=timeout,
            retries={"total_max_attempts": attempts, "mode": "standard"},
        ),
    )
    place = f"S3 at {settings.s3_endpoint_url}, bucket {bucket}"
    try:
        yield client
    except ClientError as error:
        is_down = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) >= 500
        kind, what = (ServiceUnreachable, "fails") if is_down else (StoreUnfit, "refuses")
        raise kind(f"{place} {what}: {error}. Look with: foretaste doctor") from error
    except BotoCoreError as error:
        raise ServiceUnreachable(f"{place} does not answer: {error}. Look with: foretaste doctor") from error
    finally:
        client.close()


def get_object(client: Any, bucket: str, key: str) -> tuple[bytes, str] | None:
    """An object's bytes and its tag, or None where there is none."""
    from botocore.exceptions import ClientError

    try:
        found = client.get_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if error.response["Error"]["Code"] in _ABSENT:
            return None
        raise
    return found["Body"].read(), found["ETag"]


def put_new(client: Any, bucket: str, key: str, body: bytes) -> bool:
    """Write an object that is not there yet; False where one is, which stays as it is."""
    from botocore.exceptions import ClientError

    try:
        client.put_object(Bucket=bucket, Key=key, Body=body, IfNoneMatch="*")
    except ClientError as error:
        if error.response["Error"]["Code"] in RACED:
            return False
        raise
    return True
