"""Divergences, their noise, tastes and windows: numbers one can check by hand."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from jobs.monitoring.divergence import js_bits, share_noise, wasserstein, wasserstein_noise
from jobs.monitoring.panel import sample_rows
from jobs.monitoring.tastes import leads, taste_lost
from jobs.monitoring.windows import Span, choose_windows

FIRST = date(2011, 1, 1)


def day_number(number: int) -> date:
    return FIRST + timedelta(days=number - 1)


def test_equal_shares_diverge_by_nothing_whatever_their_volume() -> None:
    assert js_bits(np.array([1, 2, 3]), np.array([10, 20, 30])) == pytest.approx(0)


def test_shares_with_nothing_in_common_diverge_by_one_bit() -> None:
    assert js_bits(np.array([5, 0]), np.array([0, 7])) == pytest.approx(1)


def test_divergence_is_that_of_a_case_worked_by_hand() -> None:
    # p = (1/2, 1/2), q = (1, 0), m = (3/4, 1/4): H(m) - H(p)/2 - H(q)/2 = 0.8113 - 0.5 - 0
    assert js_bits(np.array([1, 1]), np.array([4, 0])) == pytest.approx(0.8112781 - 0.5)


def test_a_quarter_of_events_moving_between_ten_categories_is_five_hundredths_of_a_bit() -> None:
    before, after = np.full(10, 100), np.array([50] * 5 + [150] * 5)
    assert js_bits(before, after) == pytest.approx(0.05, abs=0.002)


def test_wasserstein_is_the_shift_in_standard_deviations() -> None:
    reference = np.array([0.0, 2.0, 4.0, 6.0])
    assert wasserstein(reference, reference + 3) == pytest.approx(3 / reference.std())


def test_noise_is_what_two_samples_of_one_crowd_differ_by(rng: np.random.Generator) -> None:
    share = rng.dirichlet(np.ones(40))
    values = rng.choice(40, 4000, p=share)
    noise = share_noise(np.arange(4000), values, 1000, 200, rng)
    between = [js_bits(rng.multinomial(4000, share), rng.multinomial(1000, share)) for _ in range(100)]
    assert noise.mean == pytest.approx(np.mean(between), rel=0.15)


def test_noise_is_larger_when_events_come_in_clusters(rng: np.random.Generator) -> None:
    values = np.repeat(rng.integers(0, 20, 300), 10)  # everybody wants one thing, ten times
    alone = share_noise(np.arange(3000), values, 1000, 50, rng)
    clustered = share_noise(np.repeat(np.arange(300), 10), values, 100, 50, rng)
    assert clustered.mean > 3 * alone.mean


def test_noise_draws_are_as_many_as_asked_for_and_seeded() -> None:
    values = np.arange(200) % 5
    few, many, again = (
        share_noise(np.arange(200), values, 200, draws, np.random.default_rng(1)) for draws in (10, 20, 10)
    )
    assert few == again
    assert few != many


def test_wasserstein_noise_is_what_two_samples_differ_by(rng: np.random.Generator) -> None:
    reference = rng.gamma(2, 3, 3000)
    noise = wasserstein_noise(reference, 600, 100, rng)
    between = [wasserstein(rng.gamma(2, 3, 3000), rng.gamma(2, 3, 600)) for _ in range(30)]
    assert noise.mean == pytest.approx(np.mean(between), rel=0.25)


def test_a_lead_is_what_ones_own_categories_foretell_beyond_those_of_others() -> None:
    learnt = np.array([[4.0, 0.0], [0.0, 4.0]])
    found = leads(learnt, np.array([[2.0, 0.0], [1.0, 1.0]]))
    # The first acts in its own category only: 1 - 1/2. The second half the time: 1/2 - 1/2.
    assert found.lead.tolist() == [0.5, 0.0]


def test_people_without_events_to_learn_or_try_on_have_no_lead() -> None:
    found = leads(
        np.array([[4.0, 0.0], [0.0, 0.0], [0.0, 4.0]]), np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 0.0]])
    )
    assert found.is_known.tolist() == [True, False, False]


def test_tastes_are_lost_by_the_share_of_people_whose_taste_moved(rng: np.random.Generator) -> None:
    tastes, others = rng.dirichlet(np.full(8, 0.3), 600), rng.dirichlet(np.full(8, 0.3), 600)
    now = np.where(rng.random(600)[:, None] < 0.4, others, tastes)
    learnt, tried, tried_now = (
        np.stack([rng.multinomial(30, share) for share in tastes_of]) for tastes_of in (tastes, tastes, now)
    )
    lost = taste_lost(leads(learnt, tried), leads(learnt, tried_now), 100, rng)
    assert lost.lost == pytest.approx(0.4, abs=4 * lost.sd)
    assert lost.sd < 0.06


def test_overall_shares_do_not_see_a_shift_of_tastes_that_leads_do(rng: np.random.Generator) -> None:
    tastes = rng.dirichlet(np.full(8, 0.3), 600)
    before = np.stack([rng.multinomial(20, share) for share in tastes])
    after = before[rng.permutation(600)]
    assert js_bits(before.sum(axis=0), after.sum(axis=0)) == pytest.approx(0)
    assert taste_lost(leads(before, before), leads(before, after), 50, rng).lost > 0.8


def test_the_reference_ends_on_the_day_of_promotion_and_covers_whole_weeks() -> None:
    windows = choose_windows(day_number(61), FIRST, day_number(45), monitor_days=7, reference_days=28)
    assert windows is not None
    assert windows.reference == Span(day_number(18), day_number(45))
    assert windows.current == Span(day_number(55), day_number(61))


def test_the_reference_is_as_long_as_reference_days_say() -> None:
    windows = choose_windows(day_number(61), FIRST, day_number(45), monitor_days=7, reference_days=14)
    assert windows is not None
    assert windows.reference.num_days == 14


def test_a_young_shop_is_compared_with_the_whole_weeks_it_has() -> None:
    windows = choose_windows(day_number(30), FIRST, day_number(20), monitor_days=7, reference_days=28)
    assert windows is not None
    assert windows.reference == Span(day_number(7), day_number(20))


def test_without_a_champion_the_reference_is_the_earliest_window() -> None:
    windows = choose_windows(day_number(20), FIRST, None, monitor_days=7, reference_days=28)
    assert windows is not None
    assert windows.reference == Span(day_number(1), day_number(7))


@pytest.mark.parametrize("day", [1, 7, 13])
def test_nothing_is_compared_before_two_windows_of_history(day: int) -> None:
    assert choose_windows(day_number(day), FIRST, None, monitor_days=7, reference_days=28) is None


def test_nothing_is_compared_without_history_or_with_a_champion_younger_than_a_window() -> None:
    assert choose_windows(day_number(9), None, None, monitor_days=7, reference_days=28) is None
    assert choose_windows(day_number(9), FIRST, day_number(5), monitor_days=7, reference_days=28) is None


def test_tastes_are_learnt_on_equally_many_days_and_tried_on_days_the_champion_has_not_seen() -> None:
    windows = choose_windows(day_number(48), FIRST, day_number(45), monitor_days=7, reference_days=28)
    assert windows is not None
    assert windows.tastes is not None
    assert windows.tastes.reference_learnt == Span(day_number(11), day_number(38))
    assert windows.tastes.reference_tried == Span(day_number(39), day_number(45))
    assert windows.tastes.current_learnt == Span(day_number(18), day_number(45))
    assert windows.tastes.current_tried == Span(day_number(46), day_number(48))


def test_a_span_of_seven_days_has_halves_of_four_and_three() -> None:
    assert Span(day_number(1), day_number(7)).halves() == (
        Span(day_number(1), day_number(4)),
        Span(day_number(5), day_number(7)),
    )


def test_a_sample_is_the_same_rows_whatever_their_order() -> None:
    frame = pd.DataFrame({"user_id": [f"u{number}" for number in range(100)], "value": range(100)})
    sampled = sample_rows(frame, ["user_id"], 30)
    shuffled = sample_rows(frame.sample(frac=1, random_state=3).reset_index(drop=True), ["user_id"], 30)
    assert len(sampled) == 30
    assert sorted(sampled["value"]) == sorted(shuffled["value"])
    assert sampled["value"].is_monotonic_increasing
