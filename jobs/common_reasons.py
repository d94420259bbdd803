"""What the lists of a day are because of, over everybody: for the day's page, which names nobody."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from contracts.lists import EXPLAINED_PLACES, PERSONAL

#: A reason that fewer people share might tell of one of them.
LEAST_PEOPLE = 5
_MOST_PAIRS = 10


def common_reasons(lists: pa.Table, catalogue: pa.Table) -> dict[str, Any]:
    """How many of the first places have a reason, and the pairs of reason and item that most people share.

    Args:
        lists: rows of ``contracts.tables.LISTS``.
        catalogue: ``item_id`` and ``title``.
    """
    personal = lists.filter(pc.equal(lists["source"], PERSONAL)).combine_chunks()
    lengths_U, reasons_U = (
        pc.list_value_length(personal[name]).to_numpy() for name in ("item_ids", "reason_places")
    )
    users_X = np.repeat(np.arange(personal.num_rows), reasons_U)
    places_X = pc.list_flatten(personal["reason_places"]).to_numpy()
    at_X = (np.cumsum(lengths_U) - lengths_U)[users_X] + places_X - 1
    item_ids = pc.list_flatten(personal["item_ids"]).combine_chunks()
    pairs = pa.table(
        {
            "because": pc.list_flatten(personal["reason_item_ids"]),
            "item": item_ids.take(pa.array(at_X)),
        }
    )
    counted = pairs.group_by(["because", "item"]).aggregate([([], "count_all")])
    counted = counted.filter(pc.greater_equal(counted["count_all"], LEAST_PEOPLE))
    order = [("count_all", "descending"), ("because", "ascending"), ("item", "ascending")]
    titles = dict(zip(catalogue["item_id"].to_pylist(), catalogue["title"].to_pylist(), strict=True))
    return {
        "num_lists": personal.num_rows,
        "num_places": int(np.minimum(lengths_U, EXPLAINED_PLACES).sum()),
        "num_explained": len(np.unique(users_X * EXPLAINED_PLACES + places_X - 1)),
        "pairs": [
            {
                **{name: titles.get(row[name]) or row[name] for name in ("because", "item")},
                "people": row["count_all"],
            }
            for row in counted.sort_by(order).slice(0, _MOST_PAIRS).to_pylist()
        ],
    }
