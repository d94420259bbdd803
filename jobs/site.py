"""The end of a run: pages, flat tables and marts are brought up to date, and the pages go to S3 as well."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime
from typing import Any

from contracts.errors import ForetasteError
from contracts.settings import Settings
from jobs.durations import keep_seconds
from jobs.io.site_objects import upload_site
from jobs.marts import refresh_marts
from jobs.reports import build_reports
from jobs.runs import StepContext


def finish_run(context: StepContext, step: str, day: date) -> dict[str, str]:
    """What the last step of a run does at its end; its own seconds up to here stand on the pages, too."""
    keep_seconds(context.state, step, day, time.perf_counter() - context.begun)
    return publish_site(context.settings, datetime.combine(day, datetime.min.time(), UTC))


def publish_site(settings: Settings, now: datetime) -> dict[str, str]:
    """Write what has changed here and in S3; a bucket that does not answer is said and holds nothing up."""
    index = build_reports(settings, now)
    refresh_marts(settings)
    try:
        told = _told(upload_site(settings, settings.reports_path))
    except ForetasteError as error:
        told = f"not uploaded: {error}"
    return {"report": str(index), "reports_s3": told}


def _told(done: dict[str, Any]) -> str:
    return f"uploaded {done['uploaded']} files, deleted {done['deleted']}"
