"""What happens in a day's sessions, as columns of the feed.

V visits
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from simulator.catalogue import SERVICE_CENTS, SERVICE_ITEMS, Catalogue
from simulator.delivery import EVENT_SCHEMA
from simulator.shelf import Shelf
from simulator.today import IntArray

KINDS = ("impression", "view", "cart", "purchase", "return")
IMPRESSION, VIEW, CART, PURCHASE, RETURN = range(5)


@dataclass
class Columns:
    """Events as columns; -1 stands for nothing."""

    visit: IntArray
    kind: IntArray
    item: IntArray  # by number; services are -1, -2, …
    at_ms: IntArray  # since the day began; may lie in a later day
    quantity: IntArray
    is_paid: IntArray  # 1 where the event tells the item's price
    dwell_ms: IntArray
    scroll_percent: IntArray
    position: IntArray

    @classmethod
    def of(cls, visit: IntArray, kind: int, item: IntArray, at_ms: IntArray, **given: IntArray) -> Columns:
        nothing = np.full(len(visit), -1, np.int64)
        optional = ("quantity", "is_paid", "dwell_ms", "scroll_percent", "position")
        return cls(
            visit, np.full(len(visit), kind), item, at_ms, *(given.get(name, nothing) for name in optional)
        )

    @classmethod
    def joined(cls, parts: Sequence[Columns]) -> Columns:
        """All parts, in the order of time."""
        columns = {name: np.concatenate([getattr(part, name) for part in parts]) for name in vars(parts[0])}
        order = np.argsort(columns["at_ms"], kind="stable")
        return cls(**{name: values[order] for name, values in columns.items()})

    def __len__(self) -> int:
        return len(self.visit)


def paid_cents(columns: Columns, cents_M: IntArray) -> IntArray:
    """What each event tells of the price of its item or service, -1 where it tells nothing."""
    cents = np.where(
        columns.item >= 0, cents_M[columns.item], SERVICE_CENTS[-1 - np.minimum(columns.item, -1)]
    )
    return np.where(columns.is_paid > 0, cents, -1)


def event_table(
    day: date, catalogue: Catalogue, shelf: Shelf, number_V: IntArray, columns: Columns, version: str | None
) -> pa.Table:
    """The columns as the feed's events, in text and numbers."""
    num_items = len(catalogue.place_M)
    items = pa.array([*map(catalogue.item_id, range(num_items)), *SERVICE_ITEMS])
    item = np.where(columns.item >= 0, columns.item, num_items - 1 - columns.item)
    user = number_V[columns.visit]
    user_id = _numbered("u", _optional(user), 7)
    is_home = pa.array(columns.position > 0)
    decision = pc.binary_join_element_wise(version or "", user_id, ":")
    prefix = day.strftime("%Y%m%d")
    # A return is no part of the visit that it goes back to.
    session = pa.array(columns.visit, mask=columns.kind == RETURN)
    occurred_at = np.datetime64(day, "ms") + columns.at_ms.astype("timedelta64[ms]")
    cents = _optional(paid_cents(columns, shelf.told_cents_M))
    return pa.table(
        {
            "event_id": _numbered(f"{prefix}-", pa.array(np.arange(len(columns))), 7),
            "user_id": user_id,
            "item_id": items.take(pa.array(item)),
            "event_type": pa.array(KINDS).take(pa.array(columns.kind)),
            "occurred_at": pc.strftime(pa.array(occurred_at), format="%Y-%m-%dT%H:%M:%SZ"),
            "session_id": _numbered(f"s{prefix}-", session, 6),
            "quantity": _optional(columns.quantity),
            "unit_price": pc.divide(pc.cast(cents, pa.float64()), 100.0),
            "value": pa.nulls(len(columns), pa.float64()),
            "dwell_ms": _optional(columns.dwell_ms),
            "scroll_depth": pc.divide(pc.cast(_optional(columns.scroll_percent), pa.float64()), 100.0),
            "surface": pc.if_else(is_home, "home", None),
            "position": _optional(columns.position),
            "decision_id": pc.if_else(is_home, decision, None),
            "propensity": pa.nulls(len(columns), pa.float64()),
        },
        schema=EVENT_SCHEMA,
    )


def _optional(values: IntArray) -> pa.Array:
    return pa.array(values, mask=values < 0)


def _numbered(prefix: str, numbers: pa.Array, width: int) -> pa.Array:
    digits = pc.utf8_lpad(pc.cast(numbers, pa.string()), width=width, padding="0")
    return pc.binary_join_element_wise(prefix, digits, "")
