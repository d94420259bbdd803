"""A followed day says in one line what became of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TextIO

import pytest

from jobs.cli.loop import wait_while_read
from jobs.follow import FollowedDay, _why_retrain


def test_a_quiet_day_is_its_verdict() -> None:
    assert FollowedDay("2011-03-01", verdict="ok").told() == "2011-03-01: ok"


def test_a_refused_day_says_that_nothing_moves_and_why() -> None:
    told = FollowedDay("2011-03-01", refused="DayRefused: no delivery").told()
    assert told == "2011-03-01: refused, nothing moves. DayRefused: no delivery"


def test_an_alarm_tells_its_reasons_and_what_the_retraining_came_to() -> None:
    day = FollowedDay("2011-03-01", "", "drift", ("tastes lost 69%",), True, "promoted", ("better",))
    assert day.told() == "2011-03-01: drift; tastes lost 69%; retraining promoted; better"


def test_who_asks_for_a_retraining() -> None:
    quiet = FollowedDay("2011-03-01", verdict="ok")
    rung = replace(quiet, verdict="drift", reasons=("tastes lost 69%",), has_rung=True)
    assert _why_retrain(quiet, "on-alarm", is_due=False) is None
    assert _why_retrain(rung, "on-alarm", is_due=True) == (
        "drift alarm of 2011-03-01: tastes lost 69%",
        "alarm",
    )
    assert _why_retrain(rung, "never", is_due=False) is None
    assert _why_retrain(quiet, "never", is_due=True) == ("regular", "schedule")
    assert _why_retrain(quiet, "daily", is_due=False) == ("every day", "person")


@contextmanager
def pipe() -> Iterator[tuple[TextIO, TextIO]]:
    reader, writer = (os.fdopen(end, mode) for end, mode in zip(os.pipe(), "rw", strict=True))
    with reader, writer:
        yield reader, writer


def test_a_follower_waits_as_long_as_its_reader_is_there() -> None:
    with pipe() as (_, writer):
        wait_while_read(writer, 0.01)


def test_a_follower_whose_reader_is_gone_waits_no_longer() -> None:
    with pipe() as (reader, writer):
        reader.close()
        with pytest.raises(BrokenPipeError, match="nobody reads"):
            wait_while_read(writer, 60)


def test_a_follower_that_writes_to_a_file_waits(tmp_path: Path) -> None:
    with (tmp_path / "follow.log").open("w") as log:
        wait_while_read(log, 0.01)
