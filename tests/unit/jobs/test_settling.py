"""After a drift the alarm rings again while the days of the new world grow far beyond what the champion knows of them."""

from __future__ import annotations

from datetime import date, timedelta

from jobs.monitoring.settling import settling
from jobs.monitoring.thresholds import load_thresholds

ALARM = load_thresholds().alarm
SINCE = date(2011, 3, 1)


def at(passed: int, known: int, *, is_drift: bool = False, since: date | None = SINCE):
    return settling(
        SINCE + timedelta(days=passed - 1),
        is_drift=is_drift,
        drift_since=since,
        trained_until=SINCE + timedelta(days=known - 1),
        well_known_days=14,
        thresholds=ALARM,
    )


def test_without_a_drift_there_is_nothing_to_settle() -> None:
    assert at(30, 1, since=None).as_record() == {"drift_since": None, "reason": "", "waits": ""}


def test_a_drift_begins_as_long_ago_as_it_takes_to_see_it() -> None:
    assert at(2, 1, is_drift=True, since=None).drift_since == SINCE


def test_the_days_double_with_every_second_retraining() -> None:
    known, rung = 2, []
    for passed in range(3, 40):
        if at(passed, known).reason:
            rung.append(passed)
            known = passed
    assert rung == [3, 5, 8, 12, 18, 27]


def test_it_is_told_in_days() -> None:
    assert at(6, 4).reason == (
        "settling: people have lived 6 days since tastes drifted on 2011-03-01, and the champion knows 4 of them"
    )


def test_a_drift_rings_by_itself_and_needs_no_other_reason() -> None:
    found = at(6, 4, is_drift=True)
    assert found.as_record() == {"drift_since": "2011-03-01", "reason": "", "waits": ""}
    assert found.rings_for(True)
    assert not found.rings_for(False)


def test_what_still_differs_from_the_days_before_the_drift_waits_for_more_days() -> None:
    found = at(5, 4, is_drift=True)
    assert found.waits == (
        "the alarm waits for more: people have lived 5 days since tastes drifted on 2011-03-01, and the champion knows 4 of them"
    )
    assert not found.rings_for(True)
    assert at(5, 0, is_drift=True).rings_for(True)  # the champion knows nothing of it yet


def test_a_champion_from_before_the_drift_has_not_begun_to_settle() -> None:
    assert at(6, 0).reason == ""


def test_what_drifts_once_the_new_world_is_well_known_is_another_drift() -> None:
    assert at(20, 13, is_drift=True).drift_since == SINCE
    assert at(20, 14, is_drift=True).drift_since == SINCE + timedelta(days=18)
