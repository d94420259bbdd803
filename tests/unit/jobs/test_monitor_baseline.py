"""What volume is held against: the season before the window, without what was broken."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, timedelta

from contracts.feed import days_between
from jobs.monitoring.baseline import sound_days
from jobs.monitoring.windows import Span, Windows

PROMOTED = date(2011, 3, 1)
#: Four weeks before the champion.
REFERENCE = Span(PROMOTED - timedelta(days=27), PROMOTED)


def day(number: int) -> date:
    """A day since the champion's promotion."""
    return PROMOTED + timedelta(days=number)


def held_against(today: date, invalid: Collection[date] = ()) -> list[date]:
    """What the last two days are held against."""
    window = Span(today - timedelta(days=1), today)
    windows = Windows(REFERENCE, Span(today - timedelta(days=6), today), PROMOTED, None)
    return sound_days(windows, window, lambda each: each in invalid, 14)


def test_the_two_weeks_before_the_window_whatever_the_champion_knows() -> None:
    assert held_against(day(30)) == days_between(day(15), day(28))


def test_days_called_invalid_are_left_out_however_long_it_goes_on() -> None:
    broken = days_between(day(10), day(29))
    assert held_against(day(30), broken) == days_between(day(-4), day(9))


def test_what_somebody_trained_a_champion_on_is_taken_for_granted() -> None:
    broken = days_between(day(-20), day(5))
    assert held_against(day(6), broken) == days_between(day(-13), day(0))
    whole = [each for each in broken if each != PROMOTED]
    assert held_against(day(6), whole) == [*days_between(day(-27), day(-21)), day(0)]


def test_too_few_of_them_make_way_for_the_reference() -> None:
    windows = Windows(Span(day(-6), PROMOTED), Span(day(1), day(7)), PROMOTED, None)
    known = days_between(day(-6), day(0))
    assert sound_days(windows, windows.current, lambda each: False, 14) == known
    assert sound_days(windows, windows.current, lambda each: each == day(-3), 14) == known
