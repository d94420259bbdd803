"""Who may stand in a place that is drawn for, and how probable each is: worked out by hand."""

from __future__ import annotations

from datetime import date, datetime

import numpy as np
import pyarrow as pa
import pytest

from contracts.exploration import Explore
from jobs.exploration import outcomes_of, slots_of
from models.bandits import thompson

DAY = date(2026, 1, 5)
CATALOGUE = pa.table(
    {
        "item_id": ["best", "cup", "gone", "jug", "mug"],
        "is_available": [True, True, False, True, True],
        "available_from": pa.array(
            [None, datetime(2026, 1, 1), None, datetime(2026, 1, 3), None], pa.timestamp("us")
        ),
    }
)


def shown(item: str, place: int, times: int, clicks: int = 0, known: date = DAY) -> list[dict[str, object]]:
    return [
        {
            "item_id": item,
            "position": place,
            "known_date": known,
            "clicked_known_date": known if number < clicks else None,
        }
        for number in range(times)
    ]


IMPRESSIONS = pa.Table.from_pylist(
    [
        *shown("best", 2, 50, 10),
        *shown("best", 3, 40, 2),
        *shown("mug", 3, 4, 1),
        *shown("unknown", 3, 9, 9),
        *shown("cup", 3, 90, 90, known=date(2026, 1, 6)),  # the day does not know of it
    ],
    pa.schema(
        [("item_id", "string"), ("position", "int32"), ("known_date", pa.date32()), ("clicked_known_date", pa.date32())]
    ),
)  # fmt: skip
OUTCOMES = outcomes_of(IMPRESSIONS, CATALOGUE["item_id"], DAY)


def test_places_go_to_the_least_shown_for_sale_the_newest_first_and_none_to_two_places() -> None:
    explore = Explore(policy="epsilon_greedy", places=(3, 2), epsilon=0.3, shown_less_than=5)
    first, second = slots_of(explore, CATALOGUE, OUTCOMES)
    assert (first.place, first.items) == (2, ("jug", "mug"))
    assert (second.place, second.items) == (3, ("cup",))
    np.testing.assert_allclose(first.probabilities, [0.8, 0.1, 0.1])
    np.testing.assert_allclose(second.probabilities, [0.85, 0.15])


def test_thompson_knows_what_the_place_has_done_without_newcomers_and_what_each_of_these_has() -> None:
    explore = Explore(policy="thompson", places=(3,), shown_less_than=5)
    (slot,) = slots_of(explore, CATALOGUE, OUTCOMES)
    assert slot.items == ("jug", "cup", "mug")
    rate = (10 + 2 + 1 + 0.5) / (50 + 40 + 4 + 10)
    expected = thompson(np.array([2, 0, 0, 1]), np.array([40, 0, 0, 4]), prior=(20 * rate, 20 * (1 - rate)))
    np.testing.assert_allclose(slot.probabilities, expected)


@pytest.mark.parametrize(
    ("changes", "items"), [({"most_items": 1}, ("jug",)), ({"shown_less_than": 1}, ("jug", "cup"))]
)
def test_newcomers_are_as_many_and_as_new_as_is_said(changes: dict[str, int], items: tuple[str, ...]) -> None:
    (slot,) = slots_of(Explore(policy="thompson", places=(1,), **changes), CATALOGUE, OUTCOMES)
    assert slot.items == items


def test_where_everything_was_shown_nothing_is_drawn() -> None:
    assert slots_of(Explore(policy="thompson", places=(1,), shown_less_than=1), CATALOGUE.slice(0, 1), outcomes_of(IMPRESSIONS, CATALOGUE["item_id"].slice(0, 1), DAY)) == ()  # fmt: skip


def test_without_impressions_every_newcomer_is_as_probable_as_what_the_list_has() -> None:
    nothing = outcomes_of(IMPRESSIONS.slice(0, 0), CATALOGUE["item_id"], DAY)
    (slot,) = slots_of(Explore(policy="thompson", places=(1,)), CATALOGUE, nothing)
    np.testing.assert_allclose(slot.probabilities, [0.2] * 5, atol=1e-6)
