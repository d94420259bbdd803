"""Exact top-K: one order, whatever the ties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy.sparse import csr_matrix

from models.topk import top_k, top_k_sparse


def naive_top_k(scores_UN, k):
    """Sorts (score in millionths, index) with Python's own sort."""
    lists, kept = [], []
    for row in scores_UN:
        millionths = [
            (-round(float(score) * 1e6), index) for index, score in enumerate(row) if score != -np.inf
        ]
        best = sorted(millionths)[:k]
        gap = k - len(best)
        lists.append([index for _, index in best] + [-1] * gap)
        kept.append([-score / 1e6 for score, _ in best] + [-np.inf] * gap)
    return np.array(lists).reshape(-1, k), np.array(kept).reshape(-1, k)


few_values = st.sampled_from([-np.inf, -2.0, -1e-6, 0.0, 1e-7, 4e-7, 1e-6, 0.5, 0.5000001, 7.25])


@settings(max_examples=60, deadline=None)
@given(
    scores_UN=array_shapes(min_dims=2, max_dims=2, max_side=12).flatmap(
        lambda shape: arrays(np.float64, shape, elements=few_values)
    ),
    k=st.integers(1, 15),
)
def test_top_k_equals_a_plain_sort_when_most_scores_tie(scores_UN, k):
    indices_UK, best_UK = top_k(scores_UN, k)
    expected_indices_UK, expected_UK = naive_top_k(scores_UN, k)
    np.testing.assert_array_equal(indices_UK, expected_indices_UK)
    np.testing.assert_array_equal(best_UK, expected_UK)


near_the_bound = st.sampled_from([-np.inf, 0.5, 0.5000004, 0.5000006, 0.4999996, 0.499999, 0.500001, 3.0])


@settings(max_examples=60, deadline=None)
@given(
    scores_UN=st.tuples(st.integers(1, 4), st.integers(20, 70)).flatmap(
        lambda shape: arrays(np.float32, shape, elements=near_the_bound.map(np.float32))
    ),
    k=st.integers(1, 8),
)
def test_no_item_is_lost_whose_score_is_within_rounding_of_the_bound(scores_UN, k):
    indices_UK, best_UK = top_k(scores_UN, k)
    expected_indices_UK, expected_UK = naive_top_k(scores_UN, k)
    np.testing.assert_array_equal(indices_UK, expected_indices_UK)
    np.testing.assert_array_equal(best_UK, expected_UK)


def test_top_k_equals_a_plain_sort_on_many_float32_scores(rng):
    scores_UN = np.round(rng.normal(size=(7, 500)), 2).astype(np.float32)
    scores_UN[rng.random(scores_UN.shape) < 0.1] = -np.inf
    indices_UK, best_UK = top_k(scores_UN, 40)
    expected_indices_UK, expected_UK = naive_top_k(scores_UN, 40)
    np.testing.assert_array_equal(indices_UK, expected_indices_UK)
    np.testing.assert_array_equal(best_UK, expected_UK)


def test_the_lower_index_wins_when_scores_differ_by_less_than_a_millionth():
    indices_UK, best_UK = top_k(np.array([[1.0, 2.0, 2.0000003, 0.0]]), 2)
    assert indices_UK.tolist() == [[1, 2]]
    assert best_UK.tolist() == [[2.0, 2.0]]


def test_places_stay_empty_when_fewer_items_than_k_remain():
    indices_UK, best_UK = top_k(np.array([[-np.inf, 3.0], [-np.inf, -np.inf]]), 3)
    assert indices_UK.tolist() == [[1, -1, -1], [-1, -1, -1]]
    assert best_UK.tolist() == [[3.0, -np.inf, -np.inf], [-np.inf] * 3]


def test_lists_do_not_depend_on_which_users_are_asked_together(rng):
    scores_UN = np.round(rng.normal(size=(9, 50)), 1)
    together_UK, _ = top_k(scores_UN, 10)
    alone_UK = np.concatenate([top_k(row[None], 10)[0] for row in scores_UN])
    np.testing.assert_array_equal(together_UK, alone_UK)


def test_rows_beyond_one_chunk_are_ranked_too(rng, monkeypatch):
    scores_UN = rng.normal(size=(11, 30))
    expected_UK, _ = top_k(scores_UN, 4)
    monkeypatch.setattr("models.topk._SCORES_AT_ONCE", 60)
    np.testing.assert_array_equal(top_k(scores_UN, 4)[0], expected_UK)


def test_of_a_sparse_matrix_only_what_it_holds_is_ranked(rng):
    scores_UN = np.round(rng.normal(size=(9, 40)), 1)
    is_held_UN = rng.random(scores_UN.shape) < 0.2
    is_held_UN[3] = False
    held_UN = csr_matrix(is_held_UN)
    held_UN = csr_matrix((scores_UN[is_held_UN], held_UN.indices, held_UN.indptr), shape=scores_UN.shape)
    indices_UK, best_UK = top_k_sparse(held_UN, 6)
    expected_indices_UK, expected_UK = naive_top_k(np.where(is_held_UN, scores_UN, -np.inf), 6)
    np.testing.assert_array_equal(indices_UK, expected_indices_UK)
    np.testing.assert_array_equal(best_UK, expected_UK)
    assert top_k_sparse(csr_matrix((2, 5)), 3)[0].tolist() == [[-1] * 3] * 2
    with pytest.raises(ValueError, match="finite"):
        top_k_sparse(csr_matrix([[0.0, np.nan]]), 1)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, 1e30])
def test_a_score_that_cannot_be_ranked_is_refused(wrong):
    with pytest.raises(ValueError, match="finite"):
        top_k(np.array([[0.0, wrong], [1.0, -np.inf]]), 1)


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
@pytest.mark.parametrize(("num_items", "place"), [(40, 3), (43, 3), (43, 42)])
def test_a_score_that_cannot_be_ranked_is_refused_wherever_it_stands_among_many(wrong, num_items, place):
    scores_UN = np.zeros((2, num_items), np.float32)
    scores_UN[1, place] = wrong
    with pytest.raises(ValueError, match="finite"):
        top_k(scores_UN, 1)


def test_a_list_of_nothing_is_refused():
    with pytest.raises(ValueError, match="k is 0"):
        top_k(np.zeros((1, 3)), 0)
