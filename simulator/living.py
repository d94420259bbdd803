"""One day of the world's life: what happens, what the shop's tracker tells of it, and what the world knows of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from simulator.bots import with_bots
from simulator.browsing import browse
from simulator.events import PURCHASE, VIEW, Columns, event_table, paid_cents
from simulator.home_page import Shown, show_lists
from simulator.memory import Memory
from simulator.sessions import happenings
from simulator.today import IntArray, Today
from simulator.tracker import tracked
from simulator.visits import DAY_MS, Arrivals, who_comes

_LATE_SHARE = 0.01


@dataclass(frozen=True)
class Lived:
    """What has happened on a day."""

    now: pa.Table  # events that are delivered at once
    held_back: pa.Table  # events that are delivered later, on the day that they are ``due``
    arrivals: Arrivals
    shown: Shown
    outcome: dict[str, Any]  # what the world knows, see ``outcome_of``


def live(
    today: Today,
    is_joining_U: npt.NDArray[np.bool_],
    published: Mapping[str, Sequence[str]],
    version: str | None,
    recall: Callable[[IntArray], Memory],
) -> Lived:
    """What happens on a day to people who see what is published and remember what they saw."""
    arrivals = who_comes(today, is_joining_U)
    known_V = arrivals.number_V[arrivals.number_V >= 0]
    shown = show_lists(today, arrivals, published, recall(known_V if published else known_V[:0]))
    browsing = browse(today, arrivals, shown.last_clicks(len(arrivals)))
    columns = happenings(today, arrivals, shown, browsing)
    outcome = outcome_of(today, arrivals, shown, columns)
    columns, number_V = with_bots(today, columns, arrivals.number_V)
    is_late = today.dice("late").random(len(columns)) < _LATE_SHARE
    days_later = np.maximum(columns.at_ms // DAY_MS, is_late.astype(np.int64))
    due = pa.array(np.datetime64(today.day) + days_later.astype("timedelta64[D]"))
    events = event_table(today.day, today.catalogue, today.shelf, number_V, columns, version)
    events = tracked(today, events.append_column("due", due))
    waits = pc.greater(events["due"], pa.scalar(today.day))
    return Lived(
        now=events.filter(pc.invert(waits)).drop_columns("due"),
        held_back=events.filter(waits),
        arrivals=arrivals,
        shown=shown,
        outcome=outcome,
    )


def outcome_of(today: Today, arrivals: Arrivals, shown: Shown, columns: Columns) -> dict[str, Any]:
    """The day's outcome, without bots and whatever the tracker tells.

    Of the visits of people who have a list: ``visits``, ``clicks`` on what was shown, ``expected_clicks`` (the sum of the
    chances of a click), ``views``, ``home_views`` (those that such a click led to). Of the whole shop: ``orders``
    and ``revenue_cents``.
    """
    has_list_V = np.zeros(len(arrivals), bool)
    has_list_V[shown.visit_I] = True
    is_view = (columns.kind == VIEW) & has_list_V[columns.visit]
    is_purchase = columns.kind == PURCHASE
    is_of_goods = is_purchase & (columns.item >= 0)
    paid = paid_cents(columns, today.shelf.cents_M)[is_purchase] * columns.quantity[is_purchase]
    return {
        "visits": int(has_list_V.sum()),
        "clicks": int(shown.is_clicked_I.sum()),
        "expected_clicks": round(float(shown.chance_I.sum()), 6),
        "views": int(is_view.sum()),
        "home_views": int((is_view & (columns.position > 0)).sum()),
        "orders": len(np.unique(columns.visit[is_of_goods])),
        "revenue_cents": int(paid.sum()),
    }
