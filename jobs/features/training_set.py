"""The training set: what every user wanted, day by day, split in time."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from contracts.tables import FIT, JUDGE, RANK, SEQUENCES
from jobs.features.cutoffs import Cutoffs
from jobs.io.schemas import arrow_schema


def training_set(days: pa.Table, cutoffs: Cutoffs) -> pa.Table:
    """One row per user and day with a step, and the split that it belongs to.

    Args:
        days: rows of ``features/user_days``, whose order is kept.
    """
    rows = days.filter(pc.greater(pc.list_value_length(days.column("item_ids")), 0))
    split = split_of(rows.column("event_date"), cutoffs)
    columns = [*(rows.column(name) for name in ("user_id", "event_date", "item_ids", "item_depths")), split]
    return pa.table(columns, schema=arrow_schema(SEQUENCES))


def split_of(event_dates: pa.ChunkedArray, cutoffs: Cutoffs) -> pa.Array:
    """The split that each day belongs to."""
    dates = event_dates.to_numpy()
    is_fit, is_rank = (dates <= np.datetime64(end) for end in (cutoffs.end_of_fit, cutoffs.end_of_rank))
    return pa.array(np.select([is_fit, is_rank], [FIT, RANK], JUDGE), pa.string())
