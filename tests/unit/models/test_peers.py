"""Processes that train together come to what one of them would: here they are threads, which add up at a barrier."""

from __future__ import annotations

import dataclasses
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from models.gru4rec import GRU4Rec, GRU4RecConfig
from models.sasrec import SASRec, SASRecConfig
from models.training import TrainConfig, Validation, fit

CONFIG = TrainConfig(epochs=3, batch_size=7, learning_rate=1e-2, warmup_steps=2, seed=5, horizon=2)
SASREC = SASRecConfig(num_items=8, width=8, blocks=1, heads=1, dropout=0.3, max_length=6)
GRU = GRU4RecConfig(num_items=8, width=8, dropout=0.3, max_length=6)
VALIDATION = Validation([np.array([0, 1]), np.array([5]), np.array([4, 5, 7])], [{2}, {6}, {0}])


class Together:
    """Threads that wait for each other."""

    def __init__(self, size):
        self.size, self._barrier, self._held = size, threading.Barrier(size, timeout=20), {}

    def one(self, rank):
        return _Thread(self, rank)

    def add_up(self, rank, values):
        self._held[rank] = values.clone()
        self._barrier.wait()
        sums = sum(self._held[each] for each in range(self.size))
        self._barrier.wait()
        values.copy_(sums)


class _Thread:
    def __init__(self, together, rank):
        self.together, self.rank, self.size = together, rank, together.size

    def add_up(self, values):
        self.together.add_up(self.rank, values)


def trained(make, sequences, config, size, **more):
    """The epochs and the weights that each of so many peers ends up with."""

    def of(peers):
        model = make()
        epochs = list(fit(model, sequences, config, VALIDATION, peers=peers, **more))
        return epochs, model.state()

    if size == 1:
        return [of(None)]
    together = Together(size)
    with ThreadPoolExecutor(size) as pool:
        return list(pool.map(of, [together.one(rank) for rank in range(size)]))


def counting(name, values):
    """Without the bias of keys: it adds the same to all of a query's scores, so its gradient is rounding and nothing else."""
    return np.delete(values, slice(8, 16)) if name.endswith("query_key_value.bias") else values


@pytest.mark.parametrize("size", [2, 5])
@pytest.mark.parametrize(
    ("make", "changes"),
    [
        (lambda: SASRec(SASREC, seed=5), {}),
        (lambda: SASRec(SASREC, seed=5, words_NT=csr_matrix(np.eye(8))), {"num_negatives": 4}),
        (lambda: GRU4Rec(GRU, seed=5), {"loss": "gbce", "num_negatives": 4}),
    ],
    ids=["transformer", "transformer with words", "recurrent"],
)
def test_peers_come_to_the_same_weights_as_one_alone(two_tastes, make, changes, size):
    """With dropout, negatives, weights by position, targets that are drawn, and batches of fewer histories than peers."""
    config = dataclasses.replace(CONFIG, **changes)
    weights = [np.linspace(1, 3, len(sequence)) for sequence in two_tastes]
    (alone,) = trained(make, two_tastes, config, 1, weights=weights)
    found = trained(make, two_tastes, config, size, weights=weights)
    for epochs, state in found:
        for name, values in state.items():
            np.testing.assert_allclose(counting(name, values), counting(name, alone[1][name]), atol=2e-5)
            assert values.tobytes() == found[0][1][name].tobytes()  # nobody drifts away
        assert [each.ndcg_at_10 for each in epochs] == pytest.approx([each.ndcg_at_10 for each in alone[0]])
        assert [each.loss for each in epochs] == pytest.approx([each.loss for each in alone[0]], rel=1e-5)


def test_each_of_the_peers_reads_its_share_alone(two_tastes, monkeypatch):
    read = []
    forward = GRU4Rec.forward

    def watched(self, history_BL):
        if self.training:
            read.append(len(history_BL))
        return forward(self, history_BL)

    monkeypatch.setattr(GRU4Rec, "forward", watched)
    config = dataclasses.replace(CONFIG, epochs=1)
    trained(lambda: GRU4Rec(GRU, seed=5), two_tastes, config, 1)
    alone, num_steps = sum(read), len(read)
    read.clear()
    trained(lambda: GRU4Rec(GRU, seed=5), two_tastes, config, 2)
    assert (sum(read), len(read)) == (alone, 2 * num_steps)
