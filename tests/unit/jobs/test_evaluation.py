"""What people took because they saw it speaks for nobody: it is left out of what was wanted and of every list."""

from __future__ import annotations

from datetime import date

import numpy as np
import pyarrow as pa

from contracts.tables import TRAINING_IMPRESSIONS
from jobs.io.schemas import arrow_schema
from jobs.training.evaluation import Prompted
from jobs.training.impressions import Impressions
from tests.tiny_world import tiny_world

NUM_ITEMS = 30


def prompted(*pairs: tuple[int, int]) -> Prompted:
    return Prompted(NUM_ITEMS, np.unique([user * NUM_ITEMS + item for user, item in pairs]).astype(np.int64))


def test_what_was_taken_after_it_was_shown_is_not_wanted_by_itself() -> None:
    users, targets = prompted((3, 5), (3, 6), (4, 5), (9, 1)).without(
        np.array([3, 4, 5]), [np.array([5, 6, 7]), np.array([5]), np.array([5])]
    )
    assert users.tolist() == [3, 5]  # the fourth wanted nothing else
    assert [items.tolist() for items in targets] == [[7], [5]]


def test_lists_move_up_where_something_is_left_out() -> None:
    lists = np.array([[5, 1, 6, 2], [5, 1, 6, 2], [-1, -1, -1, -1]])
    found = prompted((3, 5), (3, 6)).condensed(np.array([3, 4, 0]), lists)
    assert found.tolist() == [[1, 2, -1, -1], [5, 1, 6, 2], [-1, -1, -1, -1]]


def test_lists_are_as_much_longer_as_the_most_that_was_taken() -> None:
    found = prompted((3, 5), (3, 6), (4, 5), (9, 1), (9, 2), (9, 3))
    assert found.most(np.array([3, 4])) == 2
    assert found.most(np.array([5])) == 0
    assert prompted().most(np.array([3])) == 0


def test_only_known_users_and_items_and_only_what_was_taken() -> None:
    world = tiny_world()
    rows = [
        {"user_id": user, "item_id": item, "outcome": outcome, "event_date": date(2011, 3, 2)}
        for user, item, outcome in (
            ("user-03", "item-05", "clicked"),
            ("user-03", "item-06", "ignored"),
            ("user-04", "item-07", "purchased"),
            ("nobody", "item-07", "clicked"),
            ("user-04", "nothing", "clicked"),
        )
    ]
    shown = Impressions(pa.Table.from_pylist(rows, schema=arrow_schema(TRAINING_IMPRESSIONS)))
    assert Prompted.of(shown, world).pairs.tolist() == [3 * NUM_ITEMS + 5, 4 * NUM_ITEMS + 7]
