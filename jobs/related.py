"""What people take together with each item: its heaviest neighbours of those that are for sale.

N items of the catalogue · T the related items of all of them, one item's after the other
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from contracts.decisions import MOST_RELATED
from contracts.lists import POPULAR, pack

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class RelatedItems:
    """What is related to item n: ``items_T[offsets_N1[n] : offsets_N1[n + 1]]``, the heaviest first."""

    offsets_N1: IntArray
    items_T: IntArray  # places in the catalogue
    shares_T: npt.NDArray[np.float64]  # of the weight of all neighbours, for sale or not

    def packed(self, index_N: IntArray, num_items: int) -> list[bytes]:
        """``contracts.lists.pack`` of each; ``index_N`` is each item's index in the version."""
        indices, shares = index_N[self.items_T].tolist(), self.shares_T.tolist()
        return [
            pack(indices[begin:end], shares[begin:end], POPULAR, end - begin < MOST_RELATED, num_items)
            for begin, end in zip(self.offsets_N1[:-1].tolist(), self.offsets_N1[1:].tolist(), strict=True)
        ]


def related_items(
    neighbours: pa.Table, item_ids: pa.Array, is_for_sale_N: npt.NDArray[np.bool_]
) -> RelatedItems:
    """The ``MOST_RELATED`` heaviest neighbours of each item of the catalogue, ties by id.

    Args:
        neighbours: rows of ``contracts.tables.COVISITATION``; those of items that the catalogue lacks count in shares alone.
        item_ids: of the catalogue, rising.
    """
    left, right = (_places(neighbours[name], item_ids) for name in ("item_id", "neighbour_id"))
    weight = neighbours["weight"].to_numpy().astype(np.float64)
    total_N = np.bincount(left[left >= 0], weight[left >= 0], len(item_ids))
    may_be_shown = (left >= 0) & (right >= 0) & np.append(is_for_sale_N, False)[right]
    left, right, weight = left[may_be_shown], right[may_be_shown], weight[may_be_shown]
    order = np.lexsort((right, -weight, left))
    left, right, weight = left[order], right[order], weight[order]
    is_first = np.arange(len(left)) - np.searchsorted(left, left) < MOST_RELATED
    left, right, weight = left[is_first], right[is_first], weight[is_first]
    offsets_N1 = np.searchsorted(left, np.arange(len(item_ids) + 1))
    return RelatedItems(offsets_N1.astype(np.int64), right, weight / total_N[left])


def _places(ids: pa.ChunkedArray, item_ids: pa.Array) -> IntArray:
    """The place of each in the catalogue; -1 for what is not in it."""
    found: Any = pc.fill_null(pc.index_in(ids, item_ids), -1).to_numpy()
    return np.asarray(found, np.int64)
