"""The loop without a scheduler: run each day as soon as it is delivered, and retrain when the alarm rings.

One process runs every step, so that what takes a step's time under a scheduler (imports, a JVM) is paid once. What
runs, in which order and under which lease is what Airflow runs; so is what a failure means: a day that is refused
moves nothing, and the next one is waited for.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from typing import Any, Literal

from contracts.errors import DayRefused, ForetasteError, GateRefused, ModelRefused
from contracts.feed import days_between
from contracts.settings import Settings
from jobs.feed_reader import is_delivery_complete
from jobs.io.spark import spark_context
from jobs.io.state import State
from jobs.retrain import ALARM, PERSON, SCHEDULE
from jobs.run import Listener, retrain, run_day

#: When a follower retrains by itself: when the drift alarm rings, after every day, or never.
Retrain = Literal["on-alarm", "daily", "never"]


@dataclass(frozen=True)
class FollowedDay:
    """What became of a day."""

    day: str
    refused: str = ""  # why the day was refused; empty when it ran
    verdict: str = ""  # of the drift monitor
    reasons: tuple[str, ...] = ()
    has_rung: bool = False
    retrained: str = ""  # promoted, refused or skipped; empty when no retraining was begun
    retraining_reasons: tuple[str, ...] = ()

    def as_record(self) -> dict[str, Any]:
        return asdict(self)

    def told(self) -> str:
        """The day in one line."""
        if self.refused:
            return f"{self.day}: refused, nothing moves. {self.refused}"
        parts = [f"{self.day}: {self.verdict}", *self.reasons]
        if self.retrained:
            parts.append(f"retraining {self.retrained}")
        return "; ".join((*parts, *self.retraining_reasons))


def follow(
    settings: Settings,
    first: date,
    last: date,
    *,
    retrain_when: Retrain,
    every_days: int = 0,
    poll_seconds: float,
    run_id: str,
    listener: Listener,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[FollowedDay]:
    """Run each day once its delivery is complete; yields what became of it before the next one is waited for.

    Args:
        every_days: retrain every so many days as well, from the first one on; 0: never.

    Raises:
        ForetasteError: something else than a refusal; what was published stays published.
    """
    with spark_context(settings):  # every step finds this one
        for day in days_between(first, last):
            while not is_delivery_complete(settings, day, _today(settings)):
                sleep(poll_seconds)
            is_due = bool(every_days) and ((day - first).days + 1) % every_days == 0
            yield _follow_day(settings, day, retrain_when, is_due, f"{run_id}-{day}", listener)


def _today(settings: Settings) -> date:
    return datetime.fromtimestamp(State.of(settings).clock(), UTC).date()


def _follow_day(
    settings: Settings, day: date, retrain_when: Retrain, is_due: bool, run_id: str, listener: Listener
) -> FollowedDay:
    try:
        monitored = run_day(settings, day, run_id=run_id, listener=listener)[-1]
    except (DayRefused, GateRefused, ModelRefused) as refusal:
        return FollowedDay(str(day), refused=_told(refusal))
    found = FollowedDay(
        str(day),
        verdict=monitored["verdict"],
        reasons=tuple(monitored["reasons"]),
        has_rung=bool(monitored["rings"]),
    )
    asked = _why_retrain(found, retrain_when, is_due)
    if asked is None:
        return found
    outcome, why = _retrained(settings, day, f"{run_id}-retrain", *asked, listener)
    return FollowedDay(**{**asdict(found), "retrained": outcome, "retraining_reasons": why})


def _why_retrain(found: FollowedDay, retrain_when: Retrain, is_due: bool) -> tuple[str, str] | None:
    """The reason for a retraining and who asks for it; None when nobody does."""
    if retrain_when == "daily":
        return "every day", PERSON
    if retrain_when == "on-alarm" and found.has_rung:
        return f"drift alarm of {found.day}: {'; '.join(found.reasons)}", ALARM
    return ("regular", SCHEDULE) if is_due else None


def _retrained(
    settings: Settings, day: date, run_id: str, reason: str, trigger: str, listener: Listener
) -> tuple[str, tuple[str, ...]]:
    """What came of a retraining: promoted, refused or skipped, and why."""
    told: dict[str, dict[str, Any]] = {}

    def keep(name: str, seconds: float, result: dict[str, Any]) -> None:
        told[name] = result
        listener(name, seconds, result)

    try:
        retrain(settings, day, run_id=run_id, reason=reason, trigger=trigger, listener=keep)
    except (GateRefused, ModelRefused) as refusal:
        return "refused", (_told(refusal),)
    if "skipped" in told["prepare-retraining"]:
        return "skipped", (str(told["prepare-retraining"]["skipped"]),)
    promoted = "skipped" not in told["promote"]
    return ("promoted" if promoted else "refused"), tuple(told["train"]["reasons"])


def _told(error: ForetasteError) -> str:
    return f"{type(error).__name__}: {error}"
