"""Drift of features, of predictions and of what people then did: the verdict of a day, and its report.

``ok``, ``drift`` or ``invalid``; the thresholds stand in ``expectations/drift.toml`` and the reasoning in
``docs/monitoring.md``. A drift rings the alarm when its day is the newest and no retraining is near.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from typing import Any

from jobs import alarms
from jobs.io.state import PROMOTIONS, RETRAININGS, VERDICTS
from jobs.monitoring import keep
from jobs.monitoring.answers import day_answers
from jobs.monitoring.columns import DRIFT, INVALID
from jobs.monitoring.judgement import Found, judge_day
from jobs.monitoring.kpis import day_kpis
from jobs.monitoring.moves import moved
from jobs.monitoring.settling import Settling, settling
from jobs.monitoring.thresholds import Thresholds, load_thresholds
from jobs.monitoring.windows import Windows
from jobs.reports import day_page
from jobs.runs import StepContext, why_not_live
from jobs.site import finish_run

#: So many windows of days since a drift make a world that a champion knows well: half of what it is compared with.
_WELL_KNOWN_WINDOWS = 2


def run(day: date, context: StepContext) -> dict[str, Any]:
    """Judge the day, keep what was found, and say whether the alarm rings."""
    settings, state = context.settings, context.state
    thresholds = load_thresholds()
    found = judge_day(day, context, thresholds)
    newest = why_not_live(state, day) is None
    retrained = [date.fromisoformat(key) for key in state.all(RETRAININGS)]
    settled = _settling(day, context, found, thresholds)
    is_asked = settled.rings_for(found.verdict.verdict == DRIFT)
    rings = does_ring(is_asked, newest, day, retrained, thresholds.alarm.cooldown_days)
    why = settled.waits or (settled.reason if rings else "")
    reasons = [*found.verdict.reasons, *([why] if why else [])]
    record = found.as_record() | figures(context, found.windows, day)
    record |= {"reasons": reasons, "settling": settled.as_record()}
    keep.keep_files(settings, day, record, found.report)
    keep.keep_row(context, day, record)
    keep.keep_record(context, day, record, rings=rings, is_newest=newest)
    told = finish_run(context, "monitor", day)
    return {
        "day": day.isoformat(),
        "verdict": found.verdict.verdict,
        "reasons": reasons,
        "rings": rings,
        "is_newest": newest,
        "alarms": alarms.of_verdict(found.verdict.verdict, tuple(reasons), rings=rings),
        "report": str(day_page(settings, day)),
        "reports_s3": told["reports_s3"],
        "page_url": f"{settings.reports_url}/days/{day}.html" if settings.reports_url else "",
        "drift_url": f"{settings.reports_url}/drift/{day}/report.html"
        if settings.reports_url and found.report and found.report.html
        else "",
    }


def figures(context: StepContext, windows: Windows | None, day: date) -> dict[str, Any]:
    """What the day came to for the shop, what was answered and what moved: kept with the verdict and never judged by it."""
    lake, threads = context.lake, context.settings.threads
    return {
        "kpis": day_kpis(lake, day, threads=threads).as_record(),
        "answers": [each.as_record() for each in day_answers(lake, day, threads=threads)],
        "moved": moved(lake, windows.reference, windows.current, day, threads=threads).as_record()
        if windows
        else None,
    }


def _settling(day: date, context: StepContext, found: Found, thresholds: Thresholds) -> Settling:
    """Where the shop is after a drift; an invalid day says nothing new about it, a refused one has no verdict."""
    earlier = (day - timedelta(days=number) for number in range(1, thresholds.alarm.settle_days + 1))
    before = next(filter(None, (context.state.get(VERDICTS, each.isoformat()) for each in earlier)), {})
    since = (before.get("settling") or {}).get("drift_since")
    drift_since = date.fromisoformat(since) if since else None
    if found.verdict.verdict == INVALID:
        return Settling(drift_since)
    promotion = context.state.get(PROMOTIONS, found.champion) if found.champion else None
    return settling(
        day,
        is_drift=found.verdict.verdict == DRIFT,
        drift_since=drift_since,
        trained_until=date.fromisoformat(promotion["day"]) if promotion else None,
        well_known_days=_WELL_KNOWN_WINDOWS * context.settings.monitor_days,
        thresholds=thresholds.alarm,
    )


def does_ring(
    is_asked: bool, is_newest: bool, day: date, retrained: Iterable[date], cooldown_days: int
) -> bool:
    """What asks for a retraining rings on the newest day, unless one was begun within the cool-down."""
    cooldown = timedelta(days=cooldown_days)
    is_cooling = any(timedelta(0) <= day - other < cooldown for other in retrained)
    return is_asked and is_newest and not is_cooling
