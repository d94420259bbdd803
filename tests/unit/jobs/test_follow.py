"""A followed day says in one line what became of it."""

from __future__ import annotations

from jobs.follow import FollowedDay


def test_a_quiet_day_is_its_verdict() -> None:
    assert FollowedDay("2011-03-01", verdict="ok").told() == "2011-03-01: ok"


def test_a_refused_day_says_that_nothing_moves_and_why() -> None:
    told = FollowedDay("2011-03-01", refused="DayRefused: no delivery").told()
    assert told == "2011-03-01: refused, nothing moves. DayRefused: no delivery"


def test_an_alarm_tells_its_reasons_and_what_the_retraining_came_to() -> None:
    day = FollowedDay("2011-03-01", "", "drift", ("tastes lost 69%",), True, "promoted", ("better",))
    assert day.told() == "2011-03-01: drift; tastes lost 69%; retraining promoted; better"
