"""The training set's impressions: what was shown, and what came of it as far as the retraining's day knows."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from contracts.tables import CARTED, CLICKED, IGNORED, PURCHASED, TRAINING_IMPRESSIONS
from jobs.features.cutoffs import Cutoffs
from jobs.features.training_set import split_of
from jobs.io.schemas import arrow_schema

NEEDED = (
    "event_id",
    "user_id",
    "item_id",
    "event_date",
    "position",
    "propensity",
    "known_date",
    "clicked_known_date",
    "carted_known_date",
    "purchased_known_date",
)


def training_impressions(impressions: pa.Table, cutoffs: Cutoffs) -> pa.Table:
    """One row per impression that was known on the day, with the strongest outcome that was.

    Args:
        impressions: the columns ``NEEDED`` of rows of ``features/fct_impressions``, whose order is kept.
    """
    rows = impressions.filter(pc.less_equal(impressions.column("known_date"), cutoffs.day))

    def happened(name: str) -> pa.ChunkedArray:
        """Was this outcome known by the day? What became known later is not, and what never happened neither."""
        return pc.fill_null(pc.less_equal(rows.column(name), cutoffs.day), False)

    outcome = pc.case_when(
        pc.make_struct(
            *(happened(name) for name in ("purchased_known_date", "carted_known_date", "clicked_known_date"))
        ),
        *(pa.scalar(name) for name in (PURCHASED, CARTED, CLICKED, IGNORED)),
    )
    columns = {**{name: rows.column(name) for name in NEEDED}, "outcome": outcome}
    columns["split"] = split_of(rows.column("event_date"), cutoffs)
    schema = arrow_schema(TRAINING_IMPRESSIONS)
    return pa.table([columns[name] for name in schema.names], schema=schema)
