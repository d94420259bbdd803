"""What happens in a day's sessions: impressions, views, carts, purchases, returns, as columns of the feed.

V visits · C clicks · I impressions · T steps
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from simulator.catalogue import SERVICE_CENTS, SERVICE_ITEMS, Catalogue
from simulator.config import ShopConfig, generator
from simulator.delivery import EVENT_SCHEMA
from simulator.home_page import Shown, match
from simulator.people import People, Tastes
from simulator.visits import DAY_MS, Arrivals, Browsing, IntArray

KINDS = ("impression", "view", "cart", "purchase", "return")
IMPRESSION, VIEW, CART, PURCHASE, RETURN = range(5)
#: Goods come back after 3 to so many days.
LONGEST_KEPT_DAYS = 9

_CART_CHANCE, _CART_CHANCE_OF_TASTE = 0.03, 0.09
_PURCHASE_CHANCE = 0.4  # of what is in a cart
_RETURN_SHARE = 0.06
_SERVICE_SHARE = 0.35  # of orders that carry postage or wrapping
_CLICK_MS = 25_000  # between two clicks on the home page
_PAYING_MS = 45_000


@dataclass
class Columns:
    """Events as columns; -1 stands for nothing."""

    visit: IntArray
    kind: IntArray
    item: IntArray  # service items are numbered after the catalogue's
    at_ms: IntArray  # since the day began; may lie in a later day
    quantity: IntArray
    cents: IntArray
    dwell_ms: IntArray
    scroll_percent: IntArray
    place: IntArray

    @classmethod
    def of(cls, visit: IntArray, kind: int, item: IntArray, at_ms: IntArray, **given: IntArray) -> Columns:
        nothing = np.full(len(visit), -1, np.int64)
        optional = ("quantity", "cents", "dwell_ms", "scroll_percent", "place")
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


def happenings(
    config: ShopConfig,
    offset: int,
    catalogue: Catalogue,
    tastes: Tastes,
    arrivals: Arrivals,
    shown: Shown,
    browsing: Browsing,
) -> Columns:
    """Impressions, views, what goes into carts, what is bought and what comes back."""
    num_visits = len(arrivals.user_V)
    clicks_V = np.bincount(shown.visit_I[shown.is_clicked_I], minlength=num_visits)
    impressions = Columns.of(
        shown.visit_I, IMPRESSION, shown.item_I, arrivals.start_ms_V[shown.visit_I], place=shown.place_I
    )
    # Clicks come first, one after the other from the top of the list; then people look around.
    clicked = np.flatnonzero(shown.is_clicked_I)
    visit_C = shown.visit_I[clicked]
    earlier_V = np.cumsum(clicks_V) - clicks_V
    nth_C = np.arange(len(clicked)) - earlier_V[visit_C] + 1
    begun_V = arrivals.start_ms_V + _CLICK_MS * (clicks_V + (clicks_V > 0))

    visit = np.concatenate([visit_C, browsing.visit_T])
    item = np.concatenate([shown.item_I[clicked], browsing.item_T])
    at_ms = np.concatenate(
        [
            arrivals.start_ms_V[visit_C] + _CLICK_MS * nth_C,
            begun_V[browsing.visit_T] + browsing.after_ms_T,
        ]
    )
    gap_ms = np.concatenate([np.full(len(clicked), _CLICK_MS), browsing.gap_ms_T])
    place = np.concatenate([shown.place_I[clicked], np.full(len(browsing.visit_T), -1)])
    rng = generator(config, "looking", offset)
    attention = rng.random(len(visit))
    views = Columns.of(
        visit,
        VIEW,
        item,
        at_ms,
        dwell_ms=(gap_ms * (0.3 + 0.65 * attention)).astype(np.int64),
        scroll_percent=np.rint(100 * np.sqrt(attention * rng.random(len(visit)))).astype(np.int64),
        place=place,
    )
    return Columns.joined(
        [impressions, views, *_bought(config, offset, catalogue, tastes, arrivals, views, gap_ms)]
    )


def _bought(
    config: ShopConfig,
    offset: int,
    catalogue: Catalogue,
    tastes: Tastes,
    arrivals: Arrivals,
    views: Columns,
    gap_ms: IntArray,
) -> list[Columns]:
    """Carts, purchases, their service lines and their returns; the better it suits the likelier."""
    rng = generator(config, "buying", offset)
    prices_N = catalogue.prices(offset)
    suits = match(tastes, catalogue, arrivals.user_V[views.visit], views.item)
    in_cart = np.flatnonzero(rng.random(len(views)) < _CART_CHANCE + _CART_CHANCE_OF_TASTE * suits)
    carts = Columns.of(
        views.visit[in_cart],
        CART,
        views.item[in_cart],
        views.at_ms[in_cart] + gap_ms[in_cart] // 2,
        quantity=rng.geometric(0.8, len(in_cart)),
        cents=prices_N[views.item[in_cart]],
    )
    is_bought = rng.random(len(carts)) < _PURCHASE_CHANCE
    # People pay when they have seen everything.
    end_ms_V = np.zeros(len(arrivals.user_V), np.int64)
    np.maximum.at(end_ms_V, views.visit, views.at_ms + gap_ms)
    visit = carts.visit[is_bought]
    paid_ms = end_ms_V[visit] + _PAYING_MS
    purchases = Columns.of(
        visit, PURCHASE, carts.item[is_bought], paid_ms,
        quantity=carts.quantity[is_bought], cents=carts.cents[is_bought],
    )  # fmt: skip
    ordering = np.unique(visit)
    ordering = ordering[rng.random(len(ordering)) < _SERVICE_SHARE]
    service = rng.integers(0, len(SERVICE_ITEMS), len(ordering))
    services = Columns.of(
        ordering, PURCHASE, len(prices_N) + service, end_ms_V[ordering] + _PAYING_MS,
        quantity=np.ones(len(ordering), np.int64), cents=SERVICE_CENTS[service],
    )  # fmt: skip
    is_returned = rng.random(len(purchases)) < _RETURN_SHARE
    days_kept = rng.integers(3, LONGEST_KEPT_DAYS + 1, int(is_returned.sum()))
    returns = Columns.of(
        visit[is_returned], RETURN, purchases.item[is_returned],
        days_kept * DAY_MS + paid_ms[is_returned] % DAY_MS,
        quantity=purchases.quantity[is_returned], cents=purchases.cents[is_returned],
    )  # fmt: skip
    return [carts, purchases, services, returns]


def event_table(
    day: date, people: People, catalogue: Catalogue, arrivals: Arrivals, columns: Columns, version: str | None
) -> pa.Table:
    """The columns as the feed's events, in text and numbers."""
    users = pa.array(people.user_ids_U.tolist())
    items = pa.array([*catalogue.item_ids_N.tolist(), *SERVICE_ITEMS])
    user = arrivals.user_V[columns.visit]
    is_anonymous = arrivals.is_anonymous_V[columns.visit]
    user_id = users.take(pa.array(user, mask=is_anonymous))
    is_home = pa.array(columns.place > 0)
    decision = pc.binary_join_element_wise(version or "", user_id, ":")
    prefix = day.strftime("%Y%m%d")
    # A return is no part of the visit that it goes back to.
    session = pa.array(columns.visit, mask=columns.kind == RETURN)
    occurred_at = np.datetime64(day, "ms") + columns.at_ms.astype("timedelta64[ms]")
    return pa.table(
        {
            "event_id": _numbered(f"{prefix}-", pa.array(np.arange(len(columns))), 7),
            "user_id": user_id,
            "item_id": items.take(pa.array(columns.item)),
            "event_type": pa.array(KINDS).take(pa.array(columns.kind)),
            "occurred_at": pc.strftime(pa.array(occurred_at), format="%Y-%m-%dT%H:%M:%SZ"),
            "session_id": _numbered(f"s{prefix}-", session, 6),
            "quantity": _optional(columns.quantity),
            "unit_price": pc.divide(pc.cast(_optional(columns.cents), pa.float64()), 100.0),
            "value": pa.nulls(len(columns), pa.float64()),
            "dwell_ms": _optional(columns.dwell_ms),
            "scroll_depth": pc.divide(pc.cast(_optional(columns.scroll_percent), pa.float64()), 100.0),
            "surface": pc.if_else(is_home, "home", None),
            "position": _optional(columns.place),
            "decision_id": pc.if_else(is_home, decision, None),
        },
        schema=EVENT_SCHEMA,
    )


def _optional(values: IntArray) -> pa.Array:
    return pa.array(values, mask=values < 0)


def _numbered(prefix: str, numbers: pa.Array, width: int) -> pa.Array:
    digits = pc.utf8_lpad(pc.cast(numbers, pa.string()), width=width, padding="0")
    return pc.binary_join_element_wise(prefix, digits, "")
