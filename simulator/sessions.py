"""What happens in a day's sessions: impressions, views, carts, purchases, and what comes back.

V visits · I impressions · C clicks among them · T steps
"""

from __future__ import annotations

import numpy as np

from simulator.browsing import Browsing
from simulator.catalogue import SERVICE_ITEMS
from simulator.events import CART, IMPRESSION, PURCHASE, RETURN, VIEW, Columns
from simulator.home_page import Shown
from simulator.today import FloatArray, IntArray, Today
from simulator.visits import DAY_MS, Arrivals

#: Goods come back after 3 to so many days.
LONGEST_KEPT_DAYS = 9

# Of views 2.6 % lead to a cart: more of what suits, more of what is on promotion. Of carts 32 % are bought.
_CART_CHANCE, _CART_CHANCE_OF_TASTE, _PROMOTED_CARTS = 0.0125, 0.029, 1.4
_PURCHASE_CHANCE = 0.32
_RETURN_SHARE = 0.06
_SERVICE_SHARE = 0.35  # of orders that carry postage or wrapping
_CLICK_MS = 25_000  # between two clicks on the home page
_PAYING_MS = 45_000


def happenings(today: Today, arrivals: Arrivals, shown: Shown, browsing: Browsing) -> Columns:
    """Everything that happens in the sessions, in the order of time."""
    impressions = Columns.of(
        shown.visit_I, IMPRESSION, shown.item_I, arrivals.start_ms_V[shown.visit_I], position=shown.position_I
    )
    # Clicks come first, one after the other from the top of the list; then people look around.
    clicked = np.flatnonzero(shown.is_clicked_I)
    visit_C = shown.visit_I[clicked]
    clicks_V = np.bincount(visit_C, minlength=len(arrivals))
    nth_C = np.arange(len(clicked)) - (np.cumsum(clicks_V) - clicks_V)[visit_C] + 1
    begun_V = arrivals.start_ms_V + _CLICK_MS * (clicks_V + (clicks_V > 0))

    visit = np.concatenate([visit_C, browsing.visit_T])
    place = np.concatenate([shown.place_I[clicked], browsing.place_T])
    gap_ms = np.concatenate([np.full(len(clicked), _CLICK_MS), browsing.gap_ms_T])
    # What follows a click and what people look at by themselves have dice of their own: another list changes
    # nothing about what they would have done without it.
    dice = np.concatenate(
        [
            today.dice_of("clicked views", visit_C, shown.position_I[clicked], 6),
            today.dice("views").random((len(browsing.visit_T), 6)),
        ]
    )
    attention = dice[:, 0]
    views = Columns.of(
        visit,
        VIEW,
        today.shelf.item_N[place],
        np.concatenate(
            [
                arrivals.start_ms_V[visit_C] + _CLICK_MS * nth_C,
                begun_V[browsing.visit_T] + browsing.after_ms_T,
            ]
        ),
        dwell_ms=(gap_ms * (0.3 + 0.65 * attention)).astype(np.int64),
        scroll_percent=np.rint(100 * np.sqrt(attention * dice[:, 1])).astype(np.int64),
        position=np.concatenate([shown.position_I[clicked], np.full(len(browsing.visit_T), -1)]),
    )
    return Columns.joined([impressions, views, *_bought(today, arrivals, views, place, gap_ms, dice[:, 2:])])


def _bought(
    today: Today, arrivals: Arrivals, views: Columns, place: IntArray, gap_ms: IntArray, dice: FloatArray
) -> list[Columns]:
    """Carts, purchases, their service lines and their returns; the better it suits the likelier."""
    suits = today.match(arrivals.user_V[views.visit], place)
    chance = _CART_CHANCE + _CART_CHANCE_OF_TASTE * suits
    chance *= np.where(today.shelf.is_promoted_N[place], _PROMOTED_CARTS, 1.0)
    in_cart = np.flatnonzero(dice[:, 0] < chance)
    cart_dice = dice[in_cart]
    carts = Columns.of(
        views.visit[in_cart],
        CART,
        views.item[in_cart],
        views.at_ms[in_cart] + gap_ms[in_cart] // 2,
        quantity=np.where(cart_dice[:, 3] < 0.8, 1, np.where(cart_dice[:, 3] < 0.96, 2, 3)),
        is_paid=np.ones(len(in_cart), np.int64),
    )
    is_bought = cart_dice[:, 1] < _PURCHASE_CHANCE
    # People pay when they have seen everything.
    end_ms_V = np.zeros(len(arrivals), np.int64)
    np.maximum.at(end_ms_V, views.visit, views.at_ms + gap_ms)
    visit = carts.visit[is_bought]
    paid_ms = end_ms_V[visit] + _PAYING_MS
    purchases = Columns.of(
        visit, PURCHASE, carts.item[is_bought], paid_ms,
        quantity=carts.quantity[is_bought], is_paid=np.ones(len(visit), np.int64),
    )  # fmt: skip
    service_dice_V = today.dice("services").random((len(arrivals), 2))
    ordering = np.unique(visit)
    ordering = ordering[service_dice_V[ordering, 0] < _SERVICE_SHARE]
    services = Columns.of(
        ordering, PURCHASE, -1 - (service_dice_V[ordering, 1] * len(SERVICE_ITEMS)).astype(np.int64),
        end_ms_V[ordering] + _PAYING_MS,
        quantity=np.ones(len(ordering), np.int64), is_paid=np.ones(len(ordering), np.int64),
    )  # fmt: skip
    # The same die tells whether it comes back and, if so, when.
    return_dice = cart_dice[is_bought, 2]
    is_returned = return_dice < _RETURN_SHARE
    days_kept = 3 + (return_dice[is_returned] / _RETURN_SHARE * (LONGEST_KEPT_DAYS - 2)).astype(np.int64)
    returns = Columns.of(
        visit[is_returned], RETURN, purchases.item[is_returned],
        days_kept * DAY_MS + paid_ms[is_returned] % DAY_MS,
        quantity=purchases.quantity[is_returned], is_paid=np.ones(len(days_kept), np.int64),
    )  # fmt: skip
    return [carts, purchases, services, returns]
