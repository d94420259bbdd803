"""How long each step of a run took, on record for the pages: the last time it was run counts."""

from __future__ import annotations

from datetime import date

from contracts import names
from jobs.io.state import DURATIONS, State
from jobs.runs import run_key
from jobs.steps import RETRAIN_STEPS

_OF_RETRAINING = frozenset(step.name for step in RETRAIN_STEPS)


def keep_seconds(state: State, step: str, day: date, seconds: float) -> None:
    """Note the seconds of one step beside those of the others of its run."""
    key = run_key(names.RETRAIN if step in _OF_RETRAINING else names.DAILY, day)
    state.put(DURATIONS, key, {**(state.get(DURATIONS, key) or {}), step: round(seconds, 3)})
