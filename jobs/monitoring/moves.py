"""Which categories and items moved most: their share of what people acted upon, before and now.

The verdict says that shares have moved; this says whose. All people's events with a positive weight count, as known on
the day, each item with the category it has in the newest catalogue.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from contracts import names
from jobs.io.lake import Lake
from jobs.monitoring.engine import engine, source
from jobs.monitoring.panel import days_of, visible
from jobs.monitoring.ratios import Ratio, Sums, difference, share
from jobs.monitoring.windows import Span

if TYPE_CHECKING:
    import duckdb

#: Of each kind, the ones that moved furthest.
MOST = 10


@dataclass(frozen=True)
class Move:
    """One category or item, before and now."""

    name: str
    title: str  # of an item; a category is its own
    before: Ratio  # its events / all events
    now: Ratio
    change: float  # in shares, with its interval
    low: float
    high: float

    def as_record(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "title": self.title,
            "before": self.before.as_record(),
            "now": self.now.as_record(),
            "change": round(self.change, 6),
            "low": round(self.low, 6),
            "high": round(self.high, 6),
        }


@dataclass(frozen=True)
class Moved:
    """What moved most, the furthest first."""

    reference: Span
    current: Span
    categories: tuple[Move, ...]
    items: tuple[Move, ...]

    def as_record(self) -> dict[str, Any]:
        return {
            "reference": self.reference.as_record(),
            "current": self.current.as_record(),
            "categories": [move.as_record() for move in self.categories],
            "items": [move.as_record() for move in self.items],
        }


def moved(lake: Lake, reference: Span, current: Span, day: date, *, threads: int, most: int = MOST) -> Moved:
    """The categories and items whose shares differ most between two spans, as the run of ``day`` knows them."""
    query = engine(threads)
    items = source(lake, names.DIM_ITEMS, lake.days(names.DIM_ITEMS, until=day)[-1:])
    query.execute(f"create temp table items as select item_id, title, category from {items}")
    for name, span in (("before", reference), ("now", current)):
        events = source(lake, names.FCT_INTERACTIONS, days_of(lake, names.FCT_INTERACTIONS, span))
        query.execute(
            f"""create temp table {name} as
            select user_id, item_id, coalesce(category, 'unknown') as category, count(*) as y
            from {events} left join items using (item_id)
            where {visible(day)} and weight > 0 group by all"""
        )
    categories = _moves(query, "category", most)
    titles = dict(query.execute("select item_id, title from items").fetchall())
    return Moved(
        reference,
        current,
        tuple(_named(move, move.name) for move in categories),
        tuple(_named(move, titles.get(move.name) or "") for move in _moves(query, "item_id", most)),
    )


def _named(move: Move, title: str) -> Move:
    return Move(move.name, title, move.before, move.now, move.change, move.low, move.high)


def _moves(query: duckdb.DuckDBPyConnection, column: str, most: int) -> list[Move]:
    before, now = (_shares(query, table, column) for table in ("before", "now"))
    (none_before, none_now) = (
        Sums(people=total.people, x=total.x, xx=total.xx) for total in (before.total, now.total)
    )
    found = []
    for name in sorted({*before.of, *now.of}):
        sums = before.of.get(name, none_before), now.of.get(name, none_now)
        change = difference(*sums)
        if change is not None:
            found.append(Move(name, "", share(sums[0]), share(sums[1]), *change))
    return sorted(found, key=lambda move: (-abs(move.change), move.name))[:most]


@dataclass(frozen=True)
class _Shares:
    total: Sums  # all people's events, x
    of: dict[str, Sums]  # y: those of one category or item


def _shares(query: duckdb.DuckDBPyConnection, table: str, column: str) -> _Shares:
    """Every category's or item's sums over people; people without it still count in x."""
    query.execute(
        f"create or replace temp table people as select user_id, sum(y) as x from {table} group by user_id"
    )
    (total,) = query.execute(
        "select count(*), coalesce(sum(x), 0), coalesce(sum(x * x), 0) from people"
    ).fetchall()
    people, x, xx = map(int, total)
    rows = query.execute(
        f"""select name, sum(y), sum(x * y), sum(y * y)
        from (select {column} as name, user_id, sum(y) as y from {table} group by name, user_id)
        join people using (user_id) group by name"""
    ).fetchall()
    return _Shares(
        Sums(people=people, x=x, xx=xx),
        {name: Sums(people, x, int(y), xx, int(xy), int(yy)) for name, y, xy, yy in rows},
    )
