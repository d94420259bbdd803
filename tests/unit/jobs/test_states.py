"""Whose history has not changed is not read again, and gets the very list that reading it again would give."""

from __future__ import annotations

import dataclasses
import logging

import numpy as np
import pytest

from jobs.ranking.next_item import NextItemModel
from jobs.ranking.states import States, brought_up_to_date, digests_of
from jobs.ranking.world import World
from jobs.score import encode_in_shares, rank_everyone
from models.sasrec import SASRec, SASRecConfig
from tests.tiny_world import NUM_ITEMS, NUM_USERS, tiny_model, tiny_world

OPTIONS = {"length": 5, "num_candidates": 10, "repeats_allowed": False}


@pytest.fixture(scope="module")
def world() -> World:
    return tiny_world()


@pytest.fixture(scope="module")
def model(world: World) -> NextItemModel:
    return tiny_model(world)


@pytest.fixture(scope="module")
def encoder() -> SASRec:
    return SASRec(SASRecConfig(num_items=20, width=8, max_length=10), seed=1)


class Counting:
    """An encoder that notes how many histories it has been given."""

    def __init__(self, encoder: SASRec) -> None:
        self.encoder, self.given = encoder, 0

    def __call__(self, histories):
        self.given += len(histories)
        return self.encoder.encode(histories)


def test_lists_from_kept_states_are_those_of_encoding_everybody(world: World, model: NextItemModel) -> None:
    """Two people took something since the day before that the model knows."""
    histories = list(world.histories)
    for user in (4, 7):
        histories[user] = histories[user][np.isin(histories[user], np.arange(NUM_ITEMS - 2))][:-1]
    before = dataclasses.replace(world, histories=histories)
    kept, encoded = brought_up_to_date(States.none(), model.histories(before), model.encode)
    assert encoded == NUM_USERS - 1  # two histories without an item that the model knows are one
    states, encoded = brought_up_to_date(kept, model.histories(world), model.encode)
    assert encoded == 2
    assert rank_everyone(world, model, states=states, **OPTIONS) == rank_everyone(world, model, **OPTIONS)


def test_a_history_is_encoded_once_and_forgotten_when_nobody_has_it(encoder: SASRec, rng) -> None:
    histories = [rng.integers(0, 20, size=size) for size in (3, 9, 1, 7, 4)]
    counting = Counting(encoder)
    kept, encoded = brought_up_to_date(States.none(), [*histories, histories[0]], counting)
    assert (encoded, counting.given, len(kept.digests_S2)) == (5, 5, 5)
    later, encoded = brought_up_to_date(kept, [*histories[1:], np.append(histories[0], 3)], counting)
    assert (encoded, len(later.digests_S2)) == (1, 5)
    with pytest.raises(KeyError, match="1 histories have no kept state"):
        later.encode(histories[:1])


def test_of_many_kept_states_only_some_are_computed_again(encoder: SASRec, rng) -> None:
    histories = [rng.integers(0, 20, size=8) for _ in range(700)]
    kept, _ = brought_up_to_date(States.none(), histories, encoder.encode)
    counting = Counting(encoder)
    assert brought_up_to_date(kept, histories, counting)[1] == 0
    assert 0 < counting.given <= 100


def test_states_of_a_machine_that_gives_others_are_not_believed(
    encoder: SASRec, rng, caplog: pytest.LogCaptureFixture
) -> None:
    histories = [rng.integers(0, 20, size=size) for size in range(1, 9)]
    kept, _ = brought_up_to_date(States.none(), histories, encoder.encode)
    foreign = States(kept.digests_S2, np.nextafter(kept.states_SD, np.float32(9)))
    with caplog.at_level(logging.WARNING):
        states, encoded = brought_up_to_date(foreign, histories, encoder.encode)
    assert encoded == 8
    np.testing.assert_array_equal(states.states_SD, kept.states_SD)
    assert "states_dropped kept=8" in caplog.text


def test_a_history_of_another_order_or_length_is_another() -> None:
    digests = digests_of([np.array(items, np.int64) for items in ([1, 2], [2, 1], [1], [1, 2, 2], [])])
    assert len({tuple(each) for each in digests.tolist()}) == 5


def test_nobody_has_nothing_to_encode(encoder: SASRec) -> None:
    states, encoded = brought_up_to_date(States.none(), [], encoder.encode)
    assert (len(states.digests_S2), encoded) == (0, 0)


def test_states_are_the_same_in_shares(encoder: SASRec, rng, monkeypatch: pytest.MonkeyPatch) -> None:
    histories = [rng.integers(0, 20, size=size) for size in rng.integers(0, 15, size=40)]
    together = encoder.encode(histories)
    monkeypatch.setattr("jobs.ranking.shares.SHARE", 7)
    np.testing.assert_array_equal(encode_in_shares(encoder.encode, histories, processes=2), together)
