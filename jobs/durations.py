"""How long each step of a run took, on record for the pages: the last time it was run counts."""

from __future__ import annotations

from datetime import date

from jobs.io.state import DURATIONS, State
from jobs.runs import run_key
from jobs.steps import kind_of


def keep_seconds(state: State, step: str, day: date, seconds: float) -> None:
    """Note the seconds of one step beside those of the others of its run."""
    key = run_key(kind_of(step), day)
    state.put(DURATIONS, key, {**(state.get(DURATIONS, key) or {}), step: round(seconds, 3)})
