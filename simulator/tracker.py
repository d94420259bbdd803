"""The shop's tracker: what it makes of the events while it is broken. What happened, happened all the same."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from simulator.incidents import ColumnBroken, EventsLost
from simulator.today import Today


def tracked(today: Today, events: pa.Table) -> pa.Table:
    """The events of a day as the tracker tells them."""
    for lost in today.config.incidents_of(EventsLost, today.day):
        is_kept = today.dice(f"lost since {lost.day}").random(len(events)) >= lost.share
        events = events.filter(pa.array(is_kept))
    for broken in today.config.incidents_of(ColumnBroken, today.day):
        column = events[broken.column]
        instead = pa.scalar(float("nan") if broken.value == "nan" else None, column.type)
        # Where there was nothing, there is still nothing.
        emptied = pc.if_else(pc.is_valid(column), instead, pa.scalar(None, column.type))
        events = events.set_column(events.schema.get_field_index(broken.column), broken.column, emptied)
    return events
