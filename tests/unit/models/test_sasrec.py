"""SASRec: what it must learn and what it refuses. What every network must do is asserted with the other recommenders."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from models.sasrec import SASRec, SASRecConfig
from models.sequence_model import pad
from models.training import TrainConfig, fit

CONFIG = SASRecConfig(num_items=20, width=16, blocks=2, heads=2, dropout=0.1, max_length=12)


@pytest.fixture
def model():
    return SASRec(CONFIG, seed=3).eval()


@pytest.mark.parametrize("width", [16, 24])
def test_a_state_is_the_same_bytes_whatever_histories_it_is_encoded_with(rng, width):
    """What was encoded on another day, among other people, need not be encoded again."""
    model = SASRec(SASRecConfig(num_items=20, width=width, blocks=2, heads=2, max_length=50), seed=1)
    histories = [rng.integers(0, 20, size=length) for length in rng.integers(0, 60, size=150)]
    together_UD = model.encode(histories)
    some = rng.permutation(150)[:77]
    np.testing.assert_array_equal(model.encode([histories[user] for user in some]), together_UD[some])
    alone_UD = np.concatenate([model.encode([history]) for history in histories[:5]])
    np.testing.assert_array_equal(alone_UD, together_UD[:5])


def test_an_empty_history_says_nothing_about_any_item(model):
    assert model.score([np.array([], dtype=int)]).tolist() == [[0.0] * 20]
    assert model.score([]).shape == (0, 20)


def test_it_learns_32_histories_by_heart(rng):
    histories = [np.concatenate([[row // 20, row % 20], rng.integers(0, 20, size=4)]) for row in range(32)]
    model = SASRec(dataclasses.replace(CONFIG, width=32, dropout=0.0), seed=1)
    config = TrainConfig(epochs=60, batch_size=32, learning_rate=2e-2, warmup_steps=5, averaging=0.5, seed=1)
    losses = [epoch.loss for epoch in fit(model, [history[1:] for history in histories], config)]
    assert losses[-1] < 0.2 < 2.5 < losses[0]
    predicted = model.score([history[1:-1] for history in histories]).argmax(axis=1)
    assert (predicted == [history[-1] for history in histories]).mean() > 0.95


def test_a_state_of_another_shape_is_refused_by_name(model):
    state = model.state()
    state["positions_LD"] = state["positions_LD"][:5]
    with pytest.raises(ValueError, match=r"positions_LD has shape \(5, 16\)"):
        SASRec.from_state(CONFIG, state)


def test_a_state_with_a_weight_too_few_or_too_many_is_refused_by_name(model):
    state = model.state()
    weight = state.pop("final_norm.bias")
    with pytest.raises(ValueError, match=r"final_norm\.bias"):
        SASRec.from_state(CONFIG, state)
    with pytest.raises(ValueError, match="backdoor"):
        SASRec.from_state(CONFIG, state | {"final_norm.bias": weight, "backdoor": weight})


@pytest.mark.parametrize("wrong", [{"heads": 3}, {"dropout": 1.0}, {"num_items": 0}])
def test_a_shape_that_cannot_work_is_refused(wrong):
    with pytest.raises(ValueError, match="|".join(wrong)):
        dataclasses.replace(CONFIG, **wrong)


def test_padding_is_zero_and_stands_on_the_right():
    history_BL, lengths_B = pad([np.array([4]), np.array([0, 1, 2]), np.array([], dtype=int)], CONFIG)
    assert history_BL.tolist() == [[5, 0, 0], [1, 2, 3], [0, 0, 0]]
    assert lengths_B.tolist() == [1, 3, 0]
