"""What goes with an item is found as by looking at every pair."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.decisions import MOST_RELATED
from contracts.lists import unpack
from jobs.related import related_items

ITEMS = [f"i{number:02d}" for number in range(40)]
_WEIGHTS = st.dictionaries(st.tuples(st.sampled_from([*ITEMS, "gone"]), st.sampled_from([*ITEMS, "gone"])), st.integers(1, 4))  # fmt: skip


@given(_WEIGHTS, st.sets(st.sampled_from(ITEMS)))
def test_related_items_are_the_heaviest_neighbours_that_are_for_sale(
    weights: dict[tuple[str, str], int], sold_out: set[str]
) -> None:
    assert_as_by_hand(weights, sold_out)


def test_there_are_no_more_than_the_contract_says() -> None:
    assert_as_by_hand({(ITEMS[0], other): 1 + place % 3 for place, other in enumerate(ITEMS[1:])}, {"i05"})


def assert_as_by_hand(weights: dict[tuple[str, str], int], sold_out: set[str]) -> None:
    columns = [[item for item, _ in weights], [other for _, other in weights], [*weights.values()]]
    rows = pa.table([pa.array(columns[0], pa.string()), pa.array(columns[1], pa.string()), pa.array(columns[2], pa.int64())], ["item_id", "neighbour_id", "weight"])  # fmt: skip
    is_for_sale = np.array([item not in sold_out for item in ITEMS])
    packed = related_items(rows, pa.array(ITEMS), is_for_sale).packed(np.arange(len(ITEMS)), len(ITEMS))
    assert len(packed) == len(ITEMS)
    for item, found in zip(ITEMS, map(unpack, packed), strict=True):
        of_item = {other: weight for (each, other), weight in weights.items() if each == item}
        shown = [other for other in of_item if other in ITEMS and other not in sold_out]
        best = sorted(shown, key=lambda other: (-of_item[other], other))[:MOST_RELATED]
        assert [ITEMS[index] for index in found.indices] == best
        assert found.scores == pytest.approx([of_item[other] / sum(of_item.values()) for other in best])
        assert found.is_short == (len(best) < MOST_RELATED)
