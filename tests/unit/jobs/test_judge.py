"""A challenger is promoted, refused, or there is too little to tell: always with a reason."""

from __future__ import annotations

import json
from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest

from jobs.judge import as_record, judge
from jobs.judging.bounds import load_bounds
from jobs.judging.evidence import ITEMS, PEOPLE, Evaluation, Facts, Slice

DAY = date(2011, 3, 1)
FACTS = Facts(
    day=DAY,
    last_event=DAY,
    trained_to=DAY - timedelta(days=7),
    judged_from=DAY - timedelta(days=6),
    num_bytes=1000,
    num_unconsented=0,
)
METRICS = {"popularity_lift_at_10": 1.0, "coverage_at_10": 0.4}


def per_user(mean: float, num_users: int, seed: int, spread: float = 0.1) -> np.ndarray:
    return np.random.default_rng(seed).normal(mean, spread, num_users)


def evaluation(ndcg: dict[str, np.ndarray], **known: Any) -> Evaluation:
    return Evaluation(ndcg, **{"metrics": dict.fromkeys(ndcg, METRICS), **known})


def verdict(ndcg: dict[str, np.ndarray], min_users: int = 100, facts: Facts = FACTS, **known: Any):
    found = evaluation(ndcg, **known)
    return judge(found, facts, load_bounds(), min_users=min_users, rng=np.random.default_rng(0))


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


def of_spread(mean: float, sd: float, num_users: int) -> dict[str, np.ndarray]:
    """A challenger whose differences from the champion have exactly this mean and spread."""
    noise = per_user(0.0, num_users, 2)
    noise = (noise - noise.mean()) / noise.std() * sd
    champion = per_user(0.3, num_users, 1)
    return {
        "challenger": champion + mean + noise,
        "champion": champion,
        "popularity": per_user(0.1, num_users, 3),
    }


@pytest.mark.parametrize(
    ("mean", "num_users", "is_promoted", "said"),
    [
        (0.005, 280, True, "not inferior"),  # as many as are asked for
        (0.005, 270, False, "insufficient data"),  # though its lower bound lies above the floor
        (0.0, 90, False, "insufficient data"),
        (-0.02, 90, False, "insufficient data"),  # its interval holds the floor
        (0.02, 90, True, "better"),  # two-sided
        (0.015, 90, False, "insufficient data"),  # better on one side only
        (-0.03, 90, False, "worse than allowed"),
    ],
)
def test_with_fewer_users_than_the_margin_needs_only_what_needs_no_margin_is_told(
    mean: float, num_users: int, is_promoted: bool, said: str
) -> None:
    """Differences that spread by 0.08 need 279 users to be told from a loss of 0.01 in two judgements of three."""
    answer = verdict(of_spread(mean, 0.08, num_users), min_users=10)
    assert answer.is_promoted is is_promoted
    assert said in answer.reasons[0]
    assert ("insufficient data" in answer.reasons[0]) is (said == "insufficient data")
    assert f"{num_users} users, the margin needs 279" in answer.reasons[0]
    assert ("FORETASTE_JUDGE_USERS" in answer.reasons[0]) is (said == "insufficient data")


@pytest.mark.parametrize("seed", range(3))
def test_the_same_seed_gives_the_same_verdict(seed: int) -> None:
    ndcg = with_champion(0.0)
    one, two = (
        judge(evaluation(ndcg), FACTS, load_bounds(), min_users=100, rng=np.random.default_rng(seed))
        for _ in range(2)
    )
    assert one == two


@pytest.mark.parametrize("mean", [0.1, 0.5])
@pytest.mark.parametrize(("delta", "is_promoted"), [(-0.003, True), (-0.02, False)])
def test_a_hundredth_may_be_lost_whatever_the_champion_reaches(
    mean: float, delta: float, is_promoted: bool
) -> None:
    champion = per_user(mean, 4000, 1)
    others = {"champion": champion, "popularity": per_user(mean / 2, 4000, 3)}
    answer = verdict({"challenger": champion + per_user(delta, 4000, 2), **others})
    assert answer.is_promoted is is_promoted
    assert "(floor -0.0100)" in answer.reasons[0]


def test_every_check_is_told_with_its_figures_passed_or_not() -> None:
    ndcg = with_champion(0.0)
    people = {name: values[:200] for name, values in ndcg.items()}
    record = as_record(
        verdict(
            ndcg,
            slices=(Slice(PEOPLE, "new users", people),),
            tail_share=dict.fromkeys(("challenger", "champion"), np.tile([0.2, 0.4], 2000)),
            groups={"country": np.tile([0, 0, 1, 1], 1000)},
            users_per_second={"challenger": 900.0, "champion": 800.0},
            twin=0.5,
            popular_share=0.4,
        )
    )
    json.dumps(record)
    assert [check["name"] for check in record["checks"]] == [
        "champion", "popularity", "users", "scores", "plausible", "slice new users", "personal", "popularity lift",
        "coverage", "exposure by country", "speed", "registered", "leak", "consent", "staleness", "size",
    ]  # fmt: skip
    assert all(check["has_passed"] and check["told"] for check in record["checks"])
    assert record["slices"][0]["num_users"] == 200
    assert set(record["slices"][0]["difference"]) == {"mean", "low", "high", "lower"}


def sliced(*shortfalls: float, num_users: int = 400, kind: str = PEOPLE) -> tuple[Slice, ...]:
    champion = per_user(0.3, num_users, 11)
    return tuple(
        Slice(
            kind,
            f"slice {number}",
            {"challenger": champion + per_user(shortfall, num_users, 20 + number), "champion": champion},
        )
        for number, shortfall in enumerate(shortfalls)
    )


def test_a_slice_that_surely_falls_below_its_floor_refuses_a_challenger_that_is_better_for_all() -> None:
    answer = verdict(with_champion(+0.02), slices=sliced(0.0, -0.08))
    assert not answer.is_promoted
    assert answer.reasons[0].endswith("better")
    assert "slice 1: ndcg@10" in answer.reasons[1]
    assert answer.reasons[1].endswith("surely below it")
    assert len(answer.reasons) == 2


def test_a_slice_of_items_may_lose_some_to_those_that_people_turn_to_but_not_most() -> None:
    assert verdict(with_champion(+0.02), slices=sliced(-0.12, kind=ITEMS)).is_promoted
    answer = verdict(with_champion(+0.02), slices=sliced(-0.18, kind=ITEMS))
    assert not answer.is_promoted
    assert "(floor -0.15" in answer.reasons[1]


def test_many_slices_are_corrected_for_being_many() -> None:
    # The lowest of twenty lies where one alone would be called surely below its floor, at 95 %.
    low = -0.02 - 1.9 * 0.1 / 20
    spread = per_user(0.0, 400, 5)
    champion = per_user(0.3, 400, 11)
    slices = [
        Slice(
            PEOPLE,
            f"{number}",
            {"challenger": champion + shift + spread - spread.mean(), "champion": champion},
        )
        for number, shift in enumerate([low, *[0.0] * 19])
    ]
    assert not verdict(with_champion(0.0), slices=tuple(slices[:1])).is_promoted
    assert verdict(with_champion(0.0), slices=tuple(slices)).is_promoted


def test_a_slice_of_few_people_is_not_told_of() -> None:
    answer = verdict(with_champion(0.0), slices=sliced(-0.5, num_users=49))
    assert answer.is_promoted
    assert answer.slices == ()


def test_without_a_champion_slices_are_shown_beside_popularity_and_judge_nobody() -> None:
    ndcg = {"challenger": per_user(0.30, 500, 1), "popularity": per_user(0.20, 500, 2)}
    part = Slice(
        PEOPLE, "new users", {name: values[:100] - (name == "challenger") for name, values in ndcg.items()}
    )
    answer = verdict(ndcg, slices=(part,))
    assert answer.is_promoted
    assert (answer.slices[0].other, answer.slices[0].is_below_floor) == ("popularity", None)


def test_where_the_champions_lists_are_of_yesterdays_hits_what_people_then_took_is_the_measure() -> None:
    ndcg = {name: per_user(0.3, 500, 1) for name in ("challenger", "champion")}
    ndcg["popularity"] = per_user(0.1, 500, 2)
    metrics = dict.fromkeys(ndcg, METRICS)
    metrics |= {
        "champion": METRICS | {"popularity_lift_at_10": 0.2},
        "popularity": METRICS | {"popularity_lift_at_10": 2.0},
    }
    assert verdict(
        ndcg, metrics=metrics, taken_lift=0.1
    ).is_promoted  # from 1.1 to 3.0, 2.0 is 47 % of the way
    refused = verdict(ndcg, metrics=metrics, taken_lift=-0.1)
    assert not refused.is_promoted
    assert (
        "what people then took is 0.90 times, recent popularity 3.00: 52% of the way" in refused.reasons[-1]
    )
    nobody_likes_hits = metrics | {"popularity": METRICS | {"popularity_lift_at_10": -0.5}}
    assert not verdict(ndcg, metrics=nobody_likes_hits, taken_lift=0.1).is_promoted
