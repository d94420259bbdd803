"""The search for better settings: one try after the other, within a budget, judged by validation days alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from jobs.io.study import Pruned, Study, Trial
from jobs.training.search_space import Space
from models.metrics import Interval, paired_bootstrap

_NUM_RESAMPLES = 2000

#: Called after each epoch with its number and validation NDCG@10.
Watch = Callable[[int, float], None]
#: Trains with some settings; returns the validation NDCG@10 of the best epoch, and of each user.
Train = Callable[[dict[str, Any], Watch], tuple[float, list[float]]]


@dataclass(frozen=True)
class Budget:
    """What a search may take in all, with what it has taken in earlier calls."""

    trials: int
    seconds: float


@dataclass(frozen=True)
class Comparison:
    """The best of the trials beside the settings that are in force."""

    best: Trial
    present: Trial
    difference: (
        Interval | None
    )  # best minus present, user by user; None where they are one, or nobody can be compared

    @property
    def is_surely_better(self) -> bool:
        return self.difference is not None and self.difference.low > 0


class _OutOfTime(Exception):
    """The budget ends within a trial."""


def search(
    study: Study,
    space: Space,
    present: Mapping[str, Any],
    train: Train,
    budget: Budget,
    *,
    clock: Callable[[], float],
    listener: Callable[[Trial], None] = lambda trial: None,
) -> list[Trial]:
    """Try settings until the trials or the seconds are used up; returns all trials, those of earlier calls included.

    The first try is ``present``. One that the budget ends within counts for nothing: more time tries it again.
    """
    first = {name: present[name] for name in space}
    while len(study.trials()) < budget.trials and study.seconds() < budget.seconds:
        trial, begun, left = study.ask(space, first), clock(), budget.seconds - study.seconds()

        def watch(epoch: int, ndcg: float) -> None:
            taken = clock() - begun  # noqa: B023 - called within this turn of the loop only
            trial.report(epoch, ndcg, taken)  # noqa: B023
            if taken >= left:  # noqa: B023
                raise _OutOfTime

        try:
            ndcg, ndcg_U = train({**present, **trial.settings}, watch)
        except _OutOfTime:
            trial.give_up()
            break
        except Pruned as pruned:
            trial.prune(str(pruned))
        except ValueError as error:  # a loss that is not finite: these settings cannot be trained with
            trial.prune(str(error))
        else:
            trial.finish(ndcg, ndcg_U)
        listener(study.trials()[-1])
    return study.trials()


def compare(trials: list[Trial], present: Mapping[str, Any], seed: int) -> Comparison | None:
    """The best beside the first; None where no trial, or not the first, came to a figure."""
    finished = [trial for trial in trials if trial.ndcg_at_10 is not None]
    same = [
        trial for trial in finished if all(present[name] == value for name, value in trial.settings.items())
    ]
    if not same:
        return None
    best = max(finished, key=lambda trial: (trial.ndcg_at_10 or 0.0, -trial.number))
    if best.number == same[0].number or not best.ndcg_U:
        return Comparison(best, same[0], None)
    difference = paired_bootstrap(
        np.array(best.ndcg_U), np.array(same[0].ndcg_U), _NUM_RESAMPLES, np.random.default_rng(seed)
    )
    return Comparison(best, same[0], difference)
