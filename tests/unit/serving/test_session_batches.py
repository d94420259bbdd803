"""Sessions that are asked for together are ranked together, and who would wait too long is told so at once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np
import pytest

from serving.session_batches import PATIENCE, SessionBatches
from serving.session_ranker import BATCH, Question, SessionList

NOBODYS = np.empty(0, np.int64)


class Ranker:
    """Notes what it is asked together."""

    version = "v0001"

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds
        self.batches: list[list[int]] = []

    def rank(self, questions: Sequence[Question], length: int) -> list[SessionList]:
        self.batches.append([int(question.history[0]) for question in questions])
        return [
            SessionList(tuple(question.history.tolist()), "personal", frozenset()) for question in questions
        ]


class Broken(Ranker):
    def rank(self, questions: Sequence[Question], length: int) -> list[SessionList]:
        raise ValueError("it is broken")


def asked_together(num: int, *rankers: Any) -> list[SessionList | None]:
    async def ask() -> list[SessionList | None]:
        batches = SessionBatches()
        asked = [
            batches.rank(rankers[number % len(rankers)], Question(np.array([number]), NOBODYS), 3)
            for number in range(num)
        ]
        return await asyncio.gather(*asked)

    return asyncio.run(ask())


def test_what_is_asked_in_one_turn_is_ranked_together_and_everybody_gets_the_own_list() -> None:
    ranker = Ranker()
    found = asked_together(BATCH + 3, ranker)
    assert [each.indices for each in found if each] == [(number,) for number in range(BATCH + 3)]
    assert ranker.batches == [[*range(BATCH)], [*range(BATCH, BATCH + 3)]]


def test_versions_are_not_ranked_together() -> None:
    one, two = Ranker(), Ranker()
    found = asked_together(6, one, two)
    assert [each.indices for each in found if each] == [(number,) for number in range(6)]
    assert [*chain(*one.batches)] == [0, 2, 4]
    assert [*chain(*two.batches)] == [1, 3, 5]


def test_who_would_wait_too_long_is_told_at_once() -> None:
    ranker = Ranker(PATIENCE / 2.5)  # two batches are ranked in time, and no third
    found = asked_together(2 * BATCH + 1, ranker)
    assert [each is None for each in found] == [False] * 2 * BATCH + [True]


def test_what_was_slow_once_is_tried_again() -> None:
    ranker = Ranker(PATIENCE * 1.05)
    assert [asked_together(1, ranker)[0] is None for _ in range(3)] == [True, False, False]


def test_a_model_that_fails_fails_nobody(caplog: pytest.LogCaptureFixture) -> None:
    assert asked_together(2, Broken()) == [None, None]
    assert "sessions_failed" in caplog.text
