"""The analysts' pages in S3: what has changed is uploaded, what is gone is deleted, and a manifest says what lies there."""

from __future__ import annotations

import json
import mimetypes
from pathlib import Path
from typing import Any

from contracts import names
from contracts.settings import Settings
from jobs.io.commit import sha256_of_file
from jobs.io.s3 import get_object, s3_client

_TYPES = {".parquet": "application/vnd.apache.parquet", ".csv": "text/csv; charset=utf-8"}


def upload_site(settings: Settings, folder: Path) -> dict[str, int]:
    """Make ``reports/`` of the bucket what a folder holds; returns how many files were uploaded and deleted.

    The manifest is written last: an upload that was cut short is taken up by the next one.

    Raises:
        ServiceUnreachable: S3 does not answer.
        StoreUnfit: it answers and refuses: the keys are wrong, say, or the bucket is missing.
    """
    files = {
        path.relative_to(folder).as_posix(): path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith(".")
    }
    digests = {name: sha256_of_file(path) for name, path in files.items()}
    # A page that comes late is better than a day that waits for it.
    with s3_client(settings, settings.s3_bucket, timeout=20, attempts=2) as client:
        there = _there(client, settings.s3_bucket)
        changed = [name for name, digest in digests.items() if there.get(name) != digest]
        gone = sorted(set(there) - set(digests))
        for name in changed:
            with files[name].open("rb") as stream:
                client.put_object(
                    Bucket=settings.s3_bucket,
                    Key=names.REPORTS + name,
                    Body=stream,
                    ContentType=_type_of(name),
                    CacheControl="no-cache",
                )
        for name in gone:
            client.delete_object(Bucket=settings.s3_bucket, Key=names.REPORTS + name)
        if changed or gone:
            client.put_object(
                Bucket=settings.s3_bucket,
                Key=names.REPORTS_MANIFEST,
                Body=json.dumps(digests, sort_keys=True, indent=1).encode(),
                ContentType="application/json",
            )
    return {"uploaded": len(changed), "deleted": len(gone)}


def _there(client: Any, bucket: str) -> dict[str, str]:
    """What lies in the bucket, with the digest that the manifest gives; none where it does not know the object."""
    found = get_object(client, bucket, names.REPORTS_MANIFEST)
    told: dict[str, str] = json.loads(found[0]) if found else {}
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=names.REPORTS)
    keys = {entry["Key"] for page in pages for entry in page.get("Contents", [])} - {names.REPORTS_MANIFEST}
    held = {key.removeprefix(names.REPORTS) for key in keys}
    return {name: told.get(name, "") for name in held}


def _type_of(name: str) -> str:
    kind = _TYPES.get(Path(name).suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
    return f"{kind}; charset=utf-8" if kind in ("text/html", "text/css", "text/javascript") else kind
