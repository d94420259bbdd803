"""What a person is told about a list: what it was made from, unless the champion has made it."""

from __future__ import annotations

from typing import Any

import pytest

from contracts.lists import CONTENT, PERSONAL, POPULAR, SEGMENT, SESSION
from jobs.recommend import render


def told(source: str, **answer: Any) -> str:
    given = {"user_id": "anna", "version": "v0001", "day": "2011-03-01", "source": source, "items": []}
    return render({**given, "withheld": "", "is_known": True, **answer})


@pytest.mark.parametrize(
    ("source", "because"),
    [
        (SESSION, "what others took together with them"),
        (CONTENT, "items like them"),
        (SEGMENT, "popular now in the dearest category"),
        (POPULAR, "Of this user's taste nothing is known"),
    ],
)
def test_a_list_from_below_the_champion_says_what_it_was_made_from(source: str, because: str) -> None:
    assert told(source).startswith(f"anna: {source} list of 2011-03-01")
    assert because in told(source)


def test_a_personal_list_and_one_that_is_withheld_say_no_more_than_that() -> None:
    assert "champion" not in told(PERSONAL)
    assert "nothing is known" not in told(POPULAR, withheld="consent was withdrawn", is_known=False)
    assert "We do not know this user" in told(POPULAR, is_known=False)
