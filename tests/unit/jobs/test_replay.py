"""What a replay decides from what was rejected, and since when its rows are known."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from jobs.landing.again import account_after, still_rejected
from jobs.landing.when_known import known_date, known_date_of_replay

DAY = date(2011, 3, 1)


def rejected(line: int, reason: str, **more: Any) -> dict[str, Any]:
    return {"source_file": "a.csv", "line": line, "reason": reason, "raw_line": f"line {line}", **more}


def test_a_row_stays_as_it_stood_unless_it_is_good_or_bad_in_another_way() -> None:
    rows = [rejected(line, "NO_TZ", received_date=DAY) for line in (2, 3, 4, 5)]
    now = [rejected(3, "NO_TZ") | {"raw_line": "told in other words"}, rejected(4, "RANGE")]
    asked = {("a.csv", line) for line in (3, 4, 5)}
    assert still_rejected(rows, asked, now) == [rows[0], rows[1], rejected(4, "RANGE", received_date=DAY)]


def test_the_account_moves_what_was_replayed_and_stays_balanced() -> None:
    record = {
        "sha256": "f", "read": 100, "good": 90, "quarantined": {"NO_TZ": 4, "RANGE": 2}, "duplicate": 3,
        "set_aside": {"ZERO_PRICE": 1}, "replayed": 5,
    }  # fmt: skip
    before = [rejected(line, "NO_TZ") for line in range(4)]
    now = {
        "read": 4,
        "good": 1,
        "quarantined": {"RANGE": 1},
        "duplicate": 1,
        "set_aside": {"SERVICE_LINE": 1},
    }
    assert account_after("events/2011-03-01", record, before, now) == {
        "sha256": "f", "read": 100, "good": 91, "quarantined": {"RANGE": 3}, "duplicate": 4,
        "set_aside": {"SERVICE_LINE": 1, "ZERO_PRICE": 1}, "replayed": 8,
    }  # fmt: skip


def test_an_account_that_loses_a_row_is_refused() -> None:
    record = {"read": 2, "good": 1, "quarantined": {"NO_TZ": 1}, "duplicate": 0, "set_aside": {}}
    now = {"read": 1, "good": 0, "quarantined": {}, "duplicate": 0, "set_aside": {}}
    with pytest.raises(AssertionError, match="2 rows were read but 1 are accounted for"):
        account_after("events/2011-03-01", record, [rejected(2, "NO_TZ")], now)


@pytest.mark.parametrize(
    ("newest", "known"), [(None, 1), (date(2011, 2, 28), 1), (DAY, 3), (date(2011, 3, 5), 3)]
)
def test_a_delivery_is_known_from_its_day_or_from_the_day_that_lands_it_too_late(
    newest: date | None, known: int
) -> None:
    assert known_date(DAY, date(2011, 3, 3), newest) == date(2011, 3, known)


def test_what_is_replayed_is_known_from_the_day_after_the_newest_run() -> None:
    assert known_date_of_replay(date(2011, 2, 28)) == DAY
