"""The year of a shop: a smooth peak in November, weekdays, and appetites that come and go a little."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest

from simulator.config import ShopConfig
from simulator.seasons import appetites, visits_lift

START = date(2026, 1, 5)
CONFIG = ShopConfig(seed=3, start=START)


def weekly(day: date) -> float:
    """The lift of a week, in which weekdays do not show."""
    return float(np.mean([visits_lift(CONFIG, day + timedelta(days=offset)) for offset in range(7)]))


def test_visits_rise_and_fall_smoothly_with_their_peak_in_november_every_year() -> None:
    days = [START + timedelta(days=offset) for offset in range(3 * 365)]
    lifts = np.array([weekly(day) for day in days])
    assert [
        days[year * 365 + int(np.argmax(lifts[year * 365 : (year + 1) * 365]))].month for year in range(3)
    ] == [11] * 3
    assert np.abs(np.diff(np.log(lifts))).max() < 0.04
    assert lifts[:365] == pytest.approx(lifts[365:730], rel=0.03)


def test_weekdays_differ() -> None:
    week = [visits_lift(CONFIG, date(2026, 6, 1) + timedelta(days=offset)) for offset in range(7)]
    assert week == pytest.approx([1.0, 0.97, 0.96, 0.98, 1.0, 1.06, 1.03], rel=0.01)


def test_appetites_swing_mildly_and_slowly_around_what_they_are() -> None:
    year = np.stack([appetites(CONFIG, START + timedelta(days=offset), 12) for offset in range(365)])
    assert year.mean(axis=0) == pytest.approx(np.ones(12), abs=0.01)
    assert year.max(axis=0) == pytest.approx(np.full(12, 1.2), abs=0.01)
    assert np.abs(np.diff(year, axis=0)).max() < 0.005
    assert len(set(year.argmax(axis=0).tolist())) > 6
