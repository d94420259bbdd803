"""A search's memory: the trials of one study, in Optuna's SQLite storage (Akiba et al., KDD 2019).

What is tried next follows from the seed and the finished trials alone: a search that was killed goes on as if it had not been.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from contracts.errors import LeaseHeld
from contracts.settings import Settings
from jobs.training.search_space import Range, Space, is_whole

if TYPE_CHECKING:
    import optuna

#: Trials that are drawn at random before the sampler models what is good (tree of Parzen estimators; Bergstra et al., 2011).
_RANDOM_TRIALS = 6
#: A trial is pruned from its third epoch on where its best is below the median of four finished ones at the same epoch.
_TRIALS_BEFORE_PRUNING, _EPOCHS_BEFORE_PRUNING = 4, 2


class Pruned(Exception):
    """A trial does worse than the others did by then."""


@dataclass(frozen=True)
class Trial:
    """One try that has ended."""

    number: int  # from 0, in the order of the ends
    settings: dict[str, Any]
    ndcg_at_10: float | None  # of the best epoch; None where it was pruned or could not be trained
    epochs: int
    seconds: float
    note: str  # why there is no figure
    ndcg_U: tuple[float, ...]  # of each user, in an order that is every trial's


class OpenTrial:
    """A try that goes on."""

    def __init__(self, study: optuna.Study, trial: optuna.Trial) -> None:
        self._study, self._trial = study, trial
        self.settings: dict[str, Any] = dict(trial.params)

    def report(self, epoch: int, ndcg: float, seconds: float) -> None:
        """Keep an epoch's figure and the seconds since the trial began.

        Raises:
            Pruned: the others were better by then.
        """
        self._trial.set_user_attr("epochs", epoch)
        self._trial.set_user_attr("seconds", seconds)
        self._trial.report(ndcg, epoch)
        if self._trial.should_prune():
            raise Pruned(f"pruned after {epoch} epochs")

    def finish(self, ndcg: float, ndcg_U: list[float]) -> None:
        self._trial.set_user_attr("ndcg_U", ndcg_U)
        self._study.tell(self._trial, ndcg)

    def prune(self, note: str) -> None:
        from optuna.trial import TrialState

        self._trial.set_user_attr("note", note)
        self._study.tell(self._trial, state=TrialState.PRUNED)

    def give_up(self) -> None:
        """End it without an outcome: with more time the same is tried again."""
        from optuna.trial import TrialState

        self._study.tell(self._trial, state=TrialState.FAIL)


class Study:
    """The trials of one search."""

    def __init__(self, study: optuna.Study, seed: int) -> None:
        self._study, self._seed = study, seed

    def trials(self) -> list[Trial]:
        """What has ended with an outcome, in order."""
        return [
            Trial(
                number=number,
                settings=dict(trial.params),
                ndcg_at_10=trial.values[0] if trial.values and "note" not in trial.user_attrs else None,
                epochs=trial.user_attrs.get("epochs", 0),
                seconds=trial.user_attrs.get("seconds", 0.0),
                note=trial.user_attrs.get("note", ""),
                ndcg_U=tuple(trial.user_attrs.get("ndcg_U", ())),
            )
            for number, trial in enumerate(self._finished())
        ]

    def seconds(self) -> float:
        """What all trials have taken, those that were killed or given up included."""
        return float(
            sum(trial.user_attrs.get("seconds", 0.0) for trial in self._study.get_trials(deepcopy=False))
        )

    def ask(self, space: Space, first: Mapping[str, Any]) -> OpenTrial:
        """The next try: ``first`` before all others, then what the sampler draws."""
        from optuna.samplers import TPESampler
        from optuna.trial import TrialState

        number = len(self._finished())
        is_waiting = self._study.get_trials(deepcopy=False, states=(TrialState.WAITING,))
        if number == 0 and not is_waiting:  # of a process that died before it could try it
            self._study.enqueue_trial(dict(first))
        seed = int(np.random.SeedSequence([self._seed, number]).generate_state(1)[0])
        self._study.sampler = TPESampler(seed=seed, n_startup_trials=_RANDOM_TRIALS)
        return OpenTrial(self._study, self._study.ask(_distributions(space)))

    def keep(self, name: str, value: Any) -> None:
        """Keep something beside the trials."""
        self._study.set_user_attr(name, value)

    def kept(self, name: str) -> Any:
        """What was kept; None where nothing was."""
        return self._study.user_attrs.get(name)

    def _finished(self) -> list[optuna.trial.FrozenTrial]:
        from optuna.trial import TrialState

        found = self._study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))
        return sorted(found, key=lambda trial: trial.number)


@contextmanager
def open_study(settings: Settings, key: str, seed: int) -> Iterator[Study]:
    """The study of a search, kept in ``HOME/tune``; ``key`` says what it searches in what.

    Raises:
        LeaseHeld: another process is at the same search.
    """
    folder = settings.home / "tune"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{key}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise LeaseHeld(
                f"another process searches the same: {folder / key}.sqlite. Wait for it, or end it."
            ) from error
        yield study_at(folder / f"{key}.sqlite", key, seed)


def study_at(path: Path | None, key: str, seed: int) -> Study:
    """The study in a file, or one that lasts as long as the process where there is none."""
    import optuna
    from optuna.pruners import MedianPruner

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        storage=None if path is None else f"sqlite:///{path}",
        study_name=key,
        direction="maximize",
        pruner=MedianPruner(_TRIALS_BEFORE_PRUNING, _EPOCHS_BEFORE_PRUNING),
        load_if_exists=True,
    )
    return Study(study, seed)


def _distributions(space: Space) -> dict[str, optuna.distributions.BaseDistribution]:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    found: dict[str, optuna.distributions.BaseDistribution] = {}
    for name, values in space.items():
        if not isinstance(values, Range):
            found[name] = CategoricalDistribution(values.choices)
        elif is_whole(name):
            found[name] = IntDistribution(int(values.low), int(values.high), log=values.log)
        else:
            found[name] = FloatDistribution(values.low, values.high, log=values.log)
    return found
