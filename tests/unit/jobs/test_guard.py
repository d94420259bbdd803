"""When what follows a new champion's lists has fallen so far that the former one takes over."""

from __future__ import annotations

from dataclasses import replace

from jobs.guard import Following, why_fallen
from jobs.monitoring.busyness import Busyness
from jobs.monitoring.thresholds import load_thresholds

THRESHOLDS = load_thresholds()
BEFORE = Following(70_000, 7_000, 7_000.0, Busyness(5.0, 0.1), (0.10,) * 7)
FALLEN = Following(20_000, 1_000, 1_000.0, Busyness(5.0, 0.1), (0.05, 0.05))


def test_a_fall_beyond_bound_and_chance_is_told_with_its_figures() -> None:
    reason = why_fallen(BEFORE, FALLEN, THRESHOLDS)
    assert reason == (
        "clicks on its lists fell from 10.00% to 5.00% of what was shown, by 50% ± 2% (bound 30%)"
    )


def test_a_fall_within_the_bound_is_none() -> None:
    assert why_fallen(BEFORE, replace(FALLEN, num_clicked=1_600, rates=(0.08, 0.08)), THRESHOLDS) == ""


def test_a_fall_that_chance_could_give_is_none() -> None:
    assert why_fallen(BEFORE, replace(FALLEN, square=1e7), THRESHOLDS) == ""


def test_one_bad_day_is_no_fall() -> None:
    assert why_fallen(BEFORE, replace(FALLEN, rates=(0.02, 0.09)), THRESHOLDS) == ""
    assert why_fallen(BEFORE, replace(FALLEN, rates=(0.05,)), THRESHOLDS) == ""


def test_a_broken_tracker_demotes_nobody() -> None:
    # Every other event lost leaves 2.78 events each, as one in ten drops out: half of the way there is 3.89.
    for events, is_told in ((3.9, True), (3.8, False)):
        now = replace(FALLEN, busyness=Busyness(events, 0.1))
        assert bool(why_fallen(BEFORE, now, THRESHOLDS)) is is_told


def test_too_few_impressions_say_nothing() -> None:
    assert why_fallen(BEFORE, replace(FALLEN, num_shown=400, num_clicked=20), THRESHOLDS) == ""
