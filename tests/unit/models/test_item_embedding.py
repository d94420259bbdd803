"""Items that are known by their words: who nobody has acted upon is where its words say, and nowhere without any."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix

from models.gru4rec import GRU4Rec, GRU4RecConfig
from models.sasrec import SASRec, SASRecConfig
from models.training import TrainConfig, fit

SHAPE = SASRecConfig(num_items=8, width=16, blocks=1, heads=2, dropout=0.0, max_length=6)
KINDS = {SASRec: SHAPE, GRU4Rec: GRU4RecConfig(num_items=8, width=16, dropout=0.0, max_length=6)}
CONFIG = TrainConfig(epochs=25, batch_size=8, learning_rate=2e-2, averaging=0.5, seed=5)
#: Of items 0 to 3 and of 4 to 7 a word that the circle shares, and one of each item's own.
WORDS_NT = csr_matrix(np.hstack([np.repeat(np.eye(2), 4, axis=0), np.eye(8)]) / np.sqrt(2))
#: An item with the words of item 2, one with the word of items 4 to 7 alone, one without words.
NEW_MT = csr_matrix(np.vstack([WORDS_NT[2].toarray(), 0.5 * np.eye(10)[1], np.zeros(10)]))


@pytest.fixture(params=KINDS, ids=lambda kind: kind.__name__)
def kind(request):
    return request.param


def trained(kind, histories, **more):
    model = kind(KINDS[kind], seed=5, words_NT=WORDS_NT)
    for _ in fit(model, histories, dataclasses.replace(CONFIG, **more)):
        pass
    return model


def test_a_new_item_is_scored_near_the_one_whose_words_it_has(kind, two_tastes):
    model = trained(kind, two_tastes).with_items(NEW_MT)
    scores_N = model.score([np.array([0, 1])])[0]
    assert scores_N.argsort()[-2:].tolist() in ([2, 8], [8, 2])
    of_other_circle = model.score([np.array([6, 7, 4])])[0]
    assert of_other_circle[9] > of_other_circle[8]


def test_a_new_item_without_words_is_scored_zero(kind, two_tastes):
    model = trained(kind, two_tastes, epochs=3).with_items(NEW_MT)
    assert model.score([np.array([0, 1]), np.array([5])])[:, 10].tolist() == [0.0, 0.0]


def test_further_items_change_nothing_of_the_known_ones(kind, two_tastes):
    model = trained(kind, two_tastes, epochs=3)
    histories = [np.array([0, 1, 2]), np.array([7])]
    further = model.with_items(NEW_MT)
    np.testing.assert_allclose(further.score(histories)[:, :8], model.score(histories), rtol=0, atol=1e-6)
    assert further.config.num_items == 11
    again = kind.from_state(further.config, further.state())
    np.testing.assert_array_equal(again.score(histories), further.score(histories))


def test_items_in_another_order_keep_their_scores(kind, two_tastes):
    model = trained(kind, two_tastes, epochs=3)
    order = np.array([3, 0, 7, 1, 2, 6, 5, 4])
    now_at = np.argsort(order)
    other = model.with_items(NEW_MT[:0]).in_order(order)
    scores_1N, other_1N = model.score([np.array([0, 1, 6])]), other.score([now_at[[0, 1, 6]]])
    np.testing.assert_allclose(other_1N[:, now_at], scores_1N, rtol=0, atol=1e-6)


def test_a_new_item_in_a_history_says_what_the_one_with_its_words_says(kind, two_tastes):
    model = trained(kind, two_tastes).with_items(NEW_MT)
    assert model.score([np.array([1, 8])])[0, :8].argmax() == model.score([np.array([1, 2])])[0, :8].argmax()


def test_with_words_no_position_knows_what_comes_after_it(kind, two_tastes):
    model = trained(kind, two_tastes, epochs=2)
    before_BLD, after_BLD = model(torch.tensor([[1, 2, 3, 4]])), model(torch.tensor([[1, 2, 7, 8]]))
    torch.testing.assert_close(after_BLD[:, :2], before_BLD[:, :2], rtol=0, atol=1e-6)
    assert (after_BLD[:, 2:] - before_BLD[:, 2:]).abs().max() > 0.01


def test_with_words_the_same_seed_gives_the_same_bytes_and_a_state_is_restored(kind, two_tastes):
    once, again = (trained(kind, two_tastes, epochs=2) for _ in range(2))
    assert {name: array.tobytes() for name, array in once.state().items()} == {
        name: array.tobytes() for name, array in again.state().items()
    }
    restored = kind.from_state(KINDS[kind], once.state())
    histories = [np.array([0, 1, 2]), np.array([], dtype=int)]
    np.testing.assert_array_equal(restored.score(histories), once.score(histories))


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("embedding.words_TD", "not finite"),
        ("positions_LD", "unknown"),
        ("embedding.item_starts_N", "no item_starts_N"),
    ],
)
def test_a_state_with_words_that_is_spoilt_is_refused_by_name(name, told):
    state = SASRec(SHAPE, seed=0, words_NT=WORDS_NT).state()
    if told == "not finite":
        state[name][0, 0] = np.nan
    else:
        del state[name]
    with pytest.raises(ValueError, match=told):
        SASRec.from_state(SHAPE, state)


@pytest.mark.parametrize("wrong", [WORDS_NT[:7], WORDS_NT[[*range(8), 0]]])
def test_words_of_other_items_are_refused(kind, wrong):
    with pytest.raises(ValueError, match=f"words of {wrong.shape[0]} items for a model of 8"):
        kind(KINDS[kind], seed=0, words_NT=wrong)


def test_a_model_without_words_takes_no_further_items(kind):
    with pytest.raises(ValueError, match="was not given what is written about its items"):
        kind(KINDS[kind], seed=0).with_items(NEW_MT)
