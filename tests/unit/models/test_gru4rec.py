"""GRU4Rec: the equations of its paper. What every network must do is asserted with the other recommenders."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from models.gru4rec import GRU4Rec, GRU4RecConfig

CONFIG = GRU4RecConfig(num_items=20, width=6, layers=2, dropout=0.1, max_length=12)


def sigmoid(values):
    return 1 / (1 + np.exp(-values))


def test_a_state_is_what_the_equations_say(rng):
    model = GRU4Rec(CONFIG, seed=3)
    state = {name: rng.normal(size=array.shape) for name, array in model.state().items()}
    model = GRU4Rec.from_state(CONFIG, state)
    history = np.array([4, 0, 19])
    inputs_LD = state["embedding.weight"][history + 1] * np.sqrt(6)
    for layer in ("layers.0", "layers.1"):
        state_D, outputs = np.zeros(6), []
        for input_D in inputs_LD:
            read = state[f"{layer}.weight_ih_l0"] @ input_D + state[f"{layer}.bias_ih_l0"]
            known = state[f"{layer}.weight_hh_l0"] @ state_D + state[f"{layer}.bias_hh_l0"]
            reset, update = sigmoid(read[:6] + known[:6]), sigmoid(read[6:12] + known[6:12])
            candidate = np.tanh(read[12:] + reset * known[12:])
            state_D = (1 - update) * candidate + update * state_D
            outputs.append(state_D)
        inputs_LD = np.array(outputs)
    np.testing.assert_allclose(model.encode([history])[0], inputs_LD[-1], atol=1e-5)


def test_a_shape_without_layers_is_refused():
    with pytest.raises(ValueError, match="layers=0"):
        dataclasses.replace(CONFIG, layers=0)


def test_a_saved_state_of_another_depth_is_refused_by_name():
    with pytest.raises(ValueError, match=r"layers\.1\.bias_hh_l0"):
        GRU4Rec.from_state(dataclasses.replace(CONFIG, layers=1), GRU4Rec(CONFIG, seed=0).state())
