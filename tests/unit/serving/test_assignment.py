"""Who is in which variant follows from names alone, and the shares are those that are set."""

from __future__ import annotations

from collections import Counter
from itertools import product

import pytest
from pydantic import ValidationError
from scipy.stats import chi2_contingency, chisquare

from contracts.experiments import Experiment, refuse_overlapping
from serving.assignment import assign, bucket_of

_USERS = [f"u{number:07d}" for number in range(20_000)]


def experiment(name: str = "gifts", **changes: object) -> Experiment:
    values = {
        "name": name,
        "surfaces": ["home"],
        "buckets": [0, 5_000],
        "variants": [{"name": "control", "weight": 3}, {"name": "bolder", "weight": 1, "rules": "bold"}],
    }
    return Experiment.model_validate(values | changes)


def variants_of(*experiments: Experiment) -> dict[str, str]:
    found = {user: assign(experiments, user) for user in _USERS}
    return {user: f"{told[0].name}:{told[1].name}" if told else "" for user, told in found.items()}


def test_a_hash_that_was_dealt_by_stays_what_it_is() -> None:
    """Written down once: another value would move people between variants of experiments that run."""
    assert [bucket_of("layer default", user) for user in ("u1", "u2", "Ünïcode")] == [9580, 2556, 4515]


def test_shares_and_weights_are_those_that_are_set() -> None:
    counts = Counter(variants_of(experiment()).values())
    expected = {"": 10_000, "gifts:control": 7_500, "gifts:bolder": 2_500}
    assert chisquare([counts[name] for name in expected], list(expected.values())).pvalue > 1e-4


def test_another_experiment_and_a_greater_share_move_nobody() -> None:
    alone = variants_of(experiment())
    beside = variants_of(experiment("other", buckets=[5_000, 7_000]), experiment(buckets=[0, 5_000]))
    grown = variants_of(experiment(buckets=[0, 9_000]))
    assert all(beside[user] == grown[user] == told for user, told in alone.items() if told)


def test_layers_deal_anew() -> None:
    halves = [variants_of(experiment(layer=layer)) for layer in ("one", "two")]
    table = Counter(zip(*(list(half.values()) for half in halves), strict=True))
    names = ("", "gifts:control", "gifts:bolder")
    in_first = [[table[one, ""], sum(table[one, each] for each in names[1:])] for one in names]
    assert chi2_contingency(in_first).pvalue > 1e-4


def test_who_is_in_an_experiment_says_nothing_of_the_variant() -> None:
    dealt = Counter(
        (bucket_of("layer default", user, 2), bucket_of("experiment gifts", user, 4)) for user in _USERS
    )
    assert chisquare([dealt[pair] for pair in product(range(2), range(4))]).pvalue > 1e-4


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"buckets": [5, 5]}, "hold nobody"),
        ({"buckets": [0, 10_001]}, "10000"),
        ({"variants": [{"name": "a", "weight": 1}]}, "at least 2"),
        ({"variants": [{"name": "a", "weight": 1}] * 2}, "one name"),
        (
            {"variants": [{"name": "a", "weight": 0}, {"name": "b", "weight": 1}]},
            "greater than or equal to 1",
        ),
        ({"surfaces": []}, "at least 1"),
        ({"shadow": True}, "Extra inputs"),
    ],
)
def test_an_experiment_that_cannot_be_is_refused(changes: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        experiment(**changes)


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"name": "gifts", "surfaces": ["cart"], "buckets": [9_000, 10_000]}, "called gifts"),
        ({"buckets": [4_999, 6_000]}, "share buckets of layer default"),
        ({"buckets": [4_999, 6_000], "surfaces": ["cart"]}, "share buckets of layer default"),
        ({"layer": "other"}, "share surface home in two layers"),
    ],
)
def test_experiments_that_could_not_be_read_beside_each_other_are_refused(
    other: dict[str, object], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        refuse_overlapping([experiment(), experiment(**{"name": "other", **other})])


def test_experiments_apart_may_run_beside_each_other() -> None:
    refuse_overlapping(
        [
            experiment(),
            experiment("later", buckets=[5_000, 10_000]),
            experiment("elsewhere", layer="other", surfaces=["cart"]),
        ]
    )
