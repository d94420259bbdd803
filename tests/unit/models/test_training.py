"""Training: seeded, local, and it keeps the best of what it saw."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
import torch
from torch import nn

from models.dropout import MaskPool
from models.sasrec import SASRec, SASRecConfig
from models.sequence_model import pad
from models.training import TrainConfig, Validation, fit
from models.windows import at_places, batches_of, target_places, weights_of, windows_of

SHAPE = SASRecConfig(num_items=8, width=8, blocks=1, heads=1, dropout=0.2, max_length=6)
CONFIG = TrainConfig(epochs=4, batch_size=8, learning_rate=1e-2, warmup_steps=2, seed=5)


def train(sequences, config=CONFIG, shape=SHAPE, **more):
    model = SASRec(shape, seed=config.seed)
    return model, list(fit(model, sequences, config, **more))


def same_bytes(a, b):
    return all(a[name].tobytes() == b[name].tobytes() for name in a)


@pytest.mark.parametrize("num_negatives", [None, 4])
def test_the_same_seed_gives_the_same_weights_to_the_byte(two_tastes, num_negatives):
    config = dataclasses.replace(CONFIG, num_negatives=num_negatives)
    once, _ = train(two_tastes, config)
    torch.rand(3)  # what others draw from torch's own generator must not matter
    again, _ = train(two_tastes, config)
    other, _ = train(two_tastes, dataclasses.replace(config, seed=6))
    assert same_bytes(once.state(), again.state())
    assert not same_bytes(once.state(), other.state())


def test_training_leaves_torchs_generator_and_threads_as_they_were(two_tastes):
    torch.rand(3)  # so that the state is not one that a seed gives
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    for _ in fit(
        SASRec(SHAPE, 0), two_tastes, dataclasses.replace(CONFIG, num_negatives=4, threads=threads + 1)
    ):
        assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(("loss", "num_negatives"), [("full", None), ("sampled", 6)])
def test_it_learns_what_comes_next(two_tastes, loss, num_negatives):
    config = dataclasses.replace(
        CONFIG,
        epochs=24,
        learning_rate=3e-2,
        averaging=0.8,
        loss=loss,
        num_negatives=num_negatives,
    )
    model, epochs = train(two_tastes, config)
    assert epochs[-1].loss < 0.8 * epochs[0].loss
    predicted = model.score([np.array([0, 1, 2]), np.array([6, 7])]).argmax(axis=1)
    assert predicted.tolist() == [3, 4]


def test_gbce_learns_which_items_go_together(two_tastes):
    config = dataclasses.replace(
        CONFIG, epochs=12, learning_rate=3e-2, averaging=0.8, loss="gbce", num_negatives=6
    )
    model, epochs = train(two_tastes, config)
    assert epochs[-1].loss < 0.8 * epochs[0].loss
    scores_UN = model.score([np.array([0, 1, 2]), np.array([6, 7])])
    assert scores_UN[0, :4].min() > scores_UN[0, 4:].max() + 1
    assert scores_UN[1, 4:].min() > scores_UN[1, :4].max() + 1


class LastItem(nn.Module):
    """The least that can be trained: what comes next follows from the last item alone."""

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.table_ND = nn.Parameter(torch.eye(config.num_items, config.width))
        self.turn_DD = nn.Parameter(torch.eye(config.width))

    @property
    def item_embeddings(self):
        return self.table_ND

    def forward(self, history_BL):
        return self.table_ND[(history_BL - 1).clamp(min=0)] @ self.turn_DD

    def score(self, histories):
        history_BL, lengths_B = pad(histories, self.config)
        states_BD = self(history_BL)[torch.arange(len(histories)), lengths_B - 1]
        return (states_BD @ self.table_ND.T).detach().numpy()

    def use_dropout_from(self, generator, num_positions):
        return MaskPool(0.0, num_positions, generator)

    def state(self):
        return {name: weight.detach().numpy().copy() for name, weight in self.state_dict().items()}

    @classmethod
    def from_state(cls, config, state):
        model = cls(config)
        model.load_state_dict({name: torch.from_numpy(array) for name, array in state.items()})
        return model.eval()


def test_whatever_keeps_the_protocol_is_trained(two_tastes):
    model = LastItem(SHAPE)
    validation = Validation([np.array([0, 1, 2]), np.array([6, 7])], [{3}, {4}])
    config = dataclasses.replace(CONFIG, epochs=24, learning_rate=3e-2, averaging=0.8)
    epochs = list(fit(model, two_tastes, config, validation))
    assert epochs[-1].loss < epochs[0].loss - 0.3
    assert epochs[-1].ndcg_at_10 == 1.0
    assert model.score([np.array([1, 2])]).argmax() == 3


def test_without_a_name_negatives_mean_the_sampled_loss(two_tastes):
    config = dataclasses.replace(CONFIG, num_negatives=4)
    unnamed, sampled, gbce = (
        train(two_tastes, dataclasses.replace(config, loss=loss))[0].state()
        for loss in (None, "sampled", "gbce")
    )
    assert same_bytes(unnamed, sampled)
    assert not same_bytes(unnamed, gbce)
    calibrated, _ = train(two_tastes, dataclasses.replace(config, loss="gbce", calibration=0.0))
    assert not same_bytes(calibrated.state(), gbce)


def test_an_epoch_is_timed_by_the_clock_that_was_handed_in(two_tastes):
    _, epochs = train(two_tastes, clock=itertools.count(0, 2).__next__)
    positions = sum(len(history) - 1 for history in two_tastes)
    assert [epoch.seconds for epoch in epochs] == [2] * 4
    assert [epoch.number for epoch in epochs] == [1, 2, 3, 4]
    assert epochs[0].num_positions == positions
    assert epochs[0].positions_per_second == positions / 2
    assert train(two_tastes)[1][0].positions_per_second is None


def test_training_stops_when_patience_runs_out_and_keeps_the_best_epoch(two_tastes):
    # Validation wants the opposite of what the histories teach, so that it only gets worse.
    validation = Validation([np.array([0, 1, 2])] * 2, [{4}, {5}])
    config = dataclasses.replace(CONFIG, epochs=40, patience=3)
    model, epochs = train(two_tastes, config, validation=validation)
    best = max(epochs, key=lambda epoch: (epoch.ndcg_at_10, -epoch.number))
    assert len(epochs) == best.number + 3 < 40
    assert [epoch.number for epoch in epochs if epoch.is_best][-1] == best.number
    until_best, _ = train(two_tastes, dataclasses.replace(config, epochs=best.number))
    assert same_bytes(model.state(), until_best.state())


def test_breaking_off_leaves_a_whole_model(two_tastes):
    model = SASRec(SHAPE, seed=5)
    epochs = fit(model, two_tastes, dataclasses.replace(CONFIG, epochs=9))
    next(epochs), next(epochs)
    epochs.close()
    after_two, _ = train(two_tastes, dataclasses.replace(CONFIG, epochs=2))
    assert same_bytes(model.state(), after_two.state())
    assert not model.training


@pytest.mark.parametrize("killed_after", [1, 3])
@pytest.mark.parametrize("num_negatives", [None, 4])
def test_a_training_that_goes_on_from_a_checkpoint_ends_with_the_same_bytes(
    two_tastes, num_negatives, killed_after
):
    # From its second epoch on validation may only get worse: the best weights are carried over as well.
    validation = Validation([np.array([0, 1, 2])] * 2, [{4}, {5}])
    config = dataclasses.replace(CONFIG, epochs=5, num_negatives=num_negatives, horizon=2)
    weights = [np.linspace(0.5, 1, len(history)) for history in two_tastes]
    undisturbed, every = train(two_tastes, config, validation=validation, weights=weights)

    kept = []
    killed = fit(SASRec(SHAPE, seed=5), two_tastes, config, validation, weights=weights, keep=kept.append)
    for _ in range(killed_after):
        next(killed)
    killed.close()
    model = SASRec(SHAPE, seed=5)
    further = fit(model, two_tastes, config, validation, weights=weights, resume=kept[-1])
    assert [*kept[-1].epochs, *further] == every
    assert same_bytes(model.state(), undisturbed.state())


def test_a_training_that_was_over_stays_over(two_tastes):
    validation = Validation([np.array([0, 1, 2])] * 2, [{4}, {5}])
    kept = []
    for config in (CONFIG, dataclasses.replace(CONFIG, epochs=40)):  # by its epochs, and by its patience
        trained, epochs = train(two_tastes, config, validation=validation, keep=kept.append)
        again, further = train(two_tastes, config, validation=validation, resume=kept[-1])
        assert (further, len(kept[-1].epochs)) == ([], len(epochs))
        assert same_bytes(again.state(), trained.state())


def test_a_checkpoint_of_another_model_is_refused(two_tastes):
    kept = []
    train(two_tastes, keep=kept.append)
    with pytest.raises(ValueError, match="the checkpoint is of another model"):
        train(two_tastes, shape=dataclasses.replace(SHAPE, width=16), resume=kept[-1])


def test_validation_leaves_out_seen_items_when_the_lists_will(two_tastes):
    seen = [np.arange(7)]
    kept, left_out = (
        train(two_tastes, validation=Validation(seen, [{7}], is_seen_excluded=flag))[1][0]
        for flag in (False, True)
    )
    assert left_out.ndcg_at_10 == 1.0  # the only item left
    assert kept.ndcg_at_10 < 1.0


def test_sequences_without_a_next_item_are_refused():
    with pytest.raises(ValueError, match="none of 2 sequences has two items"):
        train([np.array([1]), np.array([], dtype=int)])


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_device_that_is_not_there_is_named(two_tastes):
    with pytest.raises(ValueError, match="device is cuda"):
        train(two_tastes, dataclasses.replace(CONFIG, device="cuda"))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize(("loss", "num_negatives"), [("full", None), ("sampled", 6), ("gbce", 6)])
def test_a_device_learns_what_the_processor_learns(two_tastes, loss, num_negatives):
    validation = Validation([np.array([0, 1, 2]), np.array([6, 7])], [{3}, {4}])
    config = dataclasses.replace(
        CONFIG, epochs=12, learning_rate=3e-2, averaging=0.8, loss=loss, num_negatives=num_negatives
    )
    _, expected = train(two_tastes, config, validation=validation)
    on_device, kept = dataclasses.replace(config, device="cuda"), []
    model, epochs = train(two_tastes, on_device, validation=validation, keep=kept.append)
    assert [epoch.loss for epoch in epochs] == pytest.approx([epoch.loss for epoch in expected], rel=0.1)
    assert {weight.device.type for weight in model.parameters()} == {"cpu"}
    resumed, _ = train(two_tastes, on_device, validation=validation, resume=kept[-1])
    assert same_bytes(resumed.state(), model.state())


def test_a_learning_rate_that_explodes_is_named(two_tastes):
    with pytest.raises(ValueError, match="lower the learning rate"):
        train(two_tastes, dataclasses.replace(CONFIG, learning_rate=1e30, epochs=30))


@pytest.mark.parametrize(
    "wrong",
    [
        {"epochs": 0}, {"num_negatives": 0}, {"averaging": 1.0}, {"horizon": 0}, {"threads": 0}, {"calibration": 1.5},
        {"loss": "gbce"}, {"loss": "full", "num_negatives": 4},
    ],
)  # fmt: skip
def test_a_config_that_cannot_work_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        dataclasses.replace(CONFIG, **wrong)


def test_windows_predict_every_item_but_the_first_exactly_once():
    windows = windows_of([np.arange(10), np.arange(3), np.arange(1)], max_length=4)
    assert [window.tolist() for window in windows] == [[5, 6, 7, 8, 9], [1, 2, 3, 4, 5], [0, 1], [0, 1, 2]]


def test_a_target_is_one_of_the_items_within_the_horizon(rng):
    windows = [np.arange(20, 26), np.arange(3)]
    assert at_places(windows, target_places(windows, 1, rng)).tolist() == [21, 22, 23, 24, 25, 1, 2]
    drawn = np.array([at_places(windows, target_places(windows, 3, rng)) for _ in range(200)])
    possible = [set(column.tolist()) for column in drawn.T]
    assert possible == [{21, 22, 23}, {22, 23, 24}, {23, 24, 25}, {24, 25}, {25}, {1, 2}, {2}]


def test_a_horizon_teaches_what_comes_soon(two_tastes):
    config = dataclasses.replace(CONFIG, epochs=30, learning_rate=3e-2, averaging=0.8)
    by_horizon = {}
    for horizon in (1, 3):
        model, _ = train(two_tastes, dataclasses.replace(config, horizon=horizon))
        scores_N = model.score([np.array([0, 1, 2])])[0]
        by_horizon[horizon] = scores_N[0] - scores_N[3]  # 3 comes next, 0 after it
    assert by_horizon[3] > by_horizon[1] + 1


def test_every_window_is_in_one_batch_among_windows_of_its_length(rng):
    windows = [np.full(2 + index % 5, index) for index in range(23)]
    batches = [[windows[index] for index in batch] for batch in batches_of(windows, 4, rng)]
    assert sorted(int(window[0]) for batch in batches for window in batch) == list(range(23))
    assert all(max(map(len, batch)) - min(map(len, batch)) <= 1 for batch in batches)
    again = next(batches_of(windows, 4, rng))
    assert again.tolist() != [int(window[0]) for window in batches[0]]


@pytest.mark.parametrize("num_negatives", [None, 4])
def test_weights_that_are_all_alike_change_nothing_to_the_byte(two_tastes, num_negatives):
    config = dataclasses.replace(CONFIG, num_negatives=num_negatives, horizon=3)
    plain, _ = train(two_tastes, config)
    alike, _ = train(two_tastes, config, weights=[np.full(len(history), 0.25) for history in two_tastes])
    assert same_bytes(plain.state(), alike.state())


@pytest.mark.parametrize("num_negatives", [None, 4])
def test_what_weighs_more_is_learnt(num_negatives):
    """After 0 and 1 people went on to 2 for a long time, and lately to 3."""
    sequences = [np.array([0, 1, 2])] * 20 + [np.array([0, 1, 3])] * 20
    config = dataclasses.replace(
        CONFIG, epochs=20, learning_rate=3e-2, averaging=0.8, num_negatives=num_negatives
    )

    def lead(old: float) -> float:
        weights = [np.full(3, old)] * 20 + [np.ones(3)] * 20
        scores_N = train(sequences, config, weights=weights)[0].score([np.array([0, 1])])[0]
        return float(scores_N[3] - scores_N[2])

    assert lead(0.05) > lead(1.0) + 1


def test_a_position_weighs_as_much_as_the_item_it_is_to_name():
    parts = weights_of([np.arange(5), np.arange(1)], [np.array([9.0, 1, 1, 3, 3]), np.ones(1)], max_length=2)
    assert [part.tolist() for part in parts] == [
        [0.5, 1.5, 1.5],
        [4.5, 0.5, 0.5],
    ]  # of 1, 1, 3, 3 the mean is 2


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ([np.ones(2), np.ones(3)], "as long as their sequences"),
        ([np.ones(3)], "as long as their sequences"),
        ([np.ones(3), np.array([1, np.nan, 1])], "not finite or not above zero"),
        ([np.ones(3), np.array([1, 0, 1])], "not finite or not above zero"),
    ],
)
def test_weights_that_do_not_fit_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        train([np.array([0, 1, 2])] * 2, weights=wrong)
