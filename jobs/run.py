"""Run one step, a day, a range of days, a retraining or a replay, each under the lease."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from contracts import names
from contracts.errors import DayRefused, GateRefused, ModelRefused, NothingToDo
from contracts.feed import days_between
from contracts.settings import Settings
from jobs.durations import keep_seconds
from jobs.io.state import State
from jobs.refusals import forget_refusal, keep_refusal
from jobs.runs import StepContext, champion_of, fix_manifest
from jobs.start_page import write_start_page
from jobs.steps import DAILY_STEPS, LAST_STEPS, LOAD_STEPS, RETRAIN_STEPS, STEPS, Result, Step

#: Called after each step with its name, seconds and result: the CLI prints, tests listen.
Listener = Callable[[str, float, Result], None]


def run_step(
    settings: Settings, name: str, day: date, *, run_id: str, is_last: bool, **options: Any
) -> Result:
    """Run one step of a day under the lease of its run.

    Raises:
        ForetasteError: what a step says no with; its ``exit_code`` tells whether trying again can help.
    """
    step = STEPS[name]
    state = State.of(settings)
    with (
        _temporary_files_in(settings.home / "tmp"),
        state.lease(run_id, name, settings.lease_seconds, is_last=is_last) as lease,
    ):
        context = StepContext.of(settings, lease)
        try:
            result = step.run(day, context, **options)
        except (DayRefused, GateRefused, ModelRefused) as refusal:
            keep_refusal(context, name, day, refusal)
            raise
        forget_refusal(state, name, day)
        keep_seconds(state, name, day, time.perf_counter() - context.begun)
        if name == "land":
            fix_manifest(context, names.DAILY, day, champion_of(state, day))
    if name in LAST_STEPS:
        write_start_page(settings, now=datetime.fromtimestamp(state.clock(), UTC))
    return result


@contextmanager
def _temporary_files_in(folder: Path) -> Iterator[None]:
    """Libraries leave things in the temporary folder of their process: as long as this lasts, ``folder``."""
    before = tempfile.tempdir
    folder.mkdir(parents=True, exist_ok=True)
    tempfile.tempdir = str(folder)
    try:
        yield
    finally:
        tempfile.tempdir = before


def run_day(
    settings: Settings, day: date, *, run_id: str, listener: Listener, accept: str | None = None
) -> list[Result]:
    """Every step of one day, in order."""
    return _run_steps(settings, DAILY_STEPS, day, run_id, listener, {"land": {"accept": accept}})


def run_days(
    settings: Settings, first: date, last: date, *, run_id: str, listener: Listener, accept: str | None = None
) -> list[Result]:
    """Every step of each day, oldest first; only the newest goes live."""
    results: list[Result] = []
    for day in days_between(first, last):
        results += run_day(settings, day, run_id=f"{run_id}-{day}", listener=listener, accept=accept)
    return results


def load_history(
    settings: Settings, first: date, last: date, *, run_id: str, listener: Listener, accept: str | None = None
) -> list[Result]:
    """Land and transform many days at once; the tables are those of day after day, see ``jobs.transform.run``."""
    options: dict[str, dict[str, Any]] = {
        "land": {"first": first, "accept": accept},
        "validate-landed": {},
        "transform": {"first": first},
    }
    return _run_steps(settings, LOAD_STEPS, last, run_id, listener, options)


def replay_quarantine(
    settings: Settings, *, run_id: str, reason: str | None, first: date | None, last: date | None
) -> Result:
    """Read quarantined rows again and land what is good by now."""
    from jobs import replay

    with (
        _temporary_files_in(settings.home / "tmp"),
        State.of(settings).lease(run_id, "replay", settings.lease_seconds, is_last=True) as lease,
    ):
        return replay.run(StepContext.of(settings, lease), reason=reason, first=first, last=last)


def rebuild_days(
    settings: Settings, days: Sequence[date], *, run_id: str, listener: Listener
) -> list[Result]:
    """Build dbt's tables of some days again from what has landed; lists and what is published stay.

    Each day keeps the settings that its run was begun with.
    """
    from jobs import transform

    results: list[Result] = []
    state = State.of(settings)
    with (
        _temporary_files_in(settings.home / "tmp"),
        state.lease(run_id, "rebuild", settings.lease_seconds, is_last=True) as lease,
    ):
        context = StepContext.of(settings, lease)
        for first, last in _rows(days):
            begun = time.perf_counter()
            result = transform.run(last, context, first=first)
            listener(f"rebuild {first} to {last}", time.perf_counter() - begun, result)
            results.append(result)
        transform.catch_up(context)
    return results


def _rows(days: Sequence[date]) -> list[tuple[date, date]]:
    """First and last of each row of days that follow one another."""
    found: list[tuple[date, date]] = []
    for day in sorted(days):
        if found and found[-1][1] + timedelta(days=1) == day:
            found[-1] = (found[-1][0], day)
        else:
            found.append((day, day))
    return found


def retrain(
    settings: Settings, day: date, *, run_id: str, reason: str, trigger: str, listener: Listener
) -> list[Result]:
    """Train, judge, promote or refuse, and publish, as of a day."""
    options = {"prepare-retraining": {"reason": reason, "trigger": trigger}}
    return _run_steps(settings, RETRAIN_STEPS, day, run_id, listener, options)


def finish_retraining(settings: Settings, day: date, *, run_id: str, listener: Listener) -> list[Result]:
    """What comes after a person's answer: promote or refuse, publish, and the page."""
    begun = [step.name for step in RETRAIN_STEPS].index("promote")
    return _run_steps(settings, RETRAIN_STEPS[begun:], day, run_id, listener, {})


def _run_steps(
    settings: Settings,
    steps: Sequence[Step],
    day: date,
    run_id: str,
    listener: Listener,
    options: dict[str, dict[str, Any]],
) -> list[Result]:
    results: list[Result] = []
    is_over = False
    for step in steps:
        if is_over and not step.is_always:
            continue
        begun = time.perf_counter()
        try:
            result = run_step(
                settings,
                step.name,
                day,
                run_id=run_id,
                is_last=step is steps[-1] or step.name in LAST_STEPS,
                **options.get(step.name, {}),
            )
        except NothingToDo as nothing:
            listener(step.name, time.perf_counter() - begun, {"skipped": str(nothing)})
            is_over = True
            continue
        listener(step.name, time.perf_counter() - begun, result)
        results.append(result)
    return results
