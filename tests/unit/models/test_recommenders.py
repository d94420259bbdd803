"""What every recommender must do, asserted once for all of them."""

from __future__ import annotations

import dataclasses
import re
from itertools import permutations

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix

from models.als import ALS, ALSConfig
from models.content import Content
from models.covisitation import CoVisitation
from models.ease import EASE
from models.events import ITEM, NUM_TYPES, events_of
from models.gru4rec import GRU4Rec, GRU4RecConfig
from models.history_encoder import HistoryEncoder
from models.losses import full_cross_entropy
from models.popularity import Popularity
from models.recommender import history_matrix
from models.sasrec import SASRec, SASRecConfig
from models.training import TrainConfig, fit

NUM_ITEMS = 8
SHAPES = {
    SASRec: SASRecConfig(NUM_ITEMS, width=8, blocks=2, heads=2, max_length=6),
    GRU4Rec: GRU4RecConfig(NUM_ITEMS, width=8, max_length=6),
}
READS_EVENTS = dataclasses.replace(SHAPES[SASRec], reads_gaps=True, reads_types=True)


def eventful(history):
    """The items as events, whose types and gaps follow from them."""
    return events_of(history, 1 + history % NUM_TYPES, 500 + np.cumsum(history))


class Trained:
    """A sequence model behind the protocol's verbs, so that the same assertions hold for it."""

    network: type[SASRec] | type[GRU4Rec]
    reads = staticmethod(lambda history: history)

    @classmethod
    def shape(cls):
        return SHAPES[cls.network]

    def fit(self, histories):
        self.model = self.network(self.shape(), seed=0)
        config = TrainConfig(epochs=10, batch_size=4, learning_rate=5e-2, averaging=0.5)
        for _ in fit(self.model, [self.reads(history) for history in histories], config):
            pass
        return self

    def score(self, histories):
        return self.model.score([self.reads(history) for history in histories])

    def state(self):
        return self.model.state()

    @classmethod
    def from_state(cls, state):
        restored = cls()
        restored.model = cls.network.from_state(cls.shape(), state)
        return restored


class TrainedSASRec(Trained):
    network = SASRec


class TrainedOnEvents(TrainedSASRec):
    reads = staticmethod(eventful)

    @classmethod
    def shape(cls):
        return READS_EVENTS


class TrainedGRU4Rec(Trained):
    network = GRU4Rec


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
    "content": (Content, users),  # a user is as good a word: it says of items that they belong together
    "sasrec": (TrainedSASRec, list),
    "sasrec of events": (TrainedOnEvents, list),
    "gru4rec": (TrainedGRU4Rec, list),
}


class Subject:
    """A kind of recommender, and what one of it has learnt of the two tastes."""

    #: One of a kind is enough for all tests that only ask it.
    _learnt = {}  # noqa: RUF012

    def __init__(self, name, two_tastes):
        self.name, self.two_tastes = name, two_tastes
        self.new, self.evidence_of = MAKERS[name]

    def fitted(self, histories):
        return self.new().fit(self.evidence_of(histories))

    @property
    def model(self):
        if self.name not in self._learnt:
            self._learnt[self.name] = self.fitted(self.two_tastes)
        return self._learnt[self.name]


@pytest.fixture(params=MAKERS)
def subject(request, two_tastes):
    return Subject(request.param, two_tastes)


class OnEvents:
    """A network that reads events, asked as one that reads items is."""

    def __init__(self, model):
        self.model = model
        self.item_embeddings, self.score_states = model.item_embeddings, model.score_states

    def __call__(self, history_BL):
        return self.model(self.told(history_BL))

    def encode_last(self, history_BL, lengths_B):
        return self.model.encode_last(self.told(history_BL), lengths_B)

    def encode(self, histories, **options):
        return self.model.encode([eventful(history) for history in histories], **options)

    def score(self, histories):
        return self.model.score([eventful(history) for history in histories])

    @staticmethod
    def told(history_BL):
        told_BL3 = torch.tensor(np.stack([eventful(items - 1) for items in history_BL.numpy()]))
        told_BL3[..., ITEM] = history_BL
        return told_BL3


@pytest.fixture(params=["sasrec", "sasrec of events", "gru4rec"])
def network(request, two_tastes):
    """A trained model that reads histories in their order."""
    model = Subject(request.param, two_tastes).model.model
    return OnEvents(model) if model.reads_events else model


QUESTIONS = [np.array([0, 1]), np.array([5]), np.array([], dtype=int), np.array([4, 5, 4, 7])]


def bytes_of(state):
    return {name: array.tobytes() for name, array in state.items()}


def test_scores_are_finite_and_one_for_each_item(subject):
    scores_UN = subject.model.score(QUESTIONS)
    assert scores_UN.shape == (4, NUM_ITEMS)
    assert scores_UN.dtype == np.float32
    assert np.isfinite(scores_UN).all()
    assert scores_UN.std() > 0


def test_a_second_fit_forgets_the_first(subject, two_tastes):
    others = [(history + 1) % NUM_ITEMS for history in two_tastes[:7]]
    refitted = subject.fitted(others)
    before_UN = refitted.score(QUESTIONS)
    refitted.fit(subject.evidence_of(two_tastes))
    assert bytes_of(refitted.state()) == bytes_of(subject.model.state())
    assert not np.array_equal(refitted.score(QUESTIONS), before_UN)


def test_save_and_load_change_nothing(subject):
    restored = type(subject.model).from_state(subject.model.state())
    np.testing.assert_array_equal(restored.score(QUESTIONS), subject.model.score(QUESTIONS))
    assert bytes_of(restored.state()) == bytes_of(subject.model.state())


def test_the_same_seed_gives_the_same_bytes(subject, two_tastes):
    again = subject.fitted(two_tastes)
    assert bytes_of(again.state()) == bytes_of(subject.model.state())
    assert again.score(QUESTIONS).tobytes() == subject.model.score(QUESTIONS).tobytes()


def test_more_history_never_raises_and_none_is_enough(subject, rng):
    for length in (0, 1, 5, 6, 7, 50, 400):
        assert np.isfinite(subject.model.score([rng.integers(0, NUM_ITEMS, size=length)])).all()
    assert subject.model.score([]).shape == (0, NUM_ITEMS)


def test_scoring_leaves_the_histories_and_the_model_as_they_were(subject):
    histories, state = [history.copy() for history in QUESTIONS], bytes_of(subject.model.state())
    first_UN, again_UN = subject.model.score(histories), subject.model.score(histories)
    first_UN[:], expected_UN = 0, first_UN.copy()  # a caller may write into what it was given
    np.testing.assert_array_equal(subject.model.score(histories), expected_UN)
    np.testing.assert_array_equal(again_UN, expected_UN)
    assert bytes_of(subject.model.state()) == state
    for history, question in zip(histories, QUESTIONS, strict=True):
        np.testing.assert_array_equal(history, question)


def test_a_user_is_scored_alike_alone_and_among_others(subject):
    alone_UN = np.concatenate([subject.model.score([history]) for history in QUESTIONS])
    np.testing.assert_allclose(alone_UN, subject.model.score(QUESTIONS), rtol=0, atol=1e-6)


def test_a_state_that_is_not_finite_is_refused_by_name(subject):
    state = subject.model.state()
    name = next(name for name, array in state.items() if array.dtype.kind == "f" and array.size > 1)
    state[name] = np.full_like(state[name], np.nan)
    with pytest.raises(ValueError, match=f"{name} is not finite"):
        type(subject.model).from_state(state)


def test_a_state_with_an_array_too_few_is_refused_by_name(subject):
    state = subject.model.state()
    name = max(state)
    del state[name]
    with pytest.raises(ValueError, match=re.escape(name)):
        type(subject.model).from_state(state)


def test_taste_is_recognised(subject):
    if subject.name == "popularity":
        pytest.skip("popularity knows no taste")
    scores_UN = subject.model.score([np.array([0, 1, 2]), np.array([4, 5, 6])])
    assert scores_UN[0].argmax() < 4 <= scores_UN[1].argmax()


def test_what_follows_a_thing_is_recommended_after_it(subject):
    """People take any two of the items 4-7, and then 1 after 0, or 3 after 2."""
    if subject.name == "popularity":
        pytest.skip("popularity knows no taste")
    histories = [np.array([*two, *rule]) for two in permutations(range(4, 8), 2) for rule in ([0, 1], [2, 3])]
    questions = [np.array([4, 0]), np.array([7, 2])]
    scores_UN = subject.fitted(histories).score(questions)
    for scores_N, question in zip(scores_UN, questions, strict=True):
        scores_N[question] = -np.inf
    assert scores_UN.argmax(axis=1).tolist() == [1, 3]


@pytest.mark.parametrize("wrong", [-1, 8])
def test_an_item_that_the_model_does_not_know_is_refused_by_name(subject, wrong):
    with pytest.raises(ValueError, match=rf"item {wrong} is outside 0 … 7"):
        subject.model.score([np.array([0]), np.array([3, wrong])])


@pytest.mark.parametrize("name", ["popularity", "ease", "als", "covisitation", "content"])
def test_a_model_that_has_learnt_nothing_says_so(name):
    with pytest.raises(ValueError, match="call fit"):
        MAKERS[name][0]().score(QUESTIONS)
    with pytest.raises(ValueError, match="call fit"):
        MAKERS[name][0]().state()


# What reads histories in their order


def test_changing_the_future_leaves_earlier_states_unchanged(network, rng):
    history_BL = torch.tensor(rng.integers(1, NUM_ITEMS + 1, size=(4, 6)))
    changed_BL = history_BL.clone()
    changed_BL[:, 4:] = history_BL[:, 4:] % NUM_ITEMS + 1
    before_BLD, after_BLD = network(history_BL), network(changed_BL)
    torch.testing.assert_close(after_BLD[:, :4], before_BLD[:, :4], rtol=0, atol=1e-6)
    assert (after_BLD[:, 4:] - before_BLD[:, 4:]).abs().amax(dim=2).min() > 0.01


def test_each_earlier_item_and_its_place_matter(network):
    state_BD = network.encode([np.array(each) for each in ([0, 1, 2, 3], [5, 1, 2, 3], [1, 0, 2, 3])])
    assert np.abs(state_BD[1:] - state_BD[0]).max(axis=1).min() > 1e-3


def test_a_state_is_that_of_the_last_real_item_and_zero_without_any(network):
    state_BD = network.encode_last(
        torch.tensor([[7, 8, 0, 0], [1, 2, 3, 4], [0, 0, 0, 0]]), torch.tensor([2, 4, 0])
    )
    states_BLD = network(torch.tensor([[7, 8, 5, 6], [1, 2, 3, 4]]))
    torch.testing.assert_close(state_BD[:2], states_BLD[[0, 1], [1, 3]], rtol=0, atol=1e-6)
    assert state_BD[2].tolist() == [0.0] * 8


def test_a_score_is_the_state_times_the_items_embedding(network):
    states_UD = network.encode(QUESTIONS)
    items_ND = network.item_embeddings.detach().numpy()
    assert items_ND.shape == (NUM_ITEMS, 8)
    np.testing.assert_allclose(network.score(QUESTIONS), states_UD @ items_ND.T, rtol=0, atol=1e-5)
    np.testing.assert_array_equal(network.score_states(states_UD), network.score(QUESTIONS))


def test_of_a_long_history_only_the_latest_items_count(network, rng):
    history = rng.integers(0, NUM_ITEMS, size=40)
    np.testing.assert_array_equal(network.score([history]), network.score([history[-6:]]))


def test_an_encoded_row_does_not_depend_on_the_batch_that_it_came_in(network, two_tastes, monkeypatch):
    together_UD = network.encode(two_tastes)
    monkeypatch.setattr(HistoryEncoder, "batch_size", 5)
    np.testing.assert_allclose(network.encode(two_tastes), together_UD, rtol=0, atol=1e-6)
    assert np.abs(np.diff(together_UD, axis=0)).max(axis=1).min() > 1e-3


@pytest.mark.parametrize("kind", SHAPES)
def test_weights_come_from_the_seed_and_nothing_draws_from_torchs_own_generator(kind, two_tastes):
    torch.rand(3)  # so that the state is not one that a seed gives
    before = torch.get_rng_state()
    once, again, other = (kind(SHAPES[kind], seed=seed) for seed in (3, 3, 4))
    for _ in fit(once, two_tastes, TrainConfig(epochs=1)):
        once.train()
        once.score(QUESTIONS)
        assert once.training
    assert torch.equal(torch.get_rng_state(), before)
    fresh = kind(SHAPES[kind], seed=3)
    assert bytes_of(fresh.state()) == bytes_of(again.state()) != bytes_of(other.state())


@pytest.mark.parametrize("kind", SHAPES)
def test_dropout_is_drawn_from_the_pool_in_training_and_never_in_scoring(kind):
    shape = dataclasses.replace(SHAPES[kind], dropout=0.5)
    model = kind(shape, seed=0)
    pool = model.use_dropout_from(torch.Generator().manual_seed(1), num_positions=100)
    pool.refill()
    history_BL = torch.tensor([[1, 2, 3, 4]])
    assert (model.train()(history_BL) - model(history_BL)).abs().max() > 0.01
    in_training = [model.encode([np.arange(4)]) for _ in range(2)]
    np.testing.assert_array_equal(*in_training)
    restored = kind.from_state(shape, model.state())
    restored.use_dropout_from(torch.Generator().manual_seed(1), num_positions=100).refill()
    assert torch.equal(restored(history_BL), restored(history_BL))


@pytest.mark.parametrize("kind", SHAPES)
def test_a_state_is_a_copy_that_further_training_leaves_alone(kind, two_tastes):
    model = kind(SHAPES[kind], seed=0)
    state = model.state()
    before = bytes_of(state)
    for _ in fit(model, two_tastes, TrainConfig(epochs=1)):
        pass
    assert bytes_of(state) == before != bytes_of(model.state())


@pytest.mark.parametrize("kind", SHAPES)
def test_gradients_reach_every_parameter(kind, rng):
    model = kind(SHAPES[kind], seed=1).train()
    history_BL = torch.tensor(rng.integers(1, NUM_ITEMS + 1, size=(16, 6)))
    states_PD = model(history_BL).flatten(0, 1)
    targets_P = torch.tensor(rng.integers(0, NUM_ITEMS, size=len(states_PD)))
    full_cross_entropy(states_PD, model.item_embeddings, targets_P).backward()
    for name, weight in model.named_parameters():
        assert weight.grad is not None, name
        # Keys' bias moves every score of a query alike, which a softmax does not see.
        parts = weight.grad.view(3, -1)[[0, 2]] if name.endswith("query_key_value.bias") else weight.grad
        assert (parts.abs().sum(dim=-1) > 0).float().mean() > 0.85, name


@pytest.mark.parametrize("kind", SHAPES)
@pytest.mark.parametrize("wrong", [{"dropout": 1.0}, {"num_items": 0}, {"max_length": 0}])
def test_a_shape_that_cannot_work_is_refused(kind, wrong):
    with pytest.raises(ValueError, match="|".join(wrong)):
        dataclasses.replace(SHAPES[kind], **wrong)


# Each by itself


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
