"""The gate errs as seldom as it says: a short form of ``make bench ONLY=judge``.

With forty judgements each a share of 5 % varies by 3.4 %, one of 80 % by 6.3 % (one standard deviation): bounds are three of
them away. The seeds are the first ones that were taken.
"""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.judging import INSUFFICIENT, PROMOTED, outcomes
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


@pytest.mark.parametrize(("difference", "least"), [(0.0, 0.96 - 3 * 0.031), (-MARGIN, 0.95 - 3 * 0.034)])
def test_of_a_third_of_the_users_it_is_hardly_ever_told_anything(difference: float, least: float) -> None:
    found = outcomes(difference, NEEDED // 3, NUM_GATES, np.random.default_rng(2))
    assert found[INSUFFICIENT] / NUM_GATES >= least
    assert found[PROMOTED] <= 3
