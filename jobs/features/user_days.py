"""What each user acted upon within one day: the part of a history that one event day settles.

E events · G users on a day · W events that wanted an item · S steps · B items of baskets
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from contracts.tables import BOUGHT, IN_CART, LOOKED, USER_DAYS
from jobs.features.ragged import IntArray, lists, numbered
from jobs.io.schemas import arrow_schema

NEEDED = ("user_id", "event_date", "occurred_at", "event_id", "item_id", "event_type", "weight")
#: An item counts for at most this much on one day of one user: as much as a purchase.
MAX_WEIGHT = 5
#: Only a user's latest items of a day stand in its basket, so that no reseller or robot explodes the pairs.
MAX_ITEMS_A_DAY = 50


def user_days(events: pa.Table) -> pa.Table:
    """One row per user and event day, in that order: the items that the user wanted, the others, the basket.

    What is wanted stands in the order of time; a view, a cart and a purchase of one item in a row are one step, as deep
    as the deepest of them.
    Events at one instant are put in the order of their ids. What was only returned or rated badly that day is no
    step, but it has been seen. The basket holds the latest different items of the day, in the order of their ids, each
    with the weight of all its events.

    Args:
        events: the columns ``NEEDED`` of all events of some users, in any order.
    """
    if not len(events):
        return arrow_schema(USER_DAYS).empty_table()
    first_G, group_E, order_E = _in_time(events)
    item_E, names = numbered(events.column("item_id"))
    item_E = item_E[order_E]
    weight_E = events.column("weight").to_numpy()[order_E].astype(np.int64)
    is_wanted_E = weight_E > 0
    pair_E = group_E * len(names) + item_E  # a user's day and an item, as one number
    pair_W = pair_E[is_wanted_E]
    start_S = np.flatnonzero(np.diff(pair_W, prepend=-1))
    pair_S = pair_W[start_S]
    depth_W = _depths(events.column("event_type"))[order_E][is_wanted_E]
    depth_S = np.maximum.reduceat(depth_W, start_S) if len(start_S) else depth_W
    other_O = np.setdiff1d(pair_E[~is_wanted_E], pair_W)
    basket_B = latest_items(pair_S, len(names), MAX_ITEMS_A_DAY)
    all_wanted, place_W = np.unique(pair_W, return_inverse=True)
    weights = np.minimum(np.bincount(place_W, weight_E[is_wanted_E]), MAX_WEIGHT).astype(np.int32)

    def items_of(pairs: IntArray) -> pa.ListArray:
        groups, items = np.divmod(pairs, max(len(names), 1))
        return lists(groups, names.take(pa.array(items)), len(first_G))

    basket_weights = pa.array(weights[np.searchsorted(all_wanted, basket_B)], pa.int32())
    days = events.select(["user_id", "event_date"]).take(pa.array(first_G))
    columns = [
        *days.columns,
        items_of(pair_S),
        lists(pair_S // max(len(names), 1), pa.array(depth_S), len(first_G)),
        items_of(other_O),
        items_of(basket_B),
        lists(basket_B // max(len(names), 1), basket_weights, len(first_G)),
    ]
    return pa.table(columns, schema=arrow_schema(USER_DAYS))


def _in_time(events: pa.Table) -> tuple[IntArray, IntArray, IntArray]:
    """The events in the order of group (a user's day), time and id: an event of each group, each event's group, its place."""
    user_E, _ = numbered(events.column("user_id"))
    day_E = events.column("event_date").cast(pa.int32()).to_numpy().astype(np.int64)
    span = int(day_E.max()) - int(day_E.min()) + 1
    _, first_G, group_E = np.unique(
        user_E * span + day_E - day_E.min(), return_index=True, return_inverse=True
    )
    time_E = events.column("occurred_at").cast(pa.int64()).to_numpy()
    order_E = np.lexsort((time_E, group_E))
    is_same_E = (np.diff(group_E[order_E]) == 0) & (np.diff(time_E[order_E]) == 0)
    if is_same_E.any():  # ids are texts, slow to put in order: only where they decide
        tied_E = np.flatnonzero(np.append(is_same_E, False) | np.append(False, is_same_E))
        tied = pa.table(
            {
                "group": group_E[order_E[tied_E]],
                "time": time_E[order_E[tied_E]],
                "id": events.column("event_id").take(pa.array(order_E[tied_E])),
            }
        )
        by = pc.sort_indices(tied, [("group", "ascending"), ("time", "ascending"), ("id", "ascending")])
        order_E[tied_E] = order_E[tied_E][by.to_numpy()]
    return first_G, group_E[order_E], order_E


def _depths(event_types: pa.ChunkedArray) -> npt.NDArray[np.int32]:
    """How far each event went."""
    is_cart, is_purchase = (
        np.asarray(pc.equal(event_types, kind)).astype(bool) for kind in ("cart", "purchase")
    )
    return np.where(is_purchase, BOUGHT, np.where(is_cart, IN_CART, LOOKED)).astype(np.int32)


def latest_items(pair_S: IntArray, num_items: int, most: int) -> IntArray:
    """Of each group's steps the latest different items, in the order of group and item.

    Args:
        pair_S: group · num_items + item of each step, each group's in the order of time.
        most: so many of a group at most.
    """
    # Read backwards, the first place of a pair is its last step.
    pair_B, last_B = np.unique(pair_S[::-1], return_index=True)
    group_B = pair_B // max(num_items, 1)
    order_B = np.lexsort((last_B, group_B))
    place_B = np.empty(len(pair_B), np.int64)
    place_B[order_B] = np.arange(len(pair_B)) - np.searchsorted(group_B, group_B)
    return pair_B[place_B < most]
