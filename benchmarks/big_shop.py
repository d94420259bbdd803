"""Millions of events of a made-up shop at once: seeded, without a loop over people, written where landing would write them.

The simulator lets people live, one visit after another, and takes too long for ten millions. What is drawn here has the
shape that was measured on real shops: an item's popularity falls with its rank (exponent 0.85), visits are lognormal
(median 4, mean 6), so are the gaps within them (median 43 s), four of five steps stay in their category, of a hundred views
2.6 lead to a cart and 32 of a hundred carts to a purchase; one view in five comes from a list of ours, whose first places are
clicked most. A tenth of the visits is anonymous, and one event in a hundred is told a day late. One user in fifty says yes to
being remembered when the year begins, and one in two hundred no in its middle; some people have two ids.

E events · S visits · L lists shown
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from contracts import names
from contracts.tables import FCT_INTERACTIONS, TABLES
from jobs.io.schemas import arrow_schema

if TYPE_CHECKING:
    import duckdb

    from jobs.io.lake import Lake

_NUM_CATEGORIES = 50
_PLACES = np.array([0.31, 0.105, 0.076, 0.06])  # what is clicked at each place of a list
_LISTS_A_STEP = 0.2 / _PLACES.sum()  # so that one view in five comes from a list
_DAY_MICROS = 86_400_000_000
TYPES = ("view", "cart", "purchase", "return", "impression")
VIEW, CART, PURCHASE, RETURN, IMPRESSION = range(5)
_WEIGHTS = (1, 3, 5, -5, 0)
#: What a landing leaves in the warehouse.
RAW_TABLES = [table for table in TABLES.values() if table.name.startswith(f"{names.RAW}/")]

Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class BigShop:
    """A shop of which every day has as many events; a day is the same whatever days are asked for beside it."""

    num_events: int
    num_days: int
    num_users: int
    num_items: int = 20_000
    has_lists: bool = True  # are impressions among the events?
    seed: int = 7
    last: date = date(2026, 1, 31)

    @property
    def days(self) -> list[date]:
        return [self.last - timedelta(days=back) for back in range(self.num_days)][::-1]

    @cached_property
    def _activity(self) -> npt.NDArray[np.float64]:
        """How often people come, added up: a few often, most of them seldom."""
        return np.cumsum(np.random.default_rng(self.seed).lognormal(0, 1.2, self.num_users))

    def events_of(self, day: date) -> pa.Table:
        """Everything about the events of a day as numbers; texts are made of them in SQL."""
        rng = np.random.default_rng([self.seed, day.toordinal()])
        num_events = self.num_events // self.num_days
        num_steps = round(num_events / (1 + len(_PLACES) * _LISTS_A_STEP)) if self.has_lists else num_events
        num_lists = (num_events - num_steps) // len(_PLACES)
        num_steps = num_events - num_lists * len(_PLACES)
        steps = self._steps(rng, num_steps)
        shown = self._shown(rng, steps, num_lists)
        rows = {name: np.concatenate([steps[name], shown[name]]) for name in steps}
        late = rng.random(num_events) < 0.01
        rows["known"] = day.toordinal() + late.astype(np.int64)
        rows["number"] = np.arange(num_events)
        return pa.table({name: pa.array(values) for name, values in rows.items()})

    def _steps(self, rng: np.random.Generator, num_steps: int) -> dict[str, Numbers]:
        """Views, and the carts, purchases and returns that stand among them."""
        length_S = np.clip(np.rint(rng.lognormal(np.log(4), 0.9, num_steps)), 1, 200).astype(np.int64)
        num_visits = int(np.searchsorted(np.cumsum(length_S), num_steps)) + 1
        visit_E = np.repeat(np.arange(num_visits), length_S[:num_visits])[:num_steps]
        is_first_E = np.diff(visit_E, prepend=-1) != 0
        user_S = np.searchsorted(self._activity, rng.random(num_visits) * self._activity[-1])
        user_S[rng.random(num_visits) < 0.1] = -1  # anonymous
        gap_E = np.where(is_first_E, 0, rng.lognormal(3.75, 1.48, num_steps) * 1e6).astype(np.int64)
        since_E = np.cumsum(gap_E)
        begun_E = np.maximum.accumulate(np.where(is_first_E, np.arange(num_steps), 0))
        start_S = (rng.beta(2.2, 1.8, num_visits) * _DAY_MICROS).astype(np.int64)
        micros_E = np.minimum(start_S[visit_E] + since_E - since_E[begun_E], _DAY_MICROS - 1)
        item_E = self._items(rng, is_first_E)
        leads_E = rng.random(num_steps)
        type_E = np.full(num_steps, VIEW)
        for kind, before, share in ((CART, VIEW, 0.026), (PURCHASE, CART, 0.32)):
            follows = np.flatnonzero(~is_first_E[1:] & (type_E[:-1] == before) & (leads_E[:-1] < share)) + 1
            type_E[follows] = kind
            item_E[follows] = item_E[follows - 1]
        type_E[(type_E == VIEW) & (rng.random(num_steps) < 0.0004)] = RETURN
        return {
            "visitor": user_S[visit_E],
            "visit": visit_E,
            "item": item_E,
            "type": type_E,
            "micros": micros_E,
            "dwell": np.where(type_E == VIEW, rng.lognormal(9.3, 1.1, num_steps), -1).astype(np.int64),
            "list": np.full(num_steps, -1),
            "place": np.full(num_steps, -1),
        }

    def _items(self, rng: np.random.Generator, is_first_E: npt.NDArray[np.bool_]) -> Numbers:
        """A category that four steps in five keep, and in it the more popular items more often."""
        num_steps = len(is_first_E)
        by_rank = np.cumsum(np.arange(1, self.num_items // _NUM_CATEGORIES + 1) ** -0.85)
        by_category = np.cumsum(np.arange(1, _NUM_CATEGORIES + 1) ** -0.5)
        drawn = np.searchsorted(by_category, rng.random(num_steps) * by_category[-1])
        is_new_E = is_first_E | (rng.random(num_steps) < 0.2)
        category_E = drawn[np.maximum.accumulate(np.where(is_new_E, np.arange(num_steps), 0))]
        rank_E = np.searchsorted(by_rank, rng.random(num_steps) * by_rank[-1])
        return np.asarray(rank_E * _NUM_CATEGORIES + category_E, np.int64)

    def _shown(
        self, rng: np.random.Generator, steps: dict[str, Numbers], num_lists: int
    ) -> dict[str, Numbers]:
        """Lists of a few places, each shown right before a step; where that is a view it may be the list's click."""
        step_L = np.sort(rng.permutation(len(steps["item"]))[:num_lists])
        is_clicked_L = (steps["type"][step_L] == VIEW) & (rng.random(num_lists) < _PLACES.sum())
        shares = np.cumsum(_PLACES) / _PLACES.sum()
        click_L = np.minimum(np.searchsorted(shares, rng.random(num_lists)), len(_PLACES) - 1)
        item_LP = self._items(rng, np.ones(num_lists * len(_PLACES), bool)).reshape(num_lists, len(_PLACES))
        clicked = np.flatnonzero(is_clicked_L)
        item_LP[clicked, click_L[clicked]] = steps["item"][step_L[clicked]]
        steps["list"][step_L[clicked]] = clicked
        before_L = np.maximum(steps["micros"][step_L] - rng.integers(1, 20_000_000, num_lists), 0)
        places = len(_PLACES)
        return {
            "visitor": np.repeat(steps["visitor"][step_L], places),
            "visit": np.repeat(steps["visit"][step_L], places),
            "item": item_LP.ravel(),
            "type": np.full(num_lists * places, IMPRESSION),
            "micros": np.repeat(before_L, places),
            "dwell": np.full(num_lists * places, -1),
            "list": np.repeat(np.arange(num_lists), places),
            "place": np.tile(np.arange(1, places + 1), num_lists),
        }

    def land(self, connection: duckdb.DuckDBPyConnection, days: list[date]) -> None:
        """Write the raw tables of a warehouse as the landing of these days leaves them."""
        connection.execute(f"create schema if not exists {names.WAREHOUSE_RAW}")
        for table in RAW_TABLES:
            columns = ", ".join(f"{name} {kind}" for name, kind in table.columns.items())
            connection.execute(f"create table {names.WAREHOUSE_RAW}.{table.short_name} ({columns})")
        first = f"date '{days[0]}'"
        connection.execute(
            f"insert into raw.items by name select {_ITEM.format('n')} as item_id, 'Item ' || n as title, "
            f"'category ' || n % {_NUM_CATEGORIES} as category, {_PRICE.format('n')} as price_cents, "
            f"{first} as received_date, {first} as known_date from range({self.num_items}) as items(n)"
        )
        connection.execute(
            f"insert into raw.users by name select {_USER.format('n')} as user_id, {first} - n::int % 500 as created_at, "
            f"{first} as received_date, {first} as known_date from range({self.num_users}) as users(n)"
        )
        middle = f"date '{days[len(days) // 2]}'"
        for every, is_granted, said in ((50, "true", first), (200, "false", middle)):
            connection.execute(
                f"insert into raw.consents by name select {_USER.format('n')} as user_id, 'personalization' as purpose, "
                f"{is_granted} as is_granted, {said}::timestamp as said_at, {said} as received_date, {said} as known_date "
                f"from range(0, {self.num_users}, {every}) as users(n)"
            )
        connection.execute(
            f"insert into raw.identities by name select {_USER.format('n')} as alias_id, {_USER.format('(n + 1)')} as user_id, "
            f"{middle}::timestamp as linked_at, {middle} as received_date, {middle} as known_date "
            f"from range(1, {self.num_users} - 1, 100) as users(n)"
        )
        for day in days:
            self.land_day(connection, day)

    def land_day(self, connection: duckdb.DuckDBPyConnection, day: date) -> None:
        """Write the events of one day, and the decisions that its lists are the answers of."""
        connection.register("drawn", self.events_of(day))
        connection.execute(
            f"insert into raw.events by name select {_columns(day)}, known_date as received_date, "
            f"nullif(dwell, -1) as dwell_ms, if(type = {IMPRESSION}, 'home', null) as surface, "
            f"nullif(place, -1)::int as position, if(list < 0, null, 'd{day}-' || list) as decision_id "
            f"from (select *, {_known('known')} as known_date from drawn)"
        )
        connection.execute(
            "insert into raw.decisions by name select decision_id, any_value(user_id) as user_id, min(occurred_at) as decided_at, "
            "event_date, surface, 'v0001' as version, 'personal' as source, 'personal' as made_from, count(*)::int as num_items, "
            f"false as is_short, event_date as received_date, event_date as known_date from raw.events "
            f"where event_type = 'impression' and event_date = date '{day}' and user_id is not null "
            "group by decision_id, event_date, surface"
        )
        connection.unregister("drawn")

    def interactions(self, day: date) -> pa.Table:
        """The day as a partition of ``features/fct_interactions``: what Spark reads; without anonymous events."""
        import duckdb

        connection = duckdb.connect(config={"threads": 1})
        connection.register("drawn", self.events_of(day))
        weights = " ".join(f"when {kind} then {weight}" for kind, weight in enumerate(_WEIGHTS))
        rows = connection.sql(
            f"select {_columns(day)}, (case type {weights} end)::int as weight, "
            "coalesce(quantity, 0) * coalesce(unit_price_cents, 0) as revenue_cents "
            f"from (select *, {_known('known')} as known_date from drawn "
            f"where visitor >= 0 and type <> {IMPRESSION}) order by number"
        )
        columns = list(FCT_INTERACTIONS.columns)
        return rows.to_arrow_table().select(columns).cast(arrow_schema(FCT_INTERACTIONS))

    def export(self, lake: Lake) -> int:
        """Write every day's interactions to a lake; returns how many there are."""
        return sum(
            lake.replace(names.FCT_INTERACTIONS, day, self.interactions(day), inputs=str(self)).num_rows
            for day in self.days
        )


_ITEM = "'i' || lpad({0}::text, 6, '0')"
_USER = "'u' || lpad({0}::text, 8, '0')"
_PRICE = "500 + ({0} * 7919) % 9500"


def _known(column: str) -> str:
    """A day from its number since the year 1."""
    return f"date '0001-01-01' + ({column} - 1)::int"


def _columns(day: date) -> str:
    """Columns that raw events and interactions have in common."""
    kinds = " ".join(f"when {number} then '{kind}'" for number, kind in enumerate(TYPES))
    is_bought = f"type in ({PURCHASE}, {RETURN})"
    columns: dict[str, Any] = {
        "event_id": f"'{day:%y%m%d}-' || number",
        "user_id": f"if(visitor < 0, null, {_USER.format('visitor')})",
        "item_id": _ITEM.format("item"),
        "event_type": f"case type {kinds} end",
        "occurred_at": f"timestamp '{day}' + to_microseconds(micros)",
        "event_date": f"date '{day}'",
        "known_date": "known_date",
        "session_id": f"'{day:%y%m%d}-' || visit",
        "quantity": f"if({is_bought}, 1 + visit % 3, null)",
        "unit_price_cents": f"if({is_bought}, {_PRICE.format('item')}, null)",
    }
    return ", ".join(f"{expression} as {name}" for name, expression in columns.items())
