"""A modest seeded shop that delivers the feed of Foretaste's contract, one day after the other.

A day depends on the seed, the day, what was published for it, and what earlier days held back (events that
arrive a day late, goods that come back). What is held back lies beside the feed, in ``<feed>.held-back/``; there
is no other state, so every day can be simulated in a process of its own.

It follows the facts measured on real shops (popularity, session lengths, gaps, categories, places), with
one liberty: people buy about four times as readily, so that a small shop has enough purchases.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from contracts.feed import Calendar, FeedDescription
from simulator.catalogue import (
    SERVICE_CENTS,
    SERVICE_ITEMS,
    Catalogue,
    Fashion,
    item_rows,
    make_catalogue,
    make_fashions,
)
from simulator.config import ShopConfig, generator
from simulator.delivery import (
    EVENT_SCHEMA,
    ITEM_SCHEMA,
    USER_SCHEMA,
    table_of,
    write_delivery,
    write_description,
)
from simulator.home_page import Shown, match, show_lists
from simulator.people import People, Tastes, make_people, make_tastes, user_rows
from simulator.visits import DAY_MS, Arrivals, Browsing, browse, who_comes

__all__ = ["Shop", "ShopConfig"]

IntArray = npt.NDArray[np.int64]

KINDS = ("impression", "view", "cart", "purchase", "return")
IMPRESSION, VIEW, CART, PURCHASE, RETURN = range(5)

_LATE_SHARE = 0.01
_DUPLICATE_SHARE = 0.003
_RETURN_SHARE = 0.06
_SERVICE_SHARE = 0.35  # of orders that carry postage or wrapping
_HELD_BACK_DAYS = 11  # nothing is held back for longer
_CLICK_MS = 25_000  # between two clicks on the home page


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


class Shop:
    """The outside world of one seed: a catalogue, people, and the days that they spend in the shop."""

    def __init__(self, config: ShopConfig) -> None:
        self.config = config

    @cached_property
    def catalogue(self) -> Catalogue:
        return make_catalogue(self.config)

    @cached_property
    def people(self) -> People:
        return make_people(self.config)

    @cached_property
    def _fashions(self) -> tuple[Fashion, Fashion]:
        return make_fashions(self.config, self.catalogue)

    @cached_property
    def _tastes(self) -> dict[bool, Tastes]:
        return {}

    def tastes(self, day: date) -> Tastes:
        """What people like on a day: before the shift, or after it."""
        is_shifted = self.config.is_shifted(day)
        if is_shifted not in self._tastes:
            self._tastes[is_shifted] = make_tastes(self.config, is_shifted)
        return self._tastes[is_shifted]

    def fashion(self, day: date) -> Fashion:
        return self._fashions[self.config.is_shifted(day)]

    def deliver(
        self,
        feed: Path,
        day: date,
        published: Mapping[str, Sequence[str]] | None = None,
        version: str | None = None,
    ) -> dict[str, Any]:
        """Simulate a day and write what the shop delivers on it; a second time writes the same bytes.

        Args:
            published: item ids by user, best first, as Foretaste published them: people see the first ten.
            version: of the lists; it goes into the impressions' ``decision_id``.
        """
        write_description(feed, self.description)
        now, held_back = self.events_of(day, published, version)
        late = self._due(feed, day)
        events = _with_repeats(pa.concat_tables([now, *late]), self.config, self.config.offset(day))
        items = table_of(item_rows(self.catalogue, self.config, day), ITEM_SCHEMA)
        users = table_of(user_rows(self.people, self.config, day), USER_SCHEMA)
        held_back_file = _held_back_file(feed, day)
        held_back_file.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(held_back, held_back_file)
        if len(items):
            write_delivery(feed, "items", day, items)
        if len(users):
            write_delivery(feed, "users", day, users)
        write_delivery(feed, "events", day, events)
        return {
            "day": day.isoformat(),
            "events": len(events),
            "impressions": pc.sum(pc.equal(events["event_type"], "impression")).as_py() or 0,
            "items": len(items),
            "users": len(users),
            "from_earlier_days": sum(len(table) for table in late),
            "repeated": len(events) - len(now) - sum(len(table) for table in late),
            "held_back": len(held_back),
        }

    @property
    def description(self) -> FeedDescription:
        """What ``feed.json`` says of this shop."""
        return FeedDescription(
            schema_version=1,
            shop=f"simulated shop {self.config.seed}",
            currency="EUR",
            time_zone="Europe/Berlin",
            repeats_allowed=True,
            missing_consent="granted",
            service_items=SERVICE_ITEMS,
            calendar=Calendar(),  # open every day
        )

    def events_of(
        self, day: date, published: Mapping[str, Sequence[str]] | None = None, version: str | None = None
    ) -> tuple[pa.Table, pa.Table]:
        """What happens on a day: what is delivered at once, and what is held back with the day it is ``due``."""
        config, offset = self.config, self.config.offset(day)
        tastes, fashion = self.tastes(day), self.fashion(day)
        arrivals = who_comes(config, day, self.people)
        shown = show_lists(config, offset, arrivals, self.people, tastes, self.catalogue, published or {})
        landed_V = shown.last_clicks(len(arrivals.user_V))
        browsing = browse(config, offset, arrivals, landed_V, tastes, self.catalogue, fashion)
        columns = self._columns(day, arrivals, shown, browsing)
        table = self._table(day, arrivals, columns, version)

        is_late = generator(config, "late", offset).random(len(columns)) < _LATE_SHARE
        days_later = np.maximum(columns.at_ms // DAY_MS, is_late.astype(np.int64))
        due = pa.array(np.datetime64(day) + days_later.astype("timedelta64[D]"))
        waits = pa.array(days_later > 0)
        return table.filter(pc.invert(waits)), table.append_column("due", due).filter(waits)

    def _columns(self, day: date, arrivals: Arrivals, shown: Shown, browsing: Browsing) -> Columns:
        """Impressions, views, what goes into carts, what is bought and what comes back."""
        offset = self.config.offset(day)
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
        rng = generator(self.config, "looking", offset)
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
        return Columns.joined([impressions, views, *self._bought(day, arrivals, views, gap_ms)])

    def _bought(self, day: date, arrivals: Arrivals, views: Columns, gap_ms: IntArray) -> list[Columns]:
        """Carts, purchases, their service lines and their returns; the better it suits the likelier."""
        offset = self.config.offset(day)
        rng = generator(self.config, "buying", offset)
        prices_N = self.catalogue.prices(offset)
        suits = match(self.tastes(day), self.catalogue, arrivals.user_V[views.visit], views.item)
        in_cart = np.flatnonzero(rng.random(len(views)) < 0.03 + 0.09 * suits)
        carts = Columns.of(
            views.visit[in_cart],
            CART,
            views.item[in_cart],
            views.at_ms[in_cart] + gap_ms[in_cart] // 2,
            quantity=rng.geometric(0.8, len(in_cart)),
            cents=prices_N[views.item[in_cart]],
        )
        is_bought = rng.random(len(carts)) < 0.4
        # People pay when they have seen everything.
        end_ms_V = np.zeros(len(arrivals.user_V), np.int64)
        np.maximum.at(end_ms_V, views.visit, views.at_ms + gap_ms)
        visit = carts.visit[is_bought]
        paid_ms = end_ms_V[visit] + 45_000
        purchases = Columns.of(
            visit, PURCHASE, carts.item[is_bought], paid_ms,
            quantity=carts.quantity[is_bought], cents=carts.cents[is_bought],
        )  # fmt: skip
        ordering = np.unique(visit)
        ordering = ordering[rng.random(len(ordering)) < _SERVICE_SHARE]
        service = rng.integers(0, len(SERVICE_ITEMS), len(ordering))
        services = Columns.of(
            ordering, PURCHASE, len(prices_N) + service, end_ms_V[ordering] + 45_000,
            quantity=np.ones(len(ordering), np.int64), cents=SERVICE_CENTS[service],
        )  # fmt: skip
        is_returned = rng.random(len(purchases)) < _RETURN_SHARE
        days_kept = rng.integers(3, _HELD_BACK_DAYS - 1, int(is_returned.sum()))
        returns = Columns.of(
            visit[is_returned], RETURN, purchases.item[is_returned],
            days_kept * DAY_MS + paid_ms[is_returned] % DAY_MS,
            quantity=purchases.quantity[is_returned], cents=purchases.cents[is_returned],
        )  # fmt: skip
        return [carts, purchases, services, returns]

    def _table(self, day: date, arrivals: Arrivals, columns: Columns, version: str | None) -> pa.Table:
        """The columns as the feed's events, in text and numbers."""
        users = pa.array(self.people.user_ids_U.tolist())
        items = pa.array([*self.catalogue.item_ids_N.tolist(), *SERVICE_ITEMS])
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

    def _due(self, feed: Path, day: date) -> list[pa.Table]:
        """What earlier days held back for this one."""
        tables = []
        for days_ago in range(_HELD_BACK_DAYS, 0, -1):
            file = _held_back_file(feed, day - timedelta(days=days_ago))
            if file.exists():
                held_back = pq.read_table(file)
                tables.append(
                    held_back.filter(pc.equal(held_back["due"], pa.scalar(day))).drop_columns("due")
                )
        return tables


def _held_back_file(feed: Path, day: date) -> Path:
    return feed.parent / f"{feed.name}.held-back" / f"day={day}.parquet"


def _with_repeats(events: pa.Table, config: ShopConfig, offset: int) -> pa.Table:
    """The events and, at the end, some of them once more: networks repeat what they could not confirm."""
    is_repeated = generator(config, "repeats", offset).random(len(events)) < _DUPLICATE_SHARE
    return pa.concat_tables([events, events.filter(pa.array(is_repeated))]).combine_chunks()


def _optional(values: IntArray) -> pa.Array:
    return pa.array(values, mask=values < 0)


def _numbered(prefix: str, numbers: pa.Array, width: int) -> pa.Array:
    digits = pc.utf8_lpad(pc.cast(numbers, pa.string()), width=width, padding="0")
    return pc.binary_join_element_wise(prefix, digits, "")
