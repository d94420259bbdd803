"""A challenger is promoted, refused, or there is too little to tell: always with a reason."""

from __future__ import annotations

import numpy as np
import pytest

from jobs.judge import judge


def per_user(mean: float, num_users: int, seed: int, spread: float = 0.1) -> np.ndarray:
    return np.random.default_rng(seed).normal(mean, spread, num_users)


def verdict(ndcg: dict[str, np.ndarray], min_users: int = 100):
    return judge(ndcg, margin=0.05, min_users=min_users, rng=np.random.default_rng(0))


def test_a_first_model_above_popularity_is_promoted() -> None:
    answer = verdict({"challenger": per_user(0.30, 500, 1), "popularity": per_user(0.20, 500, 2)})
    assert answer.is_promoted
    assert "above recent popularity" in answer.reasons[0]


def test_a_first_model_that_only_equals_popularity_is_refused() -> None:
    answer = verdict({"challenger": per_user(0.20, 500, 1), "popularity": per_user(0.20, 500, 2)})
    assert not answer.is_promoted
    assert "not surely above" in answer.reasons[0]


def test_too_few_users_leave_the_champion() -> None:
    answer = verdict({"challenger": per_user(0.9, 99, 1), "popularity": per_user(0.1, 99, 2)})
    assert not answer.is_promoted
    assert answer.reasons == (
        "insufficient data: 99 users with outcomes, 100 are needed (promote_min_users)",
    )


def with_champion(delta: float, num_users: int = 4000, popularity: float = 0.1) -> dict[str, np.ndarray]:
    champion = per_user(0.30, num_users, 1)
    return {
        "challenger": champion + per_user(delta, num_users, 2),
        "champion": champion,
        "popularity": per_user(popularity, num_users, 3),
    }


def test_a_better_challenger_is_promoted() -> None:
    answer = verdict(with_champion(+0.02))
    assert answer.is_promoted
    assert "better" in answer.reasons[0]


def test_an_equal_challenger_is_not_inferior() -> None:
    answer = verdict(with_champion(0.0))
    assert answer.is_promoted
    assert "not inferior" in answer.reasons[0]


def test_a_challenger_that_loses_more_than_the_margin_is_refused() -> None:
    answer = verdict(with_champion(-0.03))
    assert not answer.is_promoted
    assert "worse than allowed" in answer.reasons[0]


def test_a_challenger_below_popularity_is_refused_even_if_it_beats_the_champion() -> None:
    answer = verdict(with_champion(+0.02, popularity=0.6))
    assert not answer.is_promoted
    assert "surely worse than popularity" in answer.reasons[1]


def test_an_undecided_difference_of_few_users_is_insufficient_data() -> None:
    answer = verdict(with_champion(-0.01, num_users=120))
    assert not answer.is_promoted
    assert answer.reasons[0].startswith("insufficient data")


@pytest.mark.parametrize("seed", range(3))
def test_the_same_seed_gives_the_same_verdict(seed: int) -> None:
    ndcg = with_champion(0.0)
    one, two = (judge(ndcg, margin=0.05, min_users=100, rng=np.random.default_rng(seed)) for _ in range(2))
    assert one == two


@pytest.mark.parametrize(("delta", "is_promoted"), [(-0.003, True), (-0.02, False)])
def test_of_a_small_mean_a_hundredth_may_be_lost(delta: float, is_promoted: bool) -> None:
    champion = per_user(0.10, 4000, 1)  # five percent of it would be 0.005
    others = {"champion": champion, "popularity": per_user(0.05, 4000, 3)}
    answer = verdict({"challenger": champion + per_user(delta, 4000, 2), **others})
    assert answer.is_promoted is is_promoted
    assert "(floor -0.0100)" in answer.reasons[0]
