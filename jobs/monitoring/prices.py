"""Has the catalogue's price column broken? Prices do change; many do not change manifold in the time of a champion.

They are held against the last day that the champion knows: against yesterday's, a fault that lasts would soon be taken for
normal, and its mending for a fault.
"""

from __future__ import annotations

from datetime import date

from contracts import names
from jobs.io.lake import Lake
from jobs.monitoring.engine import engine, source
from jobs.monitoring.thresholds import Validity


def price_reasons(lake: Lake, before: date, day: date, thresholds: Validity, *, threads: int) -> list[str]:
    """What is wrong with the prices of ``day`` beside those of the day ``before``; nothing if they are plausible."""
    if lake.manifest(names.DIM_ITEMS, before) is None or lake.manifest(names.DIM_ITEMS, day) is None:
        return []
    row = (
        engine(threads)
        .execute(
            f"""
            select count(*), count(*) filter (greatest(ratio, 1 / ratio) >= {thresholds.price_factor}),
                max(greatest(ratio, 1 / ratio))
            from (
                select now.price_cents::double / before.price_cents as ratio
                from {source(lake, names.DIM_ITEMS, [before])} as before
                join {source(lake, names.DIM_ITEMS, [day])} as now on now.item_id = before.item_id
                where before.price_cents > 0 and now.price_cents > 0
            )
            """
        )
        .fetchone()
    )
    assert row is not None
    num_items, num_jumped, largest = row
    if not num_items or num_jumped / num_items <= thresholds.max_price_jumps:
        return []
    return [
        f"the price of {num_jumped} of {num_items} items is another since {before} by a factor of {thresholds.price_factor:g} "
        f"or more, up to {largest:.0f} (limit {thresholds.max_price_jumps:.0%} of items)"
    ]
