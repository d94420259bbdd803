"""What is drawn for a place is as probable as the answer says, whoever asks."""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.explore import Slot, explore

_DRAWS = 100_000
_WITHIN = 5 * 0.5 / np.sqrt(_DRAWS)  # five standard errors
LIST = [10, 11, 12, 13]
SLOTS = (Slot(2, (50, 51, 52), (0.4, 0.3, 0.2, 0.1)), Slot(4, (60, 13), (0.9, 0.06, 0.04)))


def test_propensities_are_the_shares_of_100_000_redraws_and_sum_to_one_in_each_place() -> None:
    counts: dict[int, Counter[int]] = defaultdict(Counter)
    told: dict[int, dict[int, float]] = defaultdict(dict)
    for number in range(_DRAWS):
        shown, propensities = explore(LIST, SLOTS, lambda item: item != 51, f"v0001:{number}")
        for place, (item, propensity) in enumerate(zip(shown, propensities, strict=True), start=1):
            counts[place][item] += 1
            assert told[place].setdefault(item, propensity) == propensity
    assert told[1] == {10: 1.0}
    assert set(told[2]) == {11, 50, 52}  # 51 may not be shown
    assert set(told[4]) == {13, 60}  # the list's own item is no newcomer as well
    for place, items in told.items():
        assert sum(items.values()) == pytest.approx(1)
        for item, propensity in items.items():
            assert counts[place][item] / _DRAWS == pytest.approx(propensity, abs=_WITHIN)


def test_one_decision_is_told_the_same_again_and_places_draw_apart() -> None:
    assert explore(LIST, SLOTS, lambda _: True, "v1:a") == explore(LIST, SLOTS, lambda _: True, "v1:a")
    pairs = Counter(
        (shown[1] == 11, shown[3] == 13)
        for shown, _ in (explore(LIST, SLOTS, lambda _: True, f"v1:{number}") for number in range(20_000))
    )
    both = pairs[True, True] / 20_000
    first, last = (sum(pairs[key] for key in pairs if key[at]) / 20_000 for at in (0, 1))
    assert both == pytest.approx(first * last, abs=0.01)


@given(
    st.lists(st.integers(0, 9), unique=True, max_size=8),
    st.sets(st.integers(0, 30)),
    st.text(max_size=8),
)
def test_nothing_stands_twice_and_nothing_that_may_not_be_shown_is_drawn(
    listed: list[int], forbidden: set[int], decision_id: str
) -> None:
    slots = (Slot(1, (5, 20, 21), (0.1, 0.3, 0.3, 0.3)), Slot(3, (22, 23), (0.2, 0.4, 0.4)))
    shown, propensities = explore(listed, slots, lambda item: item not in forbidden, decision_id)
    assert len(shown) == len(set(shown)) == len(listed) == len(propensities)
    assert not (set(shown) - set(listed)) & forbidden
    assert all(0 < propensity <= 1 for propensity in propensities)
    assert [item for place, item in enumerate(shown, 1) if place not in (1, 3)] == [
        item for place, item in enumerate(listed, 1) if place not in (1, 3)
    ]
