"""The gate errs as seldom as it says: a short form of ``make bench ONLY=judge.error_rates``.

With forty judgements each a share of 5 % varies by 3.4 %, one of 80 % by 6.3 % (one standard deviation): bounds are three of
them away. The seeds are the first ones that were taken.
"""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.judging import INSUFFICIENT, PROMOTED, REFUSED, outcomes
from jobs.judging.bounds import load_bounds
from models.metrics import required_users

NUM_GATES = 40
MARGIN = load_bounds().difference.margin
NEEDED = required_users(0.08, MARGIN)


@pytest.mark.parametrize(
    ("difference", "least", "most"),
    [(-MARGIN, 0.0, 0.05 + 3 * 0.034), (-2 * MARGIN, 0.0, 0.005 + 3 * 0.011), (0.0, 0.8 - 3 * 0.063, 1.0)],
)
def test_challengers_are_promoted_as_often_as_they_may_be(
    difference: float, least: float, most: float
) -> None:
    found = outcomes(difference, NEEDED, NUM_GATES, np.random.default_rng(1))
    assert least <= found[PROMOTED] / NUM_GATES <= most


def test_of_too_few_users_an_equal_challenger_is_hardly_ever_called_worse() -> None:
    found = outcomes(0.0, NEEDED // 3, NUM_GATES, np.random.default_rng(2))
    assert found[INSUFFICIENT] > 0
    assert (
        found[REFUSED] / NUM_GATES <= 0.025 + 3 * 0.025
    )  # its interval lies below nought once in forty times
