"""Training takes as many people as it needs and no more, the same ones every time."""

from __future__ import annotations

import numpy as np
import pytest

from jobs.ranking.world import each_index_of, index_of
from jobs.training.trainer import Trainer


def trainer(most: int = 100, seed: int = 7) -> Trainer:
    return Trainer({"sasrec_max_users": most, "seed": seed, "threads": 1}, repeats_allowed=True)


@pytest.fixture
def taken() -> dict[str, np.ndarray]:
    return {f"u{number:03d}": np.array([f"i{number}"], dtype=object) for number in range(250)}


def test_of_many_people_a_sample_is_trained_on_and_of_few_everybody(taken: dict[str, np.ndarray]) -> None:
    sampled = trainer().sampled(taken)
    assert len(sampled) == 100
    assert all(taken[user] is items for user, items in sampled.items())
    assert trainer(most=250).sampled(taken) == taken


def test_the_sample_follows_from_the_seed_and_not_from_the_order(taken: dict[str, np.ndarray]) -> None:
    assert list(trainer().sampled(taken)) == list(trainer().sampled(dict(reversed(taken.items()))))
    assert list(trainer().sampled(taken)) != list(trainer(seed=8).sampled(taken))


def test_people_that_a_challenger_is_judged_by_keep_their_own_outcomes() -> None:
    users, targets = np.arange(50), [np.array([number]) for number in range(50)]
    kept, of_kept = trainer().sample(users, targets, 20)
    assert len(kept) == 20
    assert [int(items[0]) for items in of_kept] == kept.tolist() == sorted(kept.tolist())


def test_many_lists_are_looked_up_as_each_would_be() -> None:
    ids = np.array(["a", "c", "e"], dtype=object)
    lists = [np.array(values, dtype=object) for values in (["c", "b"], [], ["e", "a", "z"])]
    together = each_index_of(lists, ids)
    assert [found.tolist() for found in together] == [index_of(items, ids).tolist() for items in lists]
    assert each_index_of([], ids) == []
