"""The ranker: learns an order within users, and refuses columns that are not its own."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
import torch

from models.mlp_ranker import MLPRanker, MLPRankerConfig, listwise_softmax

NAMES = ["transformer_score", "popularity_micros", "noise"]
CONFIG = MLPRankerConfig(widths=(8,), epochs=12, groups_per_batch=8, learning_rate=2e-2, seed=3)


@pytest.fixture
def candidates(rng):
    """40 users with 5-9 candidates each; the one with the most of a feature in the millions was taken."""
    sizes = rng.integers(5, 10, size=40)
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    features = rng.normal(size=(offsets[-1], 3)).astype(np.float32)
    features[:, 1] = np.exp(6 + 3 * features[:, 1])
    labels = np.zeros(len(features), dtype=int)
    for start, end in itertools.pairwise(offsets):
        labels[start + features[start:end, 1].argmax()] = 1
    return features, offsets, labels


def first_choice_is_right(scores, offsets, labels):
    pairs = itertools.pairwise(offsets)
    return np.mean([labels[start + scores[start:end].argmax()] for start, end in pairs])


def test_it_learns_the_order_within_users(candidates):
    features, offsets, labels = candidates
    ranker, losses = MLPRanker.fit(CONFIG, NAMES, *candidates)
    scores = ranker.score(features, NAMES)
    assert scores.dtype == np.float64
    assert losses[-1] < losses[0] / 2
    assert first_choice_is_right(scores, offsets, labels) > 0.9


def test_the_same_seed_gives_the_same_weights_and_touches_no_global_one(candidates):
    before = torch.get_rng_state()
    once, again = (MLPRanker.fit(CONFIG, NAMES, *candidates)[0].state() for _ in range(2))
    other = MLPRanker.fit(dataclasses.replace(CONFIG, seed=4), NAMES, *candidates)[0].state()
    assert torch.equal(torch.get_rng_state(), before)
    assert all(once[name].tobytes() == again[name].tobytes() for name in once)
    assert any(once[name].tobytes() != other[name].tobytes() for name in once)


def test_save_and_load_change_nothing(candidates):
    ranker, _ = MLPRanker.fit(CONFIG, NAMES, *candidates)
    restored = MLPRanker.from_state(CONFIG, ranker.state())
    assert restored.feature_names == tuple(NAMES)
    np.testing.assert_array_equal(restored.score(candidates[0], NAMES), ranker.score(candidates[0], NAMES))


@pytest.mark.parametrize("names", [NAMES[::-1], NAMES[:2], ["transformer_score", "popularity", "noise"]])
def test_columns_in_another_order_or_of_another_name_are_refused(candidates, names):
    ranker, _ = MLPRanker.fit(CONFIG, NAMES, *candidates)
    with pytest.raises(ValueError, match="the ranker knows"):
        ranker.score(candidates[0], names)


def test_too_few_columns_are_refused(candidates):
    ranker, _ = MLPRanker.fit(CONFIG, NAMES, *candidates)
    with pytest.raises(ValueError, match=r"shape .*expected \(rows, 3\)"):
        ranker.score(candidates[0][:, :2], NAMES)


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_a_feature_that_is_not_finite_is_refused_by_name(candidates, wrong):
    features = candidates[0].copy()
    features[4, 1] = wrong
    ranker, _ = MLPRanker.fit(CONFIG, NAMES, *candidates)
    with pytest.raises(ValueError, match="popularity_micros is not finite"):
        ranker.score(features, NAMES)


def test_permuting_a_column_changes_the_scores(candidates, rng):
    features = candidates[0].copy()
    ranker, _ = MLPRanker.fit(CONFIG, NAMES, *candidates)
    before = ranker.score(features, NAMES)
    features[:, 1] = rng.permutation(features[:, 1])
    assert np.abs(ranker.score(features, NAMES) - before).max() > 0.1


def test_the_scale_is_that_of_the_training_rows(candidates):
    features, offsets, labels = candidates
    features[:, 2] = 7.0
    ranker, _ = MLPRanker.fit(CONFIG, NAMES, features, offsets, labels)
    low, middle, high = np.quantile(features.astype(np.float64), [0.25, 0.5, 0.75], axis=0)
    state = ranker.state()
    np.testing.assert_allclose(state["middle"], middle, rtol=1e-6)
    np.testing.assert_allclose(state["spread"], [*((high - low) / 1.349)[:2], 1.0], rtol=1e-4)


def test_what_comes_scaled_is_taken_as_it_comes(candidates):
    ranker, _ = MLPRanker.fit(CONFIG, NAMES, *candidates, scaled=NAMES[1:])
    state = ranker.state()
    assert (state["middle"][1:].tolist(), state["spread"][1:].tolist()) == ([0, 0], [1, 1])
    assert state["spread"][0] != 1


def test_a_feature_that_is_mostly_zero_is_scaled_by_its_deviation(candidates):
    features, offsets, labels = candidates
    features[:, 2] = 0.0
    features[::20, 2] = 50.0
    ranker, _ = MLPRanker.fit(CONFIG, NAMES, features, offsets, labels)
    assert ranker.state()["spread"][2] == pytest.approx(features[:, 2].std(), rel=1e-5)


def test_a_users_scores_do_not_depend_on_the_other_rows(candidates):
    features, offsets, _ = candidates
    ranker, _ = MLPRanker.fit(CONFIG, NAMES, *candidates)
    together = ranker.score(features, NAMES)[: offsets[1]]
    np.testing.assert_allclose(ranker.score(features[: offsets[1]], NAMES), together, rtol=0, atol=1e-6)
    assert ranker.score(features[:0], NAMES).shape == (0,)


def test_users_who_took_nothing_teach_nothing(candidates):
    features, offsets, labels = candidates
    without, _ = MLPRanker.fit(CONFIG, NAMES, features, offsets, labels)
    labels_and_more = np.concatenate([labels, np.zeros(3, dtype=int)])
    same_scale = np.concatenate([features, without.state()["middle"][None].repeat(3, axis=0)])
    more, _ = MLPRanker.fit(CONFIG, NAMES, same_scale, [*offsets, len(same_scale)], labels_and_more)
    for name in ("line.weight", "layers.0.weight"):
        np.testing.assert_allclose(more.state()[name], without.state()[name], atol=0.05)


def test_data_without_an_order_to_learn_is_refused(candidates):
    features, offsets, labels = candidates
    with pytest.raises(ValueError, match="no order to learn"):
        MLPRanker.fit(CONFIG, NAMES, features, offsets, np.zeros_like(labels))


@pytest.mark.parametrize("offsets", [[0, 5], [1, 6], [0, 4, 3, 6]])
def test_groups_that_do_not_cover_the_rows_are_refused(offsets):
    with pytest.raises(ValueError, match="offsets"):
        MLPRanker.fit(CONFIG, ["one"], np.ones((6, 1), np.float32), np.array(offsets), np.ones(6))


def test_a_state_that_cannot_be_trusted_is_refused_by_name(candidates):
    state = MLPRanker.fit(CONFIG, NAMES, *candidates)[0].state()
    for name, wrong, message in [
        ("layers.0.bias", np.full(8, np.nan, np.float32), "layers.0.bias is not finite"),
        ("line.weight", np.zeros((1, 2), np.float32), "line.weight has shape"),
        ("spread", np.zeros(3, np.float32), "spread is not above zero"),
        ("extra", np.zeros(3, np.float32), "extra"),
    ]:
        with pytest.raises(ValueError, match=message):
            MLPRanker.from_state(CONFIG, state | {name: wrong})
    with pytest.raises(ValueError, match="feature_names"):
        MLPRanker.from_state(
            CONFIG, {name: array for name, array in state.items() if name != "feature_names"}
        )


def test_the_loss_is_softmax_over_each_users_own_candidates():
    # user 0: scores 1, 2, 3, takes the last; user 1: scores 0, 0, takes both
    is_row = torch.tensor([[True, True, True], [True, True, False]])
    is_positive = torch.tensor([[False, False, True], [True, True, False]])
    loss = listwise_softmax(torch.tensor([1.0, 2, 3, 0, 0]), is_positive.float(), torch.zeros(2, 3), is_row)
    first = -np.log(np.exp(3) / np.exp([1, 2, 3]).sum())
    assert loss.item() == pytest.approx((first + np.log(2)) / 2)


def test_a_row_of_weight_two_is_two_candidates_and_one_of_mass_three_three_positives():
    """Three candidates, the last wanted: beside the second, which counts twice, another one like it."""
    is_row = torch.ones(1, 3, dtype=torch.bool)
    mass, log_weight = torch.tensor([[0.0, 0, 3]]), torch.tensor([[1.0, 2, 1]]).log()
    loss = listwise_softmax(torch.tensor([1.0, 2, 3]), mass, log_weight, is_row)
    assert loss.item() == pytest.approx(-3 * np.log(np.exp(3) / np.exp([1, 2, 2, 3]).sum()))


def test_the_loss_is_least_where_scores_are_wanted_over_offered():
    mass, weight = torch.tensor([[2.0, 1, 1]]), torch.tensor([[1.0, 4, 2]])
    scores = (mass / weight).log().flatten().requires_grad_()
    loss = listwise_softmax(scores, mass, weight.log(), torch.ones(1, 3, dtype=torch.bool))
    (gradient,) = torch.autograd.grad(loss, scores)
    torch.testing.assert_close(gradient, torch.zeros(3), rtol=0, atol=1e-6)


def test_without_masses_and_weights_of_their_own_rows_count_as_one_to_the_byte(candidates):
    features, offsets, labels = candidates
    plain = MLPRanker.fit(CONFIG, NAMES, features, offsets, labels > 0)[0].state()
    ones = MLPRanker.fit(CONFIG, NAMES, features, offsets, labels * 1.0, np.ones(len(labels)))[0].state()
    assert all(plain[name].tobytes() == ones[name].tobytes() for name in plain)


@pytest.mark.parametrize("shuffled", ["masses", "weights"])
def test_shuffling_what_was_wanted_or_offered_changes_the_ranker(candidates, rng, shuffled):
    features, offsets, labels = candidates
    given = {"masses": labels * rng.integers(1, 6, len(labels)), "weights": 1 + rng.random(len(labels))}
    states = []
    for values in (given[shuffled], rng.permutation(given[shuffled])):
        evidence = given | {shuffled: values}
        ranker, _ = MLPRanker.fit(CONFIG, NAMES, features, offsets, evidence["masses"], evidence["weights"])
        states.append(ranker.state()["line.weight"])
    assert np.abs(states[0] - states[1]).max() > 1e-3


def test_what_is_offered_often_and_left_is_ranked_lower(candidates):
    features, offsets, labels = candidates
    features[:, 0] = np.resize([0, 1], len(features))  # every second candidate has what was offered
    left = 1 + 5.0 * ((features[:, 0] > 0) & (labels == 0))
    leads = []
    for weights in (None, left):
        ranker, _ = MLPRanker.fit(CONFIG, NAMES, features, offsets, labels, weights)
        with_it, without = (np.array([[value, 400.0, 0.0]], np.float32) for value in (1, 0))
        leads.append(float(ranker.score(with_it, NAMES)[0] - ranker.score(without, NAMES)[0]))
    assert leads[1] < leads[0] - 0.5


@pytest.mark.parametrize(
    ("masses", "weights", "message"),
    [
        ([1, 0, np.nan], np.ones(3), "masses have to be finite"),
        ([1, 0, -1], np.ones(3), "masses have to be finite"),
        ([1, 0, 0], [1, 0, 1], "weights finite and above zero"),
        ([1, 0, 0], [1, 1, np.inf], "weights finite and above zero"),
        ([1, 0, 0], np.ones(2), "2 weights for 3 rows"),
    ],
)
def test_evidence_that_cannot_be_is_refused(masses, weights, message):
    with pytest.raises(ValueError, match=message):
        MLPRanker.fit(
            CONFIG, ["one"], np.ones((3, 1), np.float32), [0, 3], np.array(masses), np.array(weights)
        )
