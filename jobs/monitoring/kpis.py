"""What a day came to for the shop: click-through rate, conversion, revenue per session, with n and intervals.

Counted are the events of known people with catalogue items that the run of the day may see. A *session* is a
person's ``session_id`` (where the shop sends none, the person's day) with a view, a cart or a purchase; an *order* is a
person who bought on the day, as in ``feat_user_daily``. Sessions in which nothing but a list was seen are not
counted: impressions carry no session.

By *version*: an impression belongs to the published version that its ``decision_id`` begins with (``v0001:``), or
to ``unknown``; a person's sessions to the version of the first impression of the day, or to ``none`` without one.
By *group*, from ``feat_user_daily``: ``new`` people have been with the shop for less than seven days; of the others,
``heavy`` ones were active on at least four of the last 28 days, ``light`` ones on fewer; ``inactive`` people have
done nothing for 90 days but seen a list.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from contracts import names
from jobs.io.lake import Lake
from jobs.monitoring.engine import engine, source
from jobs.monitoring.panel import visible
from jobs.monitoring.ratios import Ratio, Sums, mean, share

if TYPE_CHECKING:
    import duckdb

NEW_BELOW_DAYS = 7
HEAVY_FROM_DAYS = 4
UNKNOWN = "unknown"
NONE = "none"
GROUPS = ("new", "light", "heavy", "inactive")

#: Each ratio: the relation it is counted in, its numerator and its denominator.
_RATIOS = {
    "ctr": ("shown", "clicks", "impressions"),
    "impression_conversion": ("shown", "conversions", "impressions"),
    "conversion": ("visits", "buying_sessions", "sessions"),
    "revenue_per_session": ("visits", "revenue_cents", "sessions"),
}


@dataclass(frozen=True)
class Kpis:
    """The figures of a day, or of one slice of it; money in cents."""

    users: int  # with a session
    orders: int
    ctr: Ratio  # clicks / impressions
    impression_conversion: Ratio  # impressions whose item was bought later on the day / impressions
    conversion: Ratio  # sessions with a purchase / sessions
    revenue_per_session: Ratio  # revenue, returns deducted / sessions

    def as_record(self) -> dict[str, Any]:
        ratios = {name: getattr(self, name).as_record() for name in _RATIOS}
        return {"users": self.users, "orders": self.orders} | ratios


@dataclass(frozen=True)
class DayKpis:
    """The figures of one day: of everybody, by published version and by group of people."""

    day: date
    all: Kpis
    by_version: dict[str, Kpis]
    by_group: dict[str, Kpis]  # empty where the day has no features
    newest_event_at: datetime | None  # of the events that the run may see

    def as_record(self) -> dict[str, Any]:
        newest = self.newest_event_at
        return {
            "newest_event_at": newest.isoformat(timespec="seconds") if newest else None,
            "all": self.all.as_record(),
            "by_version": {name: found.as_record() for name, found in self.by_version.items()},
            "by_group": {name: found.as_record() for name, found in self.by_group.items()},
        }


def day_kpis(lake: Lake, day: date, *, threads: int) -> DayKpis:
    """The figures of ``day`` as its run may know them; sums of whole numbers, the same whenever they are taken."""
    query = engine(threads)
    _prepare(query, lake, day)
    (everybody,) = _slices(query, "'all'").values() or (_kpis({}, (0, 0)),)
    (newest,) = query.execute("select max(newest_at) from visits").fetchone() or (None,)
    by_group = _slices(query, "user_group") if lake.manifest(names.FEAT_USER_DAILY, day) else {}
    return DayKpis(
        day,
        everybody,
        _slices(query, "version"),
        {name: by_group[name] for name in GROUPS if name in by_group},
        newest,
    )


def _prepare(query: duckdb.DuckDBPyConnection, lake: Lake, day: date) -> None:
    """Two tables: ``visits``, a row a person, and ``shown``, a row a person and version."""
    interactions, impressions, features = (
        source(lake, table, [day] if lake.manifest(table, day) else [])
        for table in (names.FCT_INTERACTIONS, names.FCT_IMPRESSIONS, names.FEAT_USER_DAILY)
    )
    query.execute(
        f"""
        create temp table groups as
        select user_id, case
            when tenure_days < {NEW_BELOW_DAYS} then 'new'
            when active_days_28d < {HEAVY_FROM_DAYS} then 'light'
            else 'heavy' end as user_group
        from {features};

        create temp table impressions as
        select *, case
            when regexp_matches(decision_id, '^v[0-9]+:') then split_part(decision_id, ':', 1)
            else '{UNKNOWN}' end as version
        from {impressions} where {visible(day)};

        create temp table shown as
        select user_id, version, coalesce(any_value(user_group), 'inactive') as user_group,
            count(*) as impressions,
            count(*) filter (is_clicked and clicked_known_date <= date '{day}') as clicks,
            count(*) filter (is_purchased and purchased_known_date <= date '{day}') as conversions
        from impressions left join groups using (user_id) group by user_id, version;

        create temp table visits as
        with events as (
            select *, coalesce(session_id, '') as visit, event_type in ('view', 'cart', 'purchase') as is_visit
            from {interactions} where {visible(day)}
        ),
        first_shown as (
            select user_id, arg_min(version, (occurred_at, event_id)) as version from impressions group by user_id
        )
        select user_id, coalesce(any_value(version), '{NONE}') as version,
            coalesce(any_value(user_group), 'inactive') as user_group,
            count(distinct visit) filter (is_visit) as sessions,
            count(distinct visit) filter (event_type = 'purchase') as buying_sessions,
            cast(coalesce(sum(revenue_cents), 0) as bigint) as revenue_cents,
            max(occurred_at) as newest_at
        from events left join first_shown using (user_id) left join groups using (user_id)
        group by user_id;
        """
    )


def _slices(query: duckdb.DuckDBPyConnection, by: str) -> dict[str, Kpis]:
    """The figures of each slice, in the order of their names; a slice is an expression over both tables."""
    sums: dict[str, dict[str, Sums]] = {}
    for name, (table, y, x) in _RATIOS.items():
        for slice_name, *figures in query.execute(
            f"""select slice, count(*), sum(x), sum(y), sum(x * x), sum(x * y), sum(y * y)
            from (select {by} as slice, sum({x}) as x, sum({y}) as y from {table} group by slice, user_id)
            where x <> 0 or y <> 0 group by slice"""
        ).fetchall():
            sums.setdefault(slice_name, {})[name] = Sums(*map(int, figures))
    people = {
        slice_name: (int(users), int(orders))
        for slice_name, users, orders in query.execute(
            f"""select {by} as slice, count(*) filter (sessions > 0), count(*) filter (buying_sessions > 0)
            from visits group by slice"""
        ).fetchall()
    }
    return {name: _kpis(sums[name], people.get(name, (0, 0))) for name in sorted(sums)}


def _kpis(sums: dict[str, Sums], people: tuple[int, int]) -> Kpis:
    users, orders = people
    return Kpis(
        users=users,
        orders=orders,
        ctr=share(sums.get("ctr", Sums())),
        impression_conversion=share(sums.get("impression_conversion", Sums())),
        conversion=share(sums.get("conversion", Sums())),
        revenue_per_session=mean(sums.get("revenue_per_session", Sums())),
    )
