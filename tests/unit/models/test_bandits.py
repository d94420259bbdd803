"""Policies say how probable each arm is; what is drawn has to be just so probable."""

from __future__ import annotations

import numpy as np
import pytest

from models.bandits import choose, epsilon_greedy, thompson

_DRAWS = 100_000
#: Five standard errors of a share of so many draws.
_WITHIN = 5 * 0.5 / np.sqrt(_DRAWS)


def shares(probabilities: list[float], is_allowed: list[bool]) -> np.ndarray:
    uniforms = np.random.default_rng(7).random(_DRAWS)
    arms = [choose(probabilities, is_allowed, uniform)[0] for uniform in uniforms.tolist()]
    return np.bincount(arms, minlength=len(probabilities)) / _DRAWS


def test_epsilon_greedy_takes_the_first_but_for_a_share_that_all_have_alike() -> None:
    np.testing.assert_allclose(epsilon_greedy(4, 0.2), [0.85, 0.05, 0.05, 0.05])
    np.testing.assert_allclose(epsilon_greedy(3, 0), [1, 0, 0])


@pytest.mark.parametrize(
    ("successes", "trials"),
    [
        ([3, 0, 1], [100, 0, 20]),
        ([50_000, 50_300, 2], [1_000_000, 1_000_000, 3]),  # narrow beside wide
        ([0, 0, 0, 0, 0], [0, 0, 0, 0, 0]),
        ([9], [10]),
    ],
)
def test_thompson_gives_the_shares_of_drawing_from_the_posteriors(
    successes: list[int], trials: list[int]
) -> None:
    prior = (0.6, 11.4)
    found = thompson(np.array(successes), np.array(trials), prior=prior)
    draws = np.random.default_rng(3).beta(
        prior[0] + np.array(successes),
        prior[1] + np.array(trials) - np.array(successes),
        (_DRAWS, len(trials)),
    )
    drawn = np.bincount(draws.argmax(axis=1), minlength=len(trials)) / _DRAWS
    np.testing.assert_allclose(found, drawn, atol=_WITHIN)
    assert found.sum() == pytest.approx(1)


def test_what_is_drawn_is_as_probable_as_is_said() -> None:
    probabilities = thompson(np.array([8, 0, 1, 0]), np.array([100, 2, 9, 0]), prior=(1.0, 9.0)).tolist()
    for is_allowed in ([True] * 4, [True, False, True, True], [False, False, True, False]):
        found = shares(probabilities, is_allowed)
        total = sum(each for each, allowed in zip(probabilities, is_allowed, strict=True) if allowed)
        expected = [
            each / total if allowed else 0 for each, allowed in zip(probabilities, is_allowed, strict=True)
        ]
        np.testing.assert_allclose(found, expected, atol=_WITHIN)


@pytest.mark.parametrize("is_allowed", [[True, True, True], [True, False, True], [False, True, False]])
def test_the_propensities_that_are_told_of_one_place_sum_to_one(is_allowed: list[bool]) -> None:
    probabilities = [0.7, 0.25, 0.05]
    told = {choose(probabilities, is_allowed, uniform) for uniform in np.linspace(0, 1, 1000, endpoint=False)}
    assert {arm for arm, _ in told} == {arm for arm, allowed in enumerate(is_allowed) if allowed}
    assert sum(propensity for _, propensity in told) == pytest.approx(1)


def test_a_draw_at_the_very_end_falls_on_an_arm_that_can_be_drawn() -> None:
    assert choose([0.1] * 10 + [0.0], [True] * 11, np.nextafter(1, 0)) == (9, pytest.approx(0.1))


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: epsilon_greedy(0, 0.1),
        lambda: epsilon_greedy(2, 1.1),
        lambda: thompson(np.array([]), np.array([]), prior=(1, 1)),
        lambda: thompson(np.array([2]), np.array([1]), prior=(1, 1)),
        lambda: thompson(np.array([1]), np.array([1]), prior=(0, 1)),
        lambda: choose([1.0, 0.0], [False, True], 0.3),
    ],
)
def test_what_no_policy_can_be_made_of_is_refused(wrong: object) -> None:
    with pytest.raises(ValueError, match=r"arms?"):
        wrong()  # type: ignore[operator]
