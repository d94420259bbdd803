"""Lists as rows of the lake's tables: what a share of the users gives, wherever it is ranked, and all shares together."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa

from contracts import names
from contracts.lists import SOURCES
from contracts.tables import TABLES
from jobs.io.schemas import schema_of
from jobs.ranking.ladder import Ladder
from jobs.ranking.reasons import reason_columns
from jobs.ranking.world import IntArray


def rows_of_share(ladder: Ladder, users: IntArray) -> pa.Table:
    """The lists of some users as rows of ``contracts.tables.LISTS``: the same wherever, and beside whatever, it is computed."""
    ranked, world = ladder.rank(users), ladder.world
    is_item_UK = ranked.items_UK >= 0
    lengths_U = is_item_UK.sum(axis=1)
    offsets = pa.array(np.concatenate([[0], np.cumsum(lengths_U)]).astype(np.int32))
    columns = {
        "user_id": pa.array(world.user_ids[users], pa.string()),
        "source": pa.array(SOURCES).take(pa.array(ranked.source_U)),
        "is_short": pa.array(lengths_U < ranked.items_UK.shape[1]),
        "item_ids": pa.ListArray.from_arrays(
            offsets, pa.array(world.item_ids, pa.string()).take(pa.array(ranked.items_UK[is_item_UK]))
        ),
        "scores": pa.ListArray.from_arrays(offsets, pa.array(ranked.scores_UK[is_item_UK], pa.float64())),
        **reason_columns(ranked.reasons_UKE, world.item_ids),
    }
    return pa.table(columns, schema=schema_of(TABLES[names.LISTS].columns))


def together(shares: Iterable[pa.Table]) -> pa.Table:
    """The rows of all shares as one table, as if there had been one share."""
    empty = schema_of(TABLES[names.LISTS].columns).empty_table()
    return pa.concat_tables([empty, *shares]).combine_chunks()
