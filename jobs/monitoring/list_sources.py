"""How many of a day's lists come from each rung of the ladder: a champion that knows fewer people is worth less."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from contracts.lists import SOURCES
from jobs.io.lake import Lake

if TYPE_CHECKING:
    import pyarrow as pa


def read_sources(lake: Lake, table: str, day: date) -> dict[str, int] | None:
    """How many lists of a day come from each source, from the top of the ladder down; None where they are not kept."""
    if lake.manifest(table, day) is None:
        return None
    return count_sources(lake.read(table, day, ["source"]))


def count_sources(lists: pa.Table) -> dict[str, int]:
    """How many lists come from each source, from the top of the ladder down."""
    import pyarrow.compute as pc

    counts = {row["values"]: row["counts"] for row in pc.value_counts(lists.column("source")).to_pylist()}
    return {source: counts.get(source, 0) for source in SOURCES}
