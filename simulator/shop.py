"""A modest seeded shop that delivers the feed of Foretaste's contract, one day after the other.

A day depends on the seed, the day, what was published for it, and what earlier days held back (events that
arrive a day late, goods that come back). What is held back lies beside the feed, in ``<feed>.held-back/``; there
is no other state, so every day can be simulated in a process of its own.

It follows the facts measured on real shops (popularity, session lengths, gaps, categories, places), with
one liberty: people buy about four times as readily, so that a small shop has enough purchases.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from contracts.feed import Calendar, FeedDescription
from simulator.catalogue import (
    SERVICE_ITEMS,
    Catalogue,
    Fashion,
    item_rows,
    make_catalogue,
    make_fashions,
)
from simulator.config import ShopConfig, generator
from simulator.delivery import (
    ITEM_SCHEMA,
    USER_SCHEMA,
    table_of,
    write_delivery,
    write_description,
)
from simulator.events import LONGEST_KEPT_DAYS, event_table, happenings
from simulator.home_page import show_lists
from simulator.people import People, Tastes, make_people, make_tastes, user_rows
from simulator.visits import DAY_MS, browse, who_comes

__all__ = ["Shop", "ShopConfig"]

_LATE_SHARE = 0.01
_DUPLICATE_SHARE = 0.003
_HELD_BACK_DAYS = LONGEST_KEPT_DAYS + 2  # a return, after midnight, a day late: nothing waits longer


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
        columns = happenings(config, offset, self.catalogue, tastes, arrivals, shown, browsing)
        table = event_table(day, self.people, self.catalogue, arrivals, columns, version)

        is_late = generator(config, "late", offset).random(len(columns)) < _LATE_SHARE
        days_later = np.maximum(columns.at_ms // DAY_MS, is_late.astype(np.int64))
        due = pa.array(np.datetime64(day) + days_later.astype("timedelta64[D]"))
        waits = pa.array(days_later > 0)
        return table.filter(pc.invert(waits)), table.append_column("due", due).filter(waits)

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
