"""Every bound of expectations/promotion.toml decides something: each has a test that turns on it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from importlib.resources import files
from typing import Any

import numpy as np
import pytest

from contracts.errors import SettingInvalid
from jobs.judge import judge
from jobs.judging.bounds import Bounds, load_bounds, parse_bounds
from jobs.judging.evidence import ITEMS, PEOPLE, Evaluation, Facts, Slice

DAY = date(2011, 3, 1)
NUM_USERS = 200
#: Ten thousand people would differ by less: differences are what they are said to be.
NOISE = np.random.default_rng(3).normal(0, 0.01, NUM_USERS)
NOISE -= NOISE.mean()


def bounds_with(path: str, value: float) -> Bounds:
    section, name = path.split(".")
    bounds = load_bounds()
    return bounds.model_copy(update={section: getattr(bounds, section).model_copy(update={name: value})})


def is_promoted(bounds: Bounds, *, first: bool = False, **told: Any) -> bool:
    """The verdict on a challenger that is as good as the champion, but for what is told."""
    champion = np.full(NUM_USERS, 0.3)
    ndcg = {"challenger": champion + NOISE, "champion": champion, "popularity": champion - 0.2}
    ndcg |= told.pop("ndcg", {})
    if first:
        del ndcg["champion"]
    facts = {
        "day": DAY, "last_event": DAY, "trained_to": DAY - timedelta(days=7), "judged_from": DAY, "num_bytes": 1000,
        "num_unconsented": 0,
    }  # fmt: skip
    found = Facts(**facts | {name: told.pop(name) for name in facts if name in told})
    figures = {"popularity_lift_at_10": 1.0, "coverage_at_10": 0.4}
    metrics = dict.fromkeys(ndcg, figures) | told.pop("metrics", {})
    return judge(
        Evaluation(ndcg, metrics, **told), found, bounds, min_users=10, rng=np.random.default_rng(0)
    ).is_promoted


def turn_margin(bounds: Bounds) -> bool:
    return is_promoted(bounds, ndcg={"challenger": np.full(NUM_USERS, 0.28) + NOISE})


def turn_power(bounds: Bounds) -> bool:
    return is_promoted(bounds, ndcg={"challenger": np.full(NUM_USERS, 0.305) + NOISE / NOISE.std() * 0.075})


def turn_gain(bounds: Bounds) -> bool:
    return is_promoted(bounds, ndcg={"challenger": np.full(NUM_USERS, 0.9) + NOISE})


def part(loss: float, num_users: int = 60, spread: float = 1.0, kind: str = PEOPLE) -> tuple[Slice, ...]:
    champion = np.full(num_users, 0.3)
    noise = (NOISE[:num_users] - NOISE[:num_users].mean()) * spread
    return (Slice(kind, "new", {"challenger": champion - loss + noise, "champion": champion}),)


def turn_groups(bounds: Bounds, **more: Any) -> bool:
    apart = np.tile([0.1, 0.4], NUM_USERS // 2)
    shares = {"challenger": apart, "champion": np.full(NUM_USERS, 0.2)}
    return is_promoted(bounds, tail_share=shares, groups={"age": np.arange(NUM_USERS) % 2}, **more)


def with_metric(name: str, value: float) -> Callable[[Bounds], bool]:
    figures = {"popularity_lift_at_10": 1.0, "coverage_at_10": 0.4, name: value}
    return lambda bounds: is_promoted(bounds, metrics={"challenger": figures})


def with_speed(challenger: float) -> Callable[[Bounds], bool]:
    speeds = {"challenger": challenger, "champion": 1000.0}
    return lambda bounds: is_promoted(bounds, users_per_second=speeds)


def lifted_towards_popular(bounds: Bounds) -> bool:
    lifts = {"challenger": 3.0, "champion": 0.0, "popularity": 4.0}
    metrics = {name: {"popularity_lift_at_10": lift, "coverage_at_10": 0.4} for name, lift in lifts.items()}
    return is_promoted(bounds, metrics=metrics, taken_lift=0.0)


#: Of each bound: a challenger that it refuses, and what it would have to be to let it pass.
TURNS: dict[str, tuple[float, Callable[[Bounds], bool]]] = {
    "difference.margin": (0.05, turn_margin),
    "difference.power": (0.5, turn_power),
    "difference.max_gain": (0.7, turn_gain),
    "slices.floor": (0.1, lambda bounds: is_promoted(bounds, slices=part(0.05))),
    "slices.min_kept_of_items": (0.3, lambda bounds: is_promoted(bounds, slices=part(0.18, kind=ITEMS))),
    "slices.level": (1e-9, lambda bounds: is_promoted(bounds, slices=part(0.0225, spread=0.5))),
    "slices.min_users": (100, lambda bounds: is_promoted(bounds, slices=part(0.05))),
    "popularity.max_lift_risen": (3.0, with_metric("popularity_lift_at_10", 4.0)),
    "popularity.max_towards_popular": (1.0, lifted_towards_popular),
    "popularity.max_popular_share": (1.0, lambda bounds: is_promoted(bounds, popular_share=0.95)),
    "coverage.min_kept": (0.1, with_metric("coverage_at_10", 0.1)),
    "exposure.max_gap_risen": (0.4, turn_groups),
    "exposure.max_gap": (0.4, lambda bounds: turn_groups(bounds, first=True)),
    "speed.max_slowdown": (20.0, with_speed(100.0)),
    "speed.enough_users_per_second": (90.0, with_speed(100.0)),
    "size.max_megabytes": (3000, lambda bounds: is_promoted(bounds, num_bytes=2_000_000_000)),
    "data.max_age_days": (30, lambda bounds: is_promoted(bounds, last_event=DAY - timedelta(days=20))),
    "registered.min_share_of_twin": (0.1, lambda bounds: is_promoted(bounds, twin=0.1)),
}  # fmt: skip


def all_bounds() -> list[str]:
    return [f"{section}.{name}" for section, values in load_bounds() for name, _ in values]


def test_a_challenger_that_is_as_good_as_the_champion_passes_them_all() -> None:
    assert is_promoted(load_bounds())
    assert is_promoted(load_bounds(), first=True)


@pytest.mark.parametrize("path", all_bounds())
def test_every_bound_turns_a_verdict(path: str) -> None:
    value, is_let_through = TURNS[path]
    assert not is_let_through(load_bounds())
    assert is_let_through(bounds_with(path, value))


def test_a_bound_that_is_misspelt_missing_or_out_of_range_is_named() -> None:
    text = files("expectations").joinpath("promotion.toml").read_text(encoding="utf-8")
    for wrong in (
        text.replace("margin =", "margins ="),
        text.replace("margin = 0.01", ""),
        text.replace("margin = 0.01", "margin = 0"),
        text.replace("min_users = 50", "min_users = 3"),
    ):
        with pytest.raises(SettingInvalid, match=r"(?s)promotion.toml.*(margin|min_users)"):
            parse_bounds(wrong)
