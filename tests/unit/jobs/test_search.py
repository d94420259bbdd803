"""A search for settings keeps to its budget, goes on after a kill as if nothing had been, and says what luck may have done."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest

from contracts.errors import SettingInvalid
from contracts.settings import Settings
from jobs.io.study import Study, study_at
from jobs.settings_file import with_values
from jobs.training.search import Budget, Train, Watch, compare, search
from jobs.training.search_space import Choices, Range, including, load_space, read_space
from jobs.tune import Search, as_record, render, trials_csv

PRESENT: dict[str, Any] = {"sasrec_learning_rate": 0.003, "sasrec_width": 64, "seed": 7, "sasrec_heads": 2}
SPACE = {
    "sasrec_learning_rate": Range(low=0.001, high=0.1, log=True),
    "sasrec_width": Choices(choices=(32, 64, 128)),
}
USERS = 40


class Killed(BaseException):
    """What ends a process at once."""


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def worth(chosen: dict[str, Any]) -> float:
    """Small rates and wide models are best here."""
    return 0.2 - 20 * (chosen["sasrec_learning_rate"] - 0.002) ** 2 + chosen["sasrec_width"] / 10_000


def training(
    clock: Clock, epochs: int = 5, kill_at: int = -1, told: list[dict[str, Any]] | None = None
) -> Train:
    """Every epoch takes a minute; the process dies in the trial of a number."""
    begun = iter(range(1000))

    def train(chosen: dict[str, Any], watch: Watch) -> tuple[float, list[float]]:
        number = next(begun)
        if told is not None:
            told.append({name: chosen[name] for name in SPACE})
        for epoch in range(1, epochs + 1):
            clock.now += 60
            watch(epoch, worth(chosen) * epoch / epochs)
            if number == kill_at:
                raise Killed
        return worth(chosen), [worth(chosen) + user / 1000 for user in range(USERS)]

    return train


@pytest.fixture
def study() -> Study:
    return study_at(None, "test", seed=7)


def run(study: Study, trials: int = 6, minutes: float = 1000, **options: Any) -> list[Any]:
    clock = Clock()
    return search(
        study, SPACE, PRESENT, training(clock, **options), Budget(trials, 60 * minutes), clock=clock
    )


def test_the_settings_in_force_are_tried_first(study: Study) -> None:
    assert run(study, trials=1)[0].settings == {"sasrec_learning_rate": 0.003, "sasrec_width": 64}


def test_it_ends_with_the_trials_and_a_later_call_adds_what_is_missing(study: Study) -> None:
    assert len(run(study, trials=3)) == 3
    told: list[dict[str, Any]] = []
    assert [trial.number for trial in run(study, trials=5, told=told)] == [0, 1, 2, 3, 4]
    assert len(told) == 2
    assert run(study, trials=5, told=told) == run(study, trials=4)
    assert len(told) == 2


def test_it_ends_with_the_minutes_those_of_earlier_calls_included(study: Study) -> None:
    assert len(run(study, minutes=12)) == 2  # the third would have taken until the fifteenth
    assert study.seconds() == 12 * 60
    assert len(run(study, minutes=12)) == 2
    assert len(run(study, minutes=18)) == 3


def test_a_search_that_was_killed_goes_on_as_if_it_had_not_been(study: Study) -> None:
    whole = run(study_at(None, "whole", seed=7), trials=9)
    with pytest.raises(Killed):
        run(study, trials=9, kill_at=4)
    told: list[dict[str, Any]] = []
    found = run(study, trials=9, told=told)
    assert [trial.settings for trial in found] == [trial.settings for trial in whole]
    assert told == [trial.settings for trial in whole[4:]]  # nothing that had ended was done again
    assert len({trial.settings["sasrec_learning_rate"] for trial in found}) == 9


def test_a_process_that_died_before_its_first_try_leaves_nothing_to_try_twice(study: Study) -> None:
    study._study.enqueue_trial({name: PRESENT[name] for name in SPACE})
    rates = [trial.settings["sasrec_learning_rate"] for trial in run(study, trials=3)]
    assert rates.count(PRESENT["sasrec_learning_rate"]) == 1


def test_another_seed_searches_elsewhere(study: Study) -> None:
    other = run(study_at(None, "other", seed=8))
    assert [trial.settings for trial in run(study)][1:] != [trial.settings for trial in other][1:]


def test_what_does_worse_than_the_others_is_ended_early(study: Study) -> None:
    found = run(study, trials=30)
    pruned = [trial for trial in found if trial.ndcg_at_10 is None]
    assert pruned
    assert all(trial.note == f"pruned after {trial.epochs} epochs" and trial.epochs < 5 for trial in pruned)
    best = max(found, key=lambda trial: trial.ndcg_at_10 or 0)
    assert best.ndcg_at_10 == pytest.approx(worth(best.settings))


def test_settings_that_cannot_be_trained_with_end_their_trial_only(study: Study) -> None:
    def train(chosen: dict[str, Any], watch: Watch) -> tuple[float, list[float]]:
        if chosen["sasrec_learning_rate"] != 0.003:
            raise ValueError("the loss of epoch 1 is nan; lower the learning rate")
        return 0.1, [0.1]

    found = search(study, SPACE, PRESENT, train, Budget(3, 60), clock=Clock())
    assert [trial.ndcg_at_10 for trial in found] == [0.1, None, None]
    assert "loss" in found[1].note


def test_the_best_is_held_beside_what_is_in_force_person_by_person(study: Study) -> None:
    found = compare(run(study, trials=12), PRESENT, seed=7)
    assert found is not None
    assert found.best.ndcg_at_10 is not None
    assert found.difference is not None
    assert found.difference.mean == pytest.approx(found.best.ndcg_at_10 - worth(PRESENT))
    assert found.is_surely_better  # everybody is better off by the same


def test_where_nothing_is_better_nothing_is_said_to_be(study: Study) -> None:
    found = compare(run(study, trials=1), PRESENT, seed=7)
    assert found is not None
    assert (found.best.number, found.difference, found.is_surely_better) == (0, None, False)
    assert compare([], PRESENT, seed=7) is None


def test_the_reviewed_space_is_of_settings_that_work() -> None:
    space = load_space()
    present = {name: field.default for name, field in Settings.model_fields.items()}
    assert including(space, present).keys() == space.keys()
    odd = {**present, "sasrec_width": 48, "sasrec_dropout": 0.7}
    wider = including(space, odd)
    assert 48 in wider["sasrec_width"].ends
    assert wider["sasrec_dropout"].ends[-1] == 0.7


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[sasrec_widht]\nchoices = [1, 2]", "sasrec_widht is nothing to search for"),
        ("[seed]\nchoices = [1, 2]", "seed is nothing to search for"),
        ("[sasrec_width]\nchoices = [4, 64]", "sasrec_width = 4"),
        ("[sasrec_dropout]\nlow = 0.1\nhigh = 1.5", "sasrec_dropout = 1.5"),
        ("[sasrec_dropout]\nlow = 0.5\nhigh = 0.1", "has to be below"),
        ("[sasrec_dropout]\nlow = 0.0\nhigh = 0.1\nlog = true", "above 0"),
        ("[sasrec_width]\nchoices = [64]", "sasrec_width"),
        ("[sasrec_width", "expectations/search.toml"),
    ],
)
def test_a_space_that_cannot_work_is_refused_by_name(text: str, said: str) -> None:
    with pytest.raises(SettingInvalid, match=said):
        read_space(text)


def test_a_width_that_the_heads_do_not_divide_is_refused() -> None:
    with pytest.raises(SettingInvalid, match="FORETASTE_SASREC_HEADS=3"):
        including(SPACE, {**PRESENT, "sasrec_heads": 3})


def test_what_is_told_is_for_strangers_and_for_programs(study: Study) -> None:
    trials = run(study, trials=12)
    found = compare(trials, PRESENT, seed=7)
    assert found is not None
    result = Search(
        date(2011, 3, 1), (date(2011, 2, 20), date(2011, 2, 22)), tuple(SPACE), trials, found, 1.5, "page"
    )
    told = render(result)
    assert f"what {USERS} people wanted from 2011-02-20 to 2011-02-22" in told
    assert "The days that judge a challenger were not read." in told
    assert told.count("<- best") == told.count("<- in force") == 1
    assert "surely better" in told
    assert f"FORETASTE_SASREC_WIDTH={found.best.settings['sasrec_width']}" in told
    assert json.loads(json.dumps(as_record(result), default=str))["best"] == found.best.number
    assert len(trials_csv(result).splitlines()) == 13


def test_settings_are_written_in_their_old_places_and_nothing_else_is_touched() -> None:
    before = "# mine\nFORETASTE_SEED=3\nexport FORETASTE_SASREC_WIDTH=64\nFORETASTE_S3_SECRET_KEY=a=b\nFORETASTE_SASREC_WIDTH=32\n"
    values = {"FORETASTE_SASREC_WIDTH": "128", "FORETASTE_SASREC_DROPOUT": "0.3"}
    assert with_values(before, values) == (
        "# mine\nFORETASTE_SEED=3\nFORETASTE_SASREC_WIDTH=128\nFORETASTE_S3_SECRET_KEY=a=b\nFORETASTE_SASREC_DROPOUT=0.3\n"
    )
    assert with_values("", {"A": "1"}) == "A=1\n"
