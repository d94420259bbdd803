"""What every recommender must do, asserted once for all of them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from models.als import ALS, ALSConfig
from models.covisitation import CoVisitation
from models.ease import EASE
from models.popularity import Popularity
from models.recommender import history_matrix
from models.sasrec import SASRec, SASRecConfig
from models.training import TrainConfig, fit

NUM_ITEMS = 8


class TrainedSASRec:
    """SASRec behind the protocol's verbs, so that the same assertions hold for it."""

    config = SASRecConfig(NUM_ITEMS, width=8, blocks=1, heads=2, max_length=6)

    def fit(self, histories):
        self.model = SASRec(self.config, seed=0)
        for _ in fit(
            self.model, histories, TrainConfig(epochs=8, batch_size=4, learning_rate=2e-2, averaging=0.5)
        ):
            pass
        return self

    def score(self, histories):
        return self.model.score(histories)

    def state(self):
        return self.model.state()

    @classmethod
    def from_state(cls, state):
        restored = cls()
        restored.model = SASRec.from_state(cls.config, state)
        return restored


def users(histories):
    return history_matrix(histories, NUM_ITEMS)


def neighbours(histories):
    """How many users took both items."""
    taken_UN = users(histories)
    together_NN = (taken_UN.T @ taken_UN).tolil()
    together_NN.setdiag(0)
    return together_NN.tocsr()


MAKERS = {
    "popularity": (Popularity, users),
    "ease": (lambda: EASE(1.0), users),
    "als": (lambda: ALS(ALSConfig(factors=4, seed=2)), users),
    "covisitation": (CoVisitation, neighbours),
    "sasrec": (TrainedSASRec, list),
}


@pytest.fixture(params=MAKERS)
def make(request):
    """A fresh, untrained model and the function that makes its evidence of histories."""
    maker, evidence_of = MAKERS[request.param]
    return lambda histories: maker().fit(evidence_of(histories)), maker, evidence_of


QUESTIONS = [np.array([0, 1]), np.array([5]), np.array([], dtype=int), np.array([4, 5, 4, 7])]


def test_scores_are_finite_and_one_for_each_item(make, two_tastes):
    fitted, *_ = make
    scores_UN = fitted(two_tastes).score(QUESTIONS)
    assert scores_UN.shape == (4, NUM_ITEMS)
    assert scores_UN.dtype == np.float32
    assert np.isfinite(scores_UN).all()
    assert scores_UN.std() > 0


def test_a_second_fit_refits(make, two_tastes):
    fitted, maker, evidence_of = make
    other_histories = [(history + 1) % NUM_ITEMS for history in two_tastes[:7]]
    twice = maker().fit(evidence_of(other_histories)).fit(evidence_of(two_tastes))
    np.testing.assert_array_equal(twice.score(QUESTIONS), fitted(two_tastes).score(QUESTIONS))
    assert not np.array_equal(twice.score(QUESTIONS), fitted(other_histories).score(QUESTIONS))


def test_save_and_load_change_nothing(make, two_tastes):
    fitted, maker, _ = make
    model = fitted(two_tastes)
    restored = type(maker()).from_state(model.state())
    np.testing.assert_array_equal(restored.score(QUESTIONS), model.score(QUESTIONS))
    assert {name: array.tobytes() for name, array in restored.state().items()} == {
        name: array.tobytes() for name, array in model.state().items()
    }


def test_the_same_seed_gives_the_same_weights(make, two_tastes):
    fitted, *_ = make
    once, again = fitted(two_tastes).state(), fitted(two_tastes).state()
    assert {name: array.tobytes() for name, array in once.items()} == {
        name: array.tobytes() for name, array in again.items()
    }


def test_more_history_never_raises(make, two_tastes, rng):
    fitted, *_ = make
    model = fitted(two_tastes)
    for length in (0, 1, 5, 6, 7, 50, 400):
        assert np.isfinite(model.score([rng.integers(0, NUM_ITEMS, size=length)])).all()
    assert model.score([]).shape == (0, NUM_ITEMS)


def test_a_user_is_scored_alike_alone_and_among_others(make, two_tastes):
    fitted, *_ = make
    model = fitted(two_tastes)
    alone_UN = np.concatenate([model.score([history]) for history in QUESTIONS])
    np.testing.assert_allclose(alone_UN, model.score(QUESTIONS), rtol=0, atol=1e-6)


def test_a_state_that_is_not_finite_is_refused_by_name(make, two_tastes):
    fitted, maker, _ = make
    state = fitted(two_tastes).state()
    name = next(name for name, array in state.items() if array.dtype.kind == "f" and array.size > 1)
    state[name] = np.full_like(state[name], np.nan)
    with pytest.raises(ValueError, match=f"{name} is not finite"):
        type(maker()).from_state(state)


def test_taste_is_recognised(make, two_tastes):
    fitted, maker, _ = make
    if maker is Popularity:
        pytest.skip("popularity knows no taste")
    scores_UN = fitted(two_tastes).score([np.array([0, 1, 2]), np.array([4, 5, 6])])
    assert scores_UN[0].argmax() < 4 <= scores_UN[1].argmax()


@pytest.mark.parametrize("name", ["ease", "als", "covisitation"])
def test_an_item_that_the_model_does_not_know_is_refused(name, two_tastes):
    maker, evidence_of = MAKERS[name]
    with pytest.raises(ValueError, match="item 8 is outside"):
        maker().fit(evidence_of(two_tastes)).score([np.array([8])])


@pytest.mark.parametrize("name", ["popularity", "ease", "als", "covisitation"])
def test_a_model_that_has_learnt_nothing_says_so(name):
    with pytest.raises(ValueError, match="call fit"):
        MAKERS[name][0]().score(QUESTIONS)


def test_popularity_ranks_by_the_weights_it_was_given():
    assert Popularity.from_weights(np.array([3, 0, 7])).score([np.array([2])]).tolist() == [[3, 0, 7]]


def test_ease_predicts_each_item_from_the_others_as_its_closed_form_says(two_tastes):
    taken_UN = users(two_tastes).toarray()
    inverse = np.linalg.inv(taken_UN.T @ taken_UN + 1.0 * np.eye(NUM_ITEMS))
    expected = np.eye(NUM_ITEMS) - inverse / np.diag(inverse)
    np.testing.assert_allclose(EASE(1.0).fit(users(two_tastes)).state()["weights"], expected, atol=1e-6)


def test_als_folds_in_a_known_user_where_training_left_it(two_tastes):
    # A user who took two items of one circle is closer to its other two than to anything else.
    scores_N = ALS(ALSConfig(factors=4, seed=2)).fit(users(two_tastes)).score([np.array([4, 5])])[0]
    assert set(np.argsort(-scores_N)[:4]) == {4, 5, 6, 7}


def test_covisitation_weighs_the_last_items_most():
    neighbours_NN = csr_matrix(np.array([[0, 3, 1, 0], [0, 0, 0, 0], [0, 0, 0, 5], [2, 0, 2, 0]]))
    model = CoVisitation(num_recent=2, half_life=1.0).fit(neighbours_NN)
    # item 3 lies too far back, item 0 counts half, item 2 counts in full; rows are shares of their sum
    assert model.score([np.array([3, 0, 2])]).tolist() == [[0, 0.375, 0.125, 1]]


def test_covisitation_refuses_weights_that_are_no_counts():
    with pytest.raises(ValueError, match="negative"):
        CoVisitation().fit(csr_matrix(np.array([[0, -1], [1, 0]])))
    with pytest.raises(ValueError, match="row and a column"):
        CoVisitation().fit(csr_matrix(np.ones((2, 3))))


def test_a_history_is_taken_as_a_set_by_the_linear_models():
    assert history_matrix([np.array([2, 0, 2]), np.array([], dtype=int)], 3).toarray().tolist() == [
        [1, 0, 1],
        [0, 0, 0],
    ]
