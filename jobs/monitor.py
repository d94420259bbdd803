"""Drift of features, of predictions and of what people then did: the verdict of a day, and its report.

``ok``, ``drift`` or ``invalid``; the thresholds stand in ``expectations/drift.toml`` and the reasoning in
``docs/monitoring.md``. A drift rings the alarm when its day is the newest and no retraining is near.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from typing import Any

from jobs import alarms
from jobs.io.state import RETRAININGS
from jobs.monitoring import keep
from jobs.monitoring.columns import DRIFT
from jobs.monitoring.judgement import judge_day
from jobs.monitoring.kpis import day_kpis
from jobs.monitoring.moves import moved
from jobs.monitoring.thresholds import load_thresholds
from jobs.monitoring.windows import Windows
from jobs.reports import day_page
from jobs.runs import StepContext, why_not_live
from jobs.site import finish_run


def run(day: date, context: StepContext) -> dict[str, Any]:
    """Judge the day, keep what was found, and say whether the alarm rings."""
    settings, state = context.settings, context.state
    thresholds = load_thresholds()
    found = judge_day(day, context, thresholds)
    newest = why_not_live(state, day) is None
    retrained = [date.fromisoformat(key) for key in state.all(RETRAININGS)]
    rings = does_ring(found.verdict.verdict, newest, day, retrained, thresholds.alarm.cooldown_days)
    record = found.as_record() | figures(context, found.windows, day)
    keep.keep_files(settings, day, record, found.report)
    keep.keep_row(context, day, record)
    keep.keep_record(context, day, record, rings=rings, is_newest=newest)
    told = finish_run(context, "monitor", day)
    return {
        "day": day.isoformat(),
        "verdict": found.verdict.verdict,
        "reasons": list(found.verdict.reasons),
        "rings": rings,
        "is_newest": newest,
        "alarms": alarms.of_verdict(found.verdict.verdict, found.verdict.reasons, rings=rings),
        "report": str(day_page(settings, day)),
        "reports_s3": told["reports_s3"],
        "page_url": f"{settings.reports_url}/days/{day}.html" if settings.reports_url else "",
        "drift_url": f"{settings.reports_url}/drift/{day}/report.html"
        if settings.reports_url and found.report
        else "",
    }


def figures(context: StepContext, windows: Windows | None, day: date) -> dict[str, Any]:
    """What the day came to for the shop, and what moved: kept with the verdict and never judged by it."""
    lake, threads = context.lake, context.settings.threads
    return {
        "kpis": day_kpis(lake, day, threads=threads).as_record(),
        "moved": moved(lake, windows.reference, windows.current, day, threads=threads).as_record()
        if windows
        else None,
    }


def does_ring(
    verdict: str, is_newest: bool, day: date, retrained: Iterable[date], cooldown_days: int
) -> bool:
    """A drift rings on the newest day, unless a retraining was begun within the cool-down."""
    cooldown = timedelta(days=cooldown_days)
    is_cooling = any(timedelta(0) <= day - other < cooldown for other in retrained)
    return verdict == DRIFT and is_newest and not is_cooling
