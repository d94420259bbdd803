"""Which arm of several to show, by a distribution that is known before anything is drawn.

An arm is something that may stand in one place: the item that a ranking puts there, or one that has hardly been shown. A
policy says how probable each arm is; :func:`choose` draws one and says with what probability it did. That probability, and no
estimate of it, is what outcomes are weighted by later on.

A arms · G points of a grid
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

#: Quantiles of each arm that the grid of :func:`thompson` is made of: beyond these nothing changes in the fourth decimal.
_QUANTILES = np.linspace(0, 1, 201)


def epsilon_greedy(num_arms: int, epsilon: float) -> FloatArray:
    """The first of some arms, but in a share ``epsilon`` of all draws any of them alike (Sutton and Barto, 2018, 2.2).

    Returns:
        probabilities_A, which sum to 1.

    Raises:
        ValueError: there is no arm, or epsilon is no share.
    """
    if num_arms < 1 or not 0 <= epsilon <= 1:
        raise ValueError(
            f"{num_arms} arms and epsilon {epsilon}: give one arm at least, and a share of 0 to 1"
        )
    probabilities_A = np.full(num_arms, epsilon / num_arms)
    probabilities_A[0] += 1 - epsilon
    return probabilities_A


def thompson(
    successes_A: npt.NDArray[Any], trials_A: npt.NDArray[Any], *, prior: tuple[float, float]
) -> FloatArray:
    """How probable it is that an arm's rate, drawn from its posterior, is the greatest (Thompson, 1933).

    Each rate has the posterior Beta(a + successes, b + trials - successes). The probability of arm i is the integral of the
    product of all other arms' distribution functions over its own, taken over the quantiles of all arms together, so that the
    narrowest posterior is resolved as well as the widest.

    Args:
        prior: a and b of every arm.

    Returns:
        probabilities_A, which sum to 1.

    Raises:
        ValueError: there is no arm, a count is not possible, or the prior is not above zero.
    """
    from scipy.special import betainc, betaincinv  # who only draws needs none of it

    successes_A, trials_A = np.asarray(successes_A, np.float64), np.asarray(trials_A, np.float64)
    if not len(successes_A) or (successes_A < 0).any() or (trials_A < successes_A).any() or min(prior) <= 0:
        raise ValueError(
            f"{successes_A.tolist()} successes in {trials_A.tolist()} trials with the prior {prior}: give one arm at least, no "
            "more successes than trials, and a prior above zero"
        )
    a_A, b_A = prior[0] + successes_A, prior[1] + trials_A - successes_A
    grid_G = np.unique(betaincinv(a_A[:, None], b_A[:, None], _QUANTILES))
    below_AG = betainc(a_A[:, None], b_A[:, None], grid_G)
    with np.errstate(divide="ignore", invalid="ignore"):
        log_AG = np.log(below_AG)
        others_AG = np.exp(log_AG.sum(axis=0) - log_AG)
    others_AG[~np.isfinite(others_AG)] = 0.0  # where another arm's rate cannot be so low
    middle_AG = (others_AG[:, 1:] + others_AG[:, :-1]) / 2
    mass_A = (middle_AG * np.diff(below_AG, axis=1)).sum(axis=1) if len(grid_G) > 1 else np.ones(len(a_A))
    return np.asarray(mass_A / mass_A.sum(), np.float64)


def choose(probabilities: Sequence[float], is_allowed: Sequence[bool], uniform: float) -> tuple[int, float]:
    """The arm that a draw falls on, and the probability with which it does.

    What is not allowed is left out and the others share its probability, each in proportion to its own.

    Args:
        uniform: the draw, from [0, 1).

    Raises:
        ValueError: no arm that is allowed has a probability above zero.
    """
    total = sum(each for each, allowed in zip(probabilities, is_allowed, strict=True) if allowed)
    if total <= 0:
        raise ValueError("no arm that is allowed can be drawn: let the ranking's own item be one of them")
    rest, last = uniform * total, -1
    for arm, (each, allowed) in enumerate(zip(probabilities, is_allowed, strict=True)):
        if allowed and each > 0:
            last = arm
            if rest < each:
                break
            rest -= each
    return last, probabilities[last] / total
