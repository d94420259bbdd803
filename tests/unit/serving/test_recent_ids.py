"""Ids are known, whichever run they have come to lie in, until their day is forgotten."""

from __future__ import annotations

from datetime import date, timedelta
from unittest.mock import patch

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from serving.recent_ids import ID, RecentIds

DAY = date(2026, 1, 5)
NUMBERS = st.integers(0, 2**64 - 1)


def packed(ids: dict[int, int]) -> bytes:
    return np.array(list(ids.items()), ID).tobytes()


@given(st.lists(st.dictionaries(NUMBERS, NUMBERS, min_size=1, max_size=9), max_size=12), st.sets(NUMBERS))
def test_what_was_added_is_known_and_nothing_else(added: list[dict[int, int]], strangers: set[int]) -> None:
    recent, expected = RecentIds(), dict[int, int]()
    with patch("serving.recent_ids._RUN_LENGTH", 7):
        for number, ids in enumerate(added):
            new = {key: body for key, body in ids.items() if key not in expected}
            expected |= new
            recent.add(DAY + timedelta(days=number // 5), packed(new))
    asked = np.array([*expected, *strangers], np.uint64)
    assert recent.bodies(asked) == expected


def test_a_day_that_is_long_ago_is_forgotten() -> None:
    recent = RecentIds()
    for offset in range(3):
        recent.add(DAY + timedelta(days=offset), packed({offset: 9}))
    asked = np.array([0, 1, 2], np.uint64)
    recent.forget_before(DAY + timedelta(days=1))
    assert recent.bodies(asked) == {1: 9, 2: 9}
    recent.forget_before(DAY + timedelta(days=3))
    assert recent.bodies(asked) == {}
