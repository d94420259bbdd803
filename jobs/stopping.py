"""Experiments that nobody takes part in any more: recorded with who said so and why, and told to the online store with what is blocked.

The file with the rules says what experiments there are; stopping one needs no publication, and holds for every version.
"""

from __future__ import annotations

from datetime import datetime

from contracts.errors import BlockRefused
from contracts.settings import Settings
from jobs.io.state import STOPPINGS, State
from jobs.kept_away import Word, said, words_of
from jobs.serving_rules import load_serving_rules


def stop(settings: Settings, experiment: str, *, by: str, why: str, now: datetime) -> Word:
    """Let everybody have the surface's own rules from now on, whatever variant they were in.

    Raises:
        BlockRefused: there is no such experiment.
        ServiceUnreachable, StoreUnfit: it is recorded, and the online store was not told.
    """
    named = [each.name for each in load_serving_rules().experiments]
    if experiment not in named:
        raise BlockRefused(
            f"there is no experiment {experiment!r} in expectations/serving_rules.toml, which names {', '.join(named) or 'none'}"
        )
    return _say(settings, experiment, is_stopped=True, by=by, why=why, now=now)


def resume(settings: Settings, experiment: str, *, by: str, why: str, now: datetime) -> Word:
    """Let an experiment go on: everybody is in the variant as before.

    Raises:
        BlockRefused: it never was stopped.
        ServiceUnreachable, StoreUnfit: it is recorded, and the online store was not told.
    """
    state = State.of(settings)
    if state.get(STOPPINGS, experiment) is None:
        stopped = ", ".join(word["experiment"] for word in stopped_experiments(state)) or "none"
        raise BlockRefused(f"experiment {experiment!r} is not stopped; stopped are: {stopped}")
    return _say(settings, experiment, is_stopped=False, by=by, why=why, now=now)


def stopped_experiments(state: State) -> list[Word]:
    """Of every stopped experiment the word that stopped it, by name."""
    return [words[-1] for words in words_of(state, STOPPINGS).values() if words[-1]["is_stopped"]]


def _say(settings: Settings, experiment: str, *, is_stopped: bool, by: str, why: str, now: datetime) -> Word:
    word = {
        "experiment": experiment, "is_stopped": is_stopped, "at": now.isoformat(timespec="seconds"), "by": by, "why": why,
    }  # fmt: skip
    told = f"experiment {experiment!r} is {_said(word)}"
    with said(settings, STOPPINGS, experiment, word, decides="is_stopped", told=told) as (holding, _):
        return dict(holding)


def _said(word: Word) -> str:
    return "stopped" if word["is_stopped"] else "going on"


def render(word: Word) -> str:
    """The answer as a person reads it."""
    return (
        f"experiment {word['experiment']} is {_said(word)} since {word['at']}, by {word['by']}: {word['why']}"
    )
