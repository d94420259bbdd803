"""Ratios of a day: what stands over what, and how sure it is."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from jobs.monitoring.ratios import Sums, difference, mean, share, wilson


def sums_of(x: npt.ArrayLike, y: npt.ArrayLike) -> Sums:
    x, y = np.asarray(x, dtype=np.int64), np.asarray(y, dtype=np.int64)
    return Sums(len(x), int(x.sum()), int(y.sum()), int(x @ x), int(x @ y), int(y @ y))


def test_a_share_of_independent_rows_has_wilsons_interval() -> None:
    low, high = wilson(0.1, 100)
    assert (low, high) == pytest.approx((0.0552, 0.1744), abs=1e-4)  # Newcombe 1998, method 3
    found = share(sums_of(np.ones(100), [1] * 10 + [0] * 90))
    assert found.value == 0.1
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-3)


def test_the_interval_widens_where_one_persons_rows_resemble_each_other() -> None:
    alone = share(sums_of(np.ones(400), [1] * 100 + [0] * 300))
    alike = share(sums_of(np.full(40, 10), [10] * 10 + [0] * 30))
    assert (alone.numerator, alone.n) == (alike.numerator, alike.n) == (100, 400)
    assert alike.high - alike.low > 2.5 * (alone.high - alone.low)  # type: ignore[operator]


def test_a_share_of_nothing_has_no_value_and_one_of_nobody_stops_at_zero() -> None:
    assert share(Sums()).as_record() == {"numerator": 0, "n": 0, "value": None, "low": None, "high": None}
    found = share(sums_of(np.ones(50), np.zeros(50)))
    assert (found.value, found.low) == (0.0, 0.0)
    assert found.high == pytest.approx(0.0714, abs=1e-3)


def test_the_interval_of_a_mean_holds_the_truth_19_times_in_20() -> None:
    rng = np.random.default_rng(5)
    held = 0
    for _ in range(400):
        sessions = 1 + rng.poisson(1.0, 300)
        cents = (
            rng.poisson(5.0, 300) * 100 * sessions * rng.integers(0, 3, 300)
        )  # a person's sessions are alike
        found = mean(sums_of(sessions, cents))
        held += found.low <= 500 <= found.high  # type: ignore[operator]
    assert held / 400 == pytest.approx(0.95, abs=0.03)


def test_a_mean_of_one_person_has_no_interval() -> None:
    found = mean(sums_of([2], [500]))
    assert (found.value, found.low, found.high) == (250.0, None, None)


def test_a_difference_is_sure_only_where_both_sides_are() -> None:
    few, many = sums_of(np.ones(20), [1] * 4 + [0] * 16), sums_of(np.ones(2000), [1] * 800 + [0] * 1200)
    change, low, high = difference(few, many)  # type: ignore[misc]
    assert change == pytest.approx(0.2)
    assert low < 0.1 < 0.3 < high
    assert difference(Sums(), many) is None
