"""SASRec: what it may see, what it must learn, and what it refuses."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from models.losses import full_cross_entropy
from models.sasrec import SASRec, SASRecConfig
from models.sequence_model import pad
from models.training import TrainConfig, fit

CONFIG = SASRecConfig(num_items=20, width=16, blocks=2, heads=2, dropout=0.1, max_length=12)


@pytest.fixture
def model():
    return SASRec(CONFIG, seed=3).eval()


def test_changing_the_future_leaves_past_states_unchanged(model, rng):
    history_BL = torch.tensor(rng.integers(1, 21, size=(4, 10)))
    changed_BL = history_BL.clone()
    changed_BL[:, 6:] = torch.tensor(rng.integers(1, 21, size=(4, 4)))
    before_BLD, after_BLD = model(history_BL), model(changed_BL)
    torch.testing.assert_close(after_BLD[:, :6], before_BLD[:, :6], rtol=0, atol=1e-6)
    assert (after_BLD[:, 6:] - before_BLD[:, 6:]).abs().max() > 0.01


def test_changing_the_past_changes_the_present(model):
    history_BL = torch.tensor([[1, 2, 3, 4], [5, 2, 3, 4]])
    state_BD = model(history_BL)[:, -1]
    assert (state_BD[0] - state_BD[1]).abs().max() > 1e-3


def test_order_matters(model):
    state_BD = model(torch.tensor([[1, 2, 3, 4], [2, 1, 3, 4]]))[:, -1]
    assert (state_BD[0] - state_BD[1]).abs().max() > 1e-3


def test_encoding_takes_the_last_real_position(model):
    history_BL = torch.tensor([[7, 8, 9, 0, 0], [1, 2, 3, 4, 5]])
    state_BD = model.encode_last(history_BL, torch.tensor([3, 5]))
    states_BLD = model(history_BL)
    torch.testing.assert_close(state_BD, torch.stack([states_BLD[0, 2], states_BLD[1, 4]]), rtol=0, atol=1e-6)


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


def test_only_the_latest_items_of_a_long_history_count(model, rng):
    history = rng.integers(0, 20, size=40)
    np.testing.assert_array_equal(model.score([history]), model.score([history[-12:]]))


def test_an_empty_history_says_nothing_about_any_item(model):
    assert model.score([np.array([], dtype=int)]).tolist() == [[0.0] * 20]
    assert model.score([]).shape == (0, 20)


def test_a_score_is_the_state_times_the_items_embedding(model):
    history = np.array([4, 2, 19])
    state_D = model(torch.tensor([[5, 3, 20]]))[0, -1].detach().numpy()
    embedding_ND = model.state()["embedding.weight"][1:]
    np.testing.assert_allclose(model.score([history])[0], embedding_ND @ state_D, rtol=0, atol=1e-5)


@pytest.mark.parametrize("wrong", [-1, 20])
def test_an_item_that_the_model_does_not_know_is_refused(model, wrong):
    with pytest.raises(ValueError, match=f"item {wrong} is outside"):
        model.score([np.array([3, wrong])])


def test_gradients_reach_every_parameter(rng):
    model = SASRec(dataclasses.replace(CONFIG, dropout=0.0), seed=1).train()
    history_BL = torch.tensor(rng.integers(1, 21, size=(16, CONFIG.max_length)))
    states_PD = model(history_BL).flatten(0, 1)
    targets_P = torch.tensor(rng.integers(0, 20, size=len(states_PD)))
    full_cross_entropy(states_PD, model.item_embeddings, targets_P).backward()
    for name, weight in model.named_parameters():
        assert weight.grad is not None, name
        # Keys' bias moves every score of a query alike, which a softmax does not see.
        parts = weight.grad.view(3, -1)[[0, 2]] if name.endswith("query_key_value.bias") else weight.grad
        assert (parts.abs().sum(dim=-1) > 0).float().mean() > 0.9, name


def test_it_learns_32_histories_by_heart(rng):
    histories = [np.concatenate([[row // 20, row % 20], rng.integers(0, 20, size=4)]) for row in range(32)]
    model = SASRec(dataclasses.replace(CONFIG, width=32, dropout=0.0), seed=1)
    config = TrainConfig(epochs=60, batch_size=32, learning_rate=2e-2, warmup_steps=5, averaging=0.5, seed=1)
    losses = [epoch.loss for epoch in fit(model, [history[1:] for history in histories], config)]
    assert losses[-1] < 0.2 < 2.5 < losses[0]
    predicted = model.score([history[1:-1] for history in histories]).argmax(axis=1)
    assert (predicted == [history[-1] for history in histories]).mean() > 0.95


def test_weights_come_from_the_seed_and_leave_torchs_own_generator_alone():
    before = torch.get_rng_state()
    once, again, other = (SASRec(CONFIG, seed=seed).state() for seed in (3, 3, 4))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(np.array_equal(once[name], again[name]) for name in once)
    assert not np.array_equal(once["embedding.weight"], other["embedding.weight"])


def test_a_state_is_restored_to_the_same_scores(model, rng):
    histories = [rng.integers(0, 20, size=5) for _ in range(3)]
    restored = SASRec.from_state(CONFIG, model.state())
    np.testing.assert_array_equal(restored.score(histories), model.score(histories))


def test_a_state_that_is_not_finite_is_refused_by_name(model):
    state = model.state()
    state["blocks.1.feed_in.weight"][0, 0] = np.nan
    with pytest.raises(ValueError, match=r"blocks\.1\.feed_in\.weight is not finite"):
        SASRec.from_state(CONFIG, state)


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
