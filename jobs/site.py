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
    return publish_after_run(context.settings, day)


def publish_after_run(settings: Settings, day: date) -> dict[str, str]:
    """:func:`publish_site` as of a run's day, unless the settings leave it to ``foretaste report``."""
    if not settings.pages_after_run:
        told = (
            "not uploaded: FORETASTE_PAGES_AFTER_RUN is false; foretaste report writes and uploads the pages"
        )
        return {"report": str(settings.reports_path / "index.html"), "reports_s3": told}
    return publish_site(settings, datetime.combine(day, datetime.min.time(), UTC))


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
