"""A day's judgement: read both windows, ask whether they are whole, measure, decide. Writes nothing."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

import numpy as np

from contracts import names
from contracts.feed import FeedDescription, days_between
from jobs.io.state import PUBLICATIONS, VERDICTS, State
from jobs.monitoring.baseline import sound_days
from jobs.monitoring.champion import first_exposure, first_lists, known_catalogue, of_the_run, promoted_on
from jobs.monitoring.columns import INVALID, KINDS, NUMBERS, SHOWN, UNJUDGED, Column
from jobs.monitoring.completeness import read_completeness
from jobs.monitoring.evidently_report import DriftReport, drift_report
from jobs.monitoring.exposure import Exposure, exposure_measures, read_exposure
from jobs.monitoring.list_outcomes import ListOutcome, accuracy_measure, list_measure, list_outcome
from jobs.monitoring.list_sources import read_sources
from jobs.monitoring.outcomes import click_measure, conversion_measure
from jobs.monitoring.panel import Panel, first_event_day, read_panel
from jobs.monitoring.people import share_columns, taste_measure, unknown_measures
from jobs.monitoring.prices import price_reasons
from jobs.monitoring.snapshots import MAX_LISTS, feature_columns, first_items, list_columns
from jobs.monitoring.tastes import Leads
from jobs.monitoring.thresholds import Thresholds
from jobs.monitoring.traffic import traffic_reasons
from jobs.monitoring.validity import Volume, column_reasons, volume_reasons
from jobs.monitoring.verdict import Verdict, decide, measure_column
from jobs.monitoring.windows import Span, Windows, choose_windows
from jobs.people import people_known
from jobs.runs import StepContext, lists_table


@dataclass(frozen=True)
class Found:
    """Everything that a day's judgement came to."""

    day: date
    champion: str | None
    windows: Windows | None
    verdict: Verdict
    volumes: tuple[Volume, Volume] | None = None
    lists: ListOutcome | None = None
    exposure: Exposure | None = None
    sources: dict[str, int] | None = None  # how many of the day's lists come from each
    report: DriftReport | None = None

    def as_record(self) -> dict[str, Any]:
        """What ``verdict.json`` holds: the same for the same inputs, whenever it is computed."""
        verdict = self.verdict
        return {
            "day": self.day.isoformat(),
            "verdict": verdict.verdict,
            "reasons": list(verdict.reasons),
            "champion": self.champion,
            "windows": self.windows
            and {
                "reference": self.windows.reference.as_record(),
                "current": self.windows.current.as_record(),
            },
            "num_reference": self.volumes[0].num_rows if self.volumes else 0,
            "num_current": self.volumes[1].num_rows if self.volumes else 0,
            "kinds": {
                kind: {
                    "status": verdict.kinds[kind],
                    "measures": [measure.as_record() for measure in verdict.measures if measure.kind == kind],
                }
                for kind in KINDS
            },
            "lists_of_the_day_before": self.lists.as_record() if self.lists else None,
            "exposure": self.exposure.as_record() if self.exposure else None,
            "sources": self.sources,
        }


def judge_day(day: date, context: StepContext, thresholds: Thresholds) -> Found:
    """Compare the days the champion was trained on with the last ones."""
    settings, state, lake = context.settings, context.state, context.lake
    champion, feed = of_the_run(state, day)
    promoted = promoted_on(state, champion)
    first_day = first_event_day(lake, day, settings.threads)
    evidence = thresholds.evidence
    windows = choose_windows(
        day, first_day, promoted, monitor_days=settings.monitor_days, reference_days=evidence.reference_days
    )
    if windows is None or first_day is None:
        note = f"nothing to compare with yet: {settings.monitor_days} days have to lie before the last {settings.monitor_days}"
        return Found(day, champion, None, decide([], {}, thresholds.features, [note]))
    recent = windows.recent(thresholds.alarm.recent_days)
    panel = read_panel(lake, windows.all_days, day, max_rows=evidence.panel_rows, threads=settings.threads)
    volumes = (
        _volume(panel, _days_of(windows.reference), feed),
        _volume(panel, _days_of(windows.current), feed),
    )
    before = _volume(panel, _sound_days(state, windows, windows.current, thresholds), feed)
    lists = _list_outcome(context, panel, day, feed)
    exposure = read_exposure(lake, names.LISTS, day, threads=settings.threads)
    sources = read_sources(lake, names.LISTS, day)
    found = Found(
        day, champion, windows, decide([], {}, thresholds.features), volumes, lists, exposure, sources
    )
    columns, notes = _columns(context, windows, panel, first_day, champion, promoted, thresholds)
    invalid: dict[str, list[str]] = {
        kind: column_reasons(
            [column for column in columns if column.kind == kind], thresholds.validity, evidence
        )
        for kind in KINDS
    }
    broken = _what_is_broken(context, windows, recent, panel, feed, thresholds)
    invalid["data"] = volume_reasons(*volumes, before, thresholds.validity) + broken + invalid["data"]
    if any(invalid.values()):
        return replace(found, verdict=decide([], invalid, thresholds.features))
    tastes, leads = taste_measure(panel, windows, thresholds, _rng("tastes_lost"))
    compared = [column for column in (*columns, *_taste_columns(leads)) if _is_comparable(column)]
    report = drift_report(compared, is_drawn=context.settings.reports_kept > 0) if compared else None
    outcomes = _list_outcomes(state, windows.current, lists)
    measures = [
        tastes,
        taste_measure(panel, recent, thresholds, _rng("tastes_lost_recently"), is_recent=True)[0],
        *unknown_measures(
            panel, recent, known_catalogue(lake, promoted, settings.threads), thresholds, _rng("unknown")
        ),
        *(
            measure_column(column, report.values[column.name], evidence, _rng(column.name))
            for column in compared
            if report
        ),
        list_measure(outcomes, windows, thresholds),
        accuracy_measure(*_since_the_first_days(state, promoted, windows, outcomes), thresholds),
        click_measure(panel, windows, thresholds, _rng("clicks_lost")),
        conversion_measure(panel, windows, thresholds),
        *exposure_measures(first_exposure(context), exposure, thresholds.loop),
    ]
    measures.sort(key=lambda measure: measure.status in (SHOWN, UNJUDGED))
    return replace(found, verdict=decide(measures, {}, thresholds.features, notes), report=report)


def _what_is_broken(
    context: StepContext,
    windows: Windows,
    recent: Windows,
    panel: Panel,
    feed: FeedDescription | None,
    thresholds: Thresholds,
) -> list[str]:
    """What is wrong with the last days' events and prices: they are looked at alone, before a week hides them."""
    lake, threads, day = context.lake, context.settings.threads, windows.current.last
    people = people_known(lake, day, missing=feed is None or feed.missing_consent == "granted")
    completeness = read_completeness(lake, windows.reference, recent.current, day, people, threads=threads)
    before = _sound_days(context.state, windows, recent.current, thresholds)
    return [
        *traffic_reasons(
            panel.traffic_within(windows.reference),
            panel.traffic_of(before),
            panel.traffic_within(recent.current),
            recent,
            feed.calendar if feed else None,
            thresholds.validity,
            thresholds.evidence,
        ),
        *completeness.reasons(thresholds.validity, thresholds.evidence),
        *price_reasons(lake, windows.reference.last, day, thresholds.validity, threads=threads),
    ]


def _sound_days(state: State, windows: Windows, window: Span, thresholds: Thresholds) -> list[date]:
    def is_invalid(day: date) -> bool:
        return (state.get(VERDICTS, day.isoformat()) or {}).get("verdict") == INVALID

    return sound_days(windows, window, is_invalid, thresholds.validity.sound_days)


def _days_of(span: Span) -> list[date]:
    return days_between(span.first, span.last)


def _volume(panel: Panel, days: Sequence[date], feed: FeedDescription | None) -> Volume:
    """What happened on some days, and on how many of them something should have."""
    counts = panel.counts_of(days)
    calendar = feed.calendar if feed else None
    return Volume(
        rows_by_type={
            str(name): int(rows) for name, rows in counts.groupby("event_type")["num_rows"].sum().items()
        },
        num_open_days=int(counts["event_date"].nunique()),
        num_expected_days=sum(calendar.expects(day) for day in days) if calendar else len(days),
    )


def _columns(
    context: StepContext,
    windows: Windows,
    panel: Panel,
    first_day: date,
    champion: str | None,
    promoted: date | None,
    thresholds: Thresholds,
) -> tuple[list[Column], list[str]]:
    """Every column that can be compared, and why a kind has none."""
    day, notes = windows.current.last, []
    features, why_none = feature_columns(context.lake, windows.reference, day, first_day, thresholds)
    if why_none:
        notes.append(f"features are not judged: {why_none}")
    predictions: list[Column] = []
    first = first_lists(context, champion, promoted, day)
    if first is None or context.lake.manifest(names.LISTS, day) is None:
        notes.append(
            "predictions are not judged: the champion has no lists of an earlier day to compare with"
        )
    else:
        before, now = (
            first_items(context.lake, *which, context.settings.threads, max_users=MAX_LISTS)
            for which in (first, (names.LISTS, day))
        )
        predictions = list_columns(before, now, thresholds)
    return [*features, *predictions, *share_columns(panel, windows, thresholds)], notes


def live_lists(state: State, day: date) -> tuple[str, date] | None:
    """Table and day of the lists that people saw on ``day``: the last published for an earlier one."""
    published = [
        (date.fromisoformat(record["day"]), int(version.lstrip("v")), str(record["kind"]))
        for version, record in state.all(PUBLICATIONS).items()
        if record["day"] < day.isoformat()
    ]
    if not published:
        return None
    last_day, _, kind = max(published)
    return lists_table(kind), last_day


def _list_outcome(
    context: StepContext, panel: Panel, day: date, feed: FeedDescription | None
) -> ListOutcome | None:
    live = live_lists(context.state, day)
    if live is None:
        return None
    return list_outcome(
        context.lake,
        panel.within(Span(day, day)),
        live,
        repeats_allowed=feed is None or feed.repeats_allowed,
        threads=context.settings.threads,
    )


def _list_outcomes(state: State, span: Span, today: ListOutcome | None) -> dict[date, Mapping[str, Any]]:
    """What became of the lists on each day of the span: earlier days from their own verdicts."""
    found: dict[date, Mapping[str, Any]] = {}
    for candidate in days_between(span.first, span.last):
        record = state.get(VERDICTS, candidate.isoformat())
        if record and record.get("lists_of_the_day_before"):
            found[candidate] = record["lists_of_the_day_before"]
    if today is not None:
        found[span.last] = today.as_record()
    return found


def _since_the_first_days(
    state: State, promoted: date | None, windows: Windows, outcomes: Mapping[date, Mapping[str, Any]]
) -> tuple[dict[date, Mapping[str, Any]], dict[date, Mapping[str, Any]]]:
    """What became of the champion's lists on its first days, and on those of the current window that came later."""
    if promoted is None:
        return {}, {}
    last = promoted + timedelta(days=windows.current.num_days)
    first = _list_outcomes(state, Span(promoted + timedelta(days=1), last), None)
    first.pop(
        windows.current.last, None
    )  # today's own verdict is not there yet, whatever an earlier run has left
    later = {day: found for day, found in outcomes.items() if day > last}
    return first, later


def _taste_columns(both: tuple[Leads, Leads] | None) -> Sequence[Column]:
    """Each person's familiar share as a column, for Evidently's page."""
    if both is None:
        return ()
    import pandas as pd

    before, now = (pd.Series(window.familiar[window.is_known]) for window in both)
    note = "what the tastes lost are computed from: shown, never judged"
    return (
        Column(
            "outcomes",
            "tastes.familiar_share",
            "Events in familiar categories",
            NUMBERS,
            before,
            now,
            note=note,
        ),
    )


def _is_comparable(column: Column) -> bool:
    return bool(column.reference.notna().any() and column.current.notna().any())


def _rng(name: str) -> np.random.Generator:
    """The same draws for the same measure, whatever else is measured."""
    return np.random.default_rng(zlib.crc32(name.encode()))
