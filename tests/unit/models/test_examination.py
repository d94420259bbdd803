"""How likely a place is looked at, from clicks."""

from __future__ import annotations

import numpy as np
import pytest

from models.examination import examination


def clicks(*clicked_of_shown: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Impressions at places 1, 2, …, of which so many of so many were clicked."""
    places = np.repeat(np.arange(1.0, len(clicked_of_shown) + 1), [shown for _, shown in clicked_of_shown])
    return places, np.concatenate([np.arange(shown) < clicked for clicked, shown in clicked_of_shown])


def by_place(places: np.ndarray, is_clicked: np.ndarray) -> list[float]:
    seen = examination(places, is_clicked)
    return [seen[places == place].mean() for place in np.unique(places)]


def test_what_is_clicked_half_as_often_is_looked_at_half_as_often() -> None:
    assert by_place(*clicks((4000, 10_000), (2000, 10_000), (1000, 10_000))) == pytest.approx(
        [1, 0.5, 0.25], rel=0.01
    )


def test_nobody_looks_more_often_further_down() -> None:
    first, second, third, fourth = by_place(*clicks((400, 1000), (100, 1000), (200, 1000), (50, 1000)))
    assert first > second == third > fourth  # 100 and 200 of 1000: 300 of 2000 at both


def test_a_place_with_few_impressions_is_an_average_one() -> None:
    first, second = by_place(*clicks((200, 1000), (0, 2)))
    assert first == 1
    assert 0.9 < second < 1


def test_what_nobody_clicked_or_has_no_place_is_taken_to_be_seen() -> None:
    assert by_place(*clicks((0, 10), (0, 10))) == [1, 1]
    places = np.array([1.0, 2.0, np.nan])
    assert examination(places, np.array([True, False, False]))[2] == 1
    assert examination(np.full(2, np.nan), np.array([True, False])).tolist() == [1, 1]
    assert examination(np.empty(0), np.empty(0, bool)).tolist() == []
