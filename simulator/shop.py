"""A seeded shop that lives for years and delivers the feed of Foretaste's contract, one day after the other.

A day depends on the seed, the day, what was published for it, what earlier days held back (events that arrive a
day late, goods that come back) and what people remember of the lists they saw. The last two lie beside the feed, in
``<feed>.held-back/``; there is no other state, so every day can be simulated in a process of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from contracts.feed import Calendar, FeedDescription
from simulator import memory
from simulator.bots import bot_numbers
from simulator.catalogue import SERVICE_ITEMS, Catalogue, make_catalogue
from simulator.config import ShopConfig, generator
from simulator.delivery import ITEM_SCHEMA, USER_SCHEMA, table_of, write_delivery, write_description
from simulator.fashion import make_fashion
from simulator.incidents import NewCategory, TasteShift
from simulator.living import Lived, live
from simulator.memory import Memory
from simulator.people import People, make_people, user_rows
from simulator.seasons import appetites, visits_lift
from simulator.sessions import LONGEST_KEPT_DAYS
from simulator.shelf import item_rows, make_shelf
from simulator.tastes import make_tastes
from simulator.today import IntArray, Today, viral_places
from simulator.turnover import period_of

__all__ = ["Shop", "ShopConfig"]

_DUPLICATE_SHARE = 0.003
_HELD_BACK_DAYS = LONGEST_KEPT_DAYS + 2  # a return, after midnight, a day late: nothing waits longer


class Shop:
    """The outside world of one seed: a catalogue, people, and the days that they spend in the shop."""

    def __init__(self, config: ShopConfig) -> None:
        self.config = config
        # Days come in order: of each the latest is enough, whatever its size.
        self._catalogue = lru_cache(1)(make_catalogue)
        self._people = lru_cache(1)(make_people)
        self._tastes = lru_cache(1)(make_tastes)
        self._fashion = lru_cache(1)(make_fashion)

    def people(self, day: date) -> People:
        """Everyone who has been or will soon be a user."""
        return self._people(self.config, period_of(self.config.offset(day)))

    def catalogue(self, day: date) -> Catalogue:
        """Every item that has been or will soon be sold."""
        new_categories = self.config.incidents_of(NewCategory, day)
        return self._catalogue(self.config, period_of(self.config.offset(day)), new_categories)

    def today(self, day: date) -> Today:
        """The shop as it is on a day."""
        config, people, catalogue = self.config, self.people(day), self.catalogue(day)
        shifts = config.incidents_of(TasteShift, day)
        fashion = self._fashion(config, catalogue, shifts)
        return Today(
            config=config,
            day=day,
            catalogue=catalogue,
            shelf=make_shelf(config, catalogue, day),
            tastes=self._tastes(config, shifts, config.incidents_of(NewCategory, day)),
            fashion=fashion,
            member_U=people.members(config.offset(day)),
            visits_U=people.visits_U * visits_lift(config, day),
            appetite_C=appetites(config, day, len(catalogue.categories_C)),
            viral_places=viral_places(config, catalogue, fashion, day),
        )

    def live(
        self,
        day: date,
        published: Mapping[str, Sequence[str]] | None = None,
        version: str | None = None,
        feed: Path | None = None,
    ) -> Lived:
        """What happens on a day; people remember what they were shown before if there is a feed that it lies beside."""
        today = self.today(day)
        is_joining_U = np.isin(today.member_U, self.people(day).joining(today.offset)) & (today.offset > 0)

        def recall(users: IntArray) -> Memory:
            return memory.recall(feed, day, users) if feed else memory.NOTHING

        return live(today, is_joining_U, published or {}, version, recall)

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

        Returns:
            How many rows were delivered, and the day's outcome (``simulator.living.outcome_of``).
        """
        write_description(feed, self.description)
        lived = self.live(day, published, version, feed)
        late = _due(feed, day)
        events = _with_repeats(pa.concat_tables([lived.now, *late]), self.config, self.config.offset(day))
        items = table_of(item_rows(self.config, self.catalogue(day), day), ITEM_SCHEMA)
        joining = np.append(self.people(day).joining(self.config.offset(day)), bot_numbers(self.config, day))
        users = table_of(user_rows(self.config, day, joining), USER_SCHEMA)
        held_back_file = _held_back_file(feed, day)
        held_back_file.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(lived.held_back, held_back_file)
        shown = lived.shown
        memory.remember(feed, day, lived.arrivals.number_V[shown.visit_I], shown.item_I, shown.is_clicked_I)
        for kind, table in (("items", items), ("users", users)):
            if len(table):
                write_delivery(feed, kind, day, table)
        write_delivery(feed, "events", day, events)
        num_late = sum(len(table) for table in late)
        return {
            "day": day.isoformat(),
            "events": len(events),
            "impressions": pc.sum(pc.equal(events["event_type"], "impression")).as_py() or 0,
            "items": len(items),
            "users": len(users),
            "from_earlier_days": num_late,
            "repeated": len(events) - len(lived.now) - num_late,
            "held_back": len(lived.held_back),
            **lived.outcome,
        }

    @cached_property
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


def _due(feed: Path, day: date) -> list[pa.Table]:
    """What earlier days held back for this one."""
    tables = []
    for days_ago in range(_HELD_BACK_DAYS, 0, -1):
        file = _held_back_file(feed, day - timedelta(days=days_ago))
        if file.exists():
            held_back = pq.ParquetFile(file).read()  # sooner than by way of a data set
            tables.append(held_back.filter(pc.equal(held_back["due"], pa.scalar(day))).drop_columns("due"))
    return tables


def _held_back_file(feed: Path, day: date) -> Path:
    return feed.parent / f"{feed.name}.held-back" / f"day={day}.parquet"


def _with_repeats(events: pa.Table, config: ShopConfig, offset: int) -> pa.Table:
    """The events and, at the end, some of them once more: networks repeat what they could not confirm."""
    is_repeated = generator(config, "repeats", offset).random(len(events)) < _DUPLICATE_SHARE
    return pa.concat_tables([events, events.filter(pa.array(is_repeated))]).combine_chunks()
