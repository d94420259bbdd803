"""The rule of consent on words that one can follow in one's head; the whole of it is in tests/contract/test_consent.py."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from contracts.consent import Word, may_use

NOON = datetime(2011, 3, 1, 12)
HOUR = timedelta(hours=1)


@pytest.mark.parametrize("later", [[], [Word(NOON + HOUR, is_granted=True)]])
def test_of_two_words_at_one_instant_the_denial_counts_in_whatever_order_they_come(later: list[Word]) -> None:
    words = [Word(NOON, is_granted=False), Word(NOON, is_granted=True)]
    for said in (words, words[::-1]):
        assert not may_use([*said, *later], NOON + HOUR / 2, missing=True)
