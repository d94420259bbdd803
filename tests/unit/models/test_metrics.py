"""Metrics, by hand, on rankings that one can check in one's head."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from models.metrics import (
    accuracy,
    chance_of_no_shortfall,
    coverage,
    diversity,
    exposure,
    gini,
    group_gap,
    hit_rate_at,
    holm,
    ndcg_at,
    novelty,
    paired_bootstrap,
    popularity_lift,
    required_users,
)

LISTS = np.array([[5, 3, 9], [5, 3, 9], [5, 3, 9], [5, -1, -1]])
TARGETS = [{5}, {9}, {3, 7}, {1}]


def test_ndcg_discounts_a_hit_by_the_logarithm_of_its_rank():
    second_of_two = (1 / math.log2(3)) / (1 + 1 / math.log2(3))
    np.testing.assert_allclose(ndcg_at(LISTS, TARGETS, 3), [1.0, 0.5, second_of_two, 0.0])


def of(name):
    """One of the metrics that are told together, by itself."""
    return lambda lists, targets, k: accuracy(lists, targets, [k])[f"{name}_at_{k}"]


recall_at, map_at, mrr_at = of("recall"), of("map"), of("mrr")


def test_ndcg_is_one_when_the_list_begins_with_all_targets():
    assert ndcg_at(LISTS[:1], [{3, 5}], 3).tolist() == [1.0]
    assert ndcg_at(LISTS[:1], [{3, 5, 9, 11, 12}], 3).tolist() == [1.0]


def test_hit_rate_sees_only_the_first_k():
    assert hit_rate_at(LISTS, TARGETS, 3).tolist() == [1, 1, 1, 0]
    assert hit_rate_at(LISTS, TARGETS, 2).tolist() == [1, 0, 1, 0]


def test_recall_is_the_share_of_targets_found():
    assert recall_at(LISTS, [{5}, {9, 1}, {3, 5, 7, 8}, {1}], 3).tolist() == [1.0, 0.5, 0.5, 0.0]


def test_map_averages_precision_at_each_hit():
    # hits at 1 and 3: (1/1 + 2/3) / 2; a hit at 2 of two targets: (1/2) / 2
    np.testing.assert_allclose(map_at(LISTS[:2], [{5, 9}, {3, 7}], 3), [(1 + 2 / 3) / 2, 0.25])


def test_map_is_one_when_every_place_is_a_hit_though_targets_are_left():
    assert map_at(np.array([[5, 3]]), [{5, 3, 9, 1}], 2).tolist() == [1.0]


def test_an_empty_place_is_no_hit_of_another_users_target():
    assert hit_rate_at(np.array([[0], [-1]]), [{3}, {1}], 1).tolist() == [0, 0]


def test_targets_may_be_a_sparse_matrix():
    matrix = csr_matrix((np.ones(5), ([0, 1, 2, 2, 3], [5, 9, 3, 7, 1])), shape=(4, 12))
    for metric in (ndcg_at, hit_rate_at, recall_at, map_at, mrr_at):
        np.testing.assert_array_equal(metric(LISTS, matrix, 3), metric(LISTS, TARGETS, 3))


def test_a_list_shorter_than_k_is_judged_as_if_the_rest_were_empty():
    np.testing.assert_allclose(ndcg_at(LISTS, TARGETS, 10), ndcg_at(LISTS, TARGETS, 3))
    np.testing.assert_allclose(map_at(LISTS, [{5, 1}] * 4, 10), [0.5] * 4)


def test_a_user_without_targets_is_refused():
    with pytest.raises(ValueError, match="user 1 has no target"):
        ndcg_at(LISTS[:2], [{5}, set()], 3)


def test_targets_of_other_users_are_refused():
    with pytest.raises(ValueError, match="pair them"):
        ndcg_at(LISTS, TARGETS[:2], 3)


def test_a_list_that_names_an_item_twice_is_refused():
    with pytest.raises(ValueError, match="twice"):
        ndcg_at(np.array([[5, 5]]), [{5}], 2)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_metrics_stay_between_nothing_and_one(data):
    lists = data.draw(st.lists(st.permutations(range(8)), min_size=1, max_size=4))
    targets = [data.draw(st.sets(st.integers(0, 9), min_size=1)) for _ in lists]
    k = data.draw(st.integers(1, 9))
    for metric in (ndcg_at, hit_rate_at, recall_at, map_at, mrr_at):
        values = metric(np.array(lists), targets, k)
        assert values.shape == (len(lists),)
        assert ((values >= 0) & (values <= 1 + 1e-12)).all()


def test_coverage_counts_items_on_any_list_once():
    assert coverage(LISTS, num_items=12) == 3 / 12


def test_novelty_is_the_mean_surprise_in_bits():
    # with one event added each: shares 4/8, 2/8, 1/8, 1/8
    popularity = np.array([3, 1, 0, 0])
    assert novelty(np.array([[0, 1, -1], [2, 3, 1]]), popularity).tolist() == [1.5, (3 + 3 + 2) / 3]


def test_popularity_lift_compares_lists_with_histories_in_the_mean_of_users():
    popularity = np.array([10, 20, 40])
    lists = np.array([[2, 1], [0, -1], [2, 1]])
    histories = [np.array([0, 1]), np.array([0]), np.array([], dtype=int)]
    # lists (40 + 20) / 2 and 10, histories (10 + 20) / 2 and 10; the third has none and says nothing
    assert popularity_lift(lists, histories, popularity) == pytest.approx(40 / 25 - 1)
    assert popularity_lift(lists, [np.array([], dtype=int)] * 3, popularity) == 0.0
    assert popularity_lift(lists, histories, np.zeros(3)) == 0.0


def test_mrr_is_one_over_the_rank_of_the_first_hit():
    assert mrr_at(LISTS, [{5}, {9, 3}, {9}, {1}], 3).tolist() == [1, 1 / 2, 1 / 3, 0]
    assert mrr_at(LISTS[:1], [{9}], 2).tolist() == [0]


def test_all_metrics_at_once_are_those_at_each_length():
    found = accuracy(LISTS, TARGETS, [1, 3])
    names = ("ndcg", "map", "hit_rate", "recall", "mrr")
    assert set(found) == {f"{name}_at_{k}" for name in names for k in (1, 3)}
    for k in (1, 3):
        np.testing.assert_array_equal(found[f"ndcg_at_{k}"], ndcg_at(LISTS, TARGETS, k))
        np.testing.assert_array_equal(found[f"hit_rate_at_{k}"], hit_rate_at(LISTS, TARGETS, k))
        for name, alone in (("map", map_at), ("recall", recall_at), ("mrr", mrr_at)):
            np.testing.assert_array_equal(found[f"{name}_at_{k}"], alone(LISTS, TARGETS, k))


def test_diversity_is_the_share_of_pairs_that_differ_in_category():
    category = np.array([0, 0, 1, 2, -1])
    lists = np.array([[0, 1, 2], [2, 3, 4], [0, 1, -1], [4, 0, -1]])
    np.testing.assert_allclose(diversity(lists, category), [2 / 3, 1, 0, np.nan])


def test_gini_is_nothing_where_all_are_shown_alike_and_near_one_where_one_is_alone():
    assert gini(np.array([3, 3, 3])) == pytest.approx(0)
    assert gini(np.array([0, 0, 0, 8])) == pytest.approx(3 / 4)
    assert gini(np.zeros(3)) == 0
    assert exposure(np.array([[2, 0], [2, -1]]), 4).tolist() == [1, 0, 2, 0]


def test_groups_lie_as_far_apart_as_their_means_do_beyond_chance(rng):
    groups = np.repeat([0, 1, -1], 100)
    apart = np.concatenate([rng.normal(0, 0.1, 100), rng.normal(1, 0.1, 100), np.full(100, 50.0)])
    assert group_gap(apart, groups, 50, rng) == pytest.approx(1, abs=0.1)
    alike = rng.normal(0, 1, 300)
    assert group_gap(alike, groups, 50, rng) < abs(alike[:100].mean() - alike[100:200].mean())
    assert group_gap(apart, np.zeros(300, int), 50, rng) == 0


def test_a_shortfall_is_as_likely_as_students_t_says():
    difference = np.array([-1.0, 0.0, 1.0])  # mean 0, standard error 1/√3
    assert chance_of_no_shortfall(difference, 0.0) == pytest.approx(0.5)
    # t = -1.7320508 with two degrees of freedom: 1/2 - t / (2 √(2 + t²))
    assert chance_of_no_shortfall(difference, 1.0) == pytest.approx(0.5 - math.sqrt(3 / 5) / 2)
    assert chance_of_no_shortfall(np.full(5, -1.0), 0.0) == 0
    assert chance_of_no_shortfall(np.full(5, -1.0), -1.0) == 1
    assert chance_of_no_shortfall(np.array([-9.0]), 0.0) == 1  # one user says nothing


def test_holm_rejects_the_smallest_first_and_stops_at_the_first_that_stands():
    assert holm([0.04, 0.01, 0.03], 0.05) == [False, True, False]  # 0.01 ≤ 0.05/3; 0.03 > 0.05/2
    assert holm([0.02, 0.01, 0.04], 0.05) == [True, True, True]
    assert holm([], 0.05) == []


def test_bootstrap_is_the_same_number_for_the_same_rng(rng):
    a, b = rng.random(50), rng.random(50)
    once = paired_bootstrap(a, b, 300, np.random.default_rng(4))
    assert once == paired_bootstrap(a, b, 300, np.random.default_rng(4))
    assert once != paired_bootstrap(a, b, 300, np.random.default_rng(5))
    assert once.mean == pytest.approx((a - b).mean())
    assert once.low < once.lower < once.mean < once.high


def test_bootstrap_interval_holds_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(1)
    is_within, is_above = [], []
    for _ in range(150):
        b = rng.random(80)
        interval = paired_bootstrap(b + rng.normal(0.1, 0.2, size=80), b, 200, rng)
        is_within.append(interval.low <= 0.1 <= interval.high)
        is_above.append(interval.lower <= 0.1)
    assert 0.88 <= np.mean(is_within) <= 0.99
    assert 0.88 <= np.mean(is_above) <= 0.99


def test_bootstrap_pairs_users_so_that_what_they_share_is_no_noise(rng):
    easy = rng.normal(0, 100, size=40)
    interval = paired_bootstrap(easy + 1, easy, 200, rng)
    assert interval.high - interval.low < 1e-9


def test_bootstrap_in_chunks_draws_what_it_draws_at_once(rng, monkeypatch):
    a, b = rng.random(30), rng.random(30)
    at_once = paired_bootstrap(a, b, 101, np.random.default_rng(4))
    monkeypatch.setattr("models.metrics._DRAWS_AT_ONCE", 240)  # eight resamples: an even number of draws
    in_chunks = paired_bootstrap(a, b, 101, np.random.default_rng(4))
    assert in_chunks.low == pytest.approx(at_once.low)
    assert in_chunks.lower == pytest.approx(at_once.lower)


@pytest.mark.parametrize(("a", "b"), [([1.0], [1.0, 2.0]), ([], []), ([np.nan], [0.0])])
def test_bootstrap_refuses_what_cannot_be_paired(a, b, rng):
    with pytest.raises(ValueError, match=r"shapes|not finite"):
        paired_bootstrap(np.array(a), np.array(b), 10, rng)


def test_required_users_grow_with_the_square_of_noise_over_difference():
    assert required_users(sd=1.0, delta=2.4865) == 1
    assert required_users(sd=0.3, delta=0.01) == math.ceil(2.48648**2 * 900)


def test_who_may_miss_the_difference_more_often_needs_fewer_users():
    assert required_users(sd=0.3, delta=0.01, power=0.5) == math.ceil(1.64485**2 * 900)


def test_a_difference_of_nothing_needs_users_without_end():
    with pytest.raises(ValueError, match="infinitely many"):
        required_users(0.3, 0.0)
