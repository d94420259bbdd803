"""What people did: counts of all events, and every event of the same sampled people in both windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import numpy as np

from contracts import names
from contracts.feed import days_between
from jobs.io.lake import Lake
from jobs.monitoring.busyness import UNSEEN_IF_HALVED
from jobs.monitoring.engine import engine, source
from jobs.monitoring.windows import Span

if TYPE_CHECKING:
    import pandas as pd


#: People of a day whose events are told one by one: the busiest.
_BUSIEST = 50


@dataclass(frozen=True)
class Panel:
    """The events of some days as one run may see them."""

    counts: pd.DataFrame  # event_date, event_type, num_rows: of all people
    events: pd.DataFrame  # user_id, item_id, category, event_date: what sampled people liked
    impressions: pd.DataFrame  # event_date, user_id, num_shown, num_clicked: of all people, by user and day
    traffic: pd.DataFrame  # event_date, num_user_days, num_events, num_buying, top_counts, unseen_if_halved: of all people, by day

    def within(self, span: Span) -> pd.DataFrame:
        """The sampled people's events of some days."""
        return _within(self.events, span)

    def counts_of(self, days: Sequence[date]) -> pd.DataFrame:
        return _of(self.counts, days)

    def traffic_of(self, days: Sequence[date]) -> pd.DataFrame:
        return _of(self.traffic, days)

    def traffic_within(self, span: Span) -> pd.DataFrame:
        return _within(self.traffic, span)

    def impressions_within(self, span: Span) -> pd.DataFrame:
        return _within(self.impressions, span)


def first_event_day(lake: Lake, day: date, threads: int) -> date | None:
    """The first day with an event that the run of ``day`` may see."""
    for candidate in lake.days(names.FCT_INTERACTIONS, until=day):
        events = source(lake, names.FCT_INTERACTIONS, [candidate])
        if engine(threads).execute(f"select 1 from {events} where {visible(day)} limit 1").fetchone():
            return candidate
    return None


def read_panel(lake: Lake, span: Span, day: date, *, max_rows: int, threads: int) -> Panel:
    """Count all events of ``span`` and read those of as many people as fit into ``max_rows``.

    People are taken in the order of the hash of their id until their events in ``span`` fill the panel,
    so that the windows are compared over the same people and a second run takes the same ones.
    """
    query = engine(threads)
    events_of = source(lake, names.FCT_INTERACTIONS, days_of(lake, names.FCT_INTERACTIONS, span))
    items = source(lake, names.DIM_ITEMS, lake.days(names.DIM_ITEMS, until=day)[-1:])
    impressions_of = source(lake, names.FCT_IMPRESSIONS, days_of(lake, names.FCT_IMPRESSIONS, span))
    counts = query.sql(
        f"""select event_date, event_type, count(*) as num_rows from {events_of}
        where {visible(day)} group by event_date, event_type order by event_date, event_type"""
    ).to_df()
    events = query.sql(
        f"""
        with liked as (
            select user_id, item_id, event_date from {events_of} where {visible(day)} and weight > 0
        ),
        people as (
            select user_id, sum(count(*)) over (order by md5(user_id), user_id) - count(*) as rows_before
            from liked group by user_id
        ),
        items as (select item_id, category from {items})
        select liked.user_id, liked.item_id, items.category, liked.event_date
        from liked
        join people on people.user_id = liked.user_id and people.rows_before < {max_rows}
        left join items on items.item_id = liked.item_id
        order by liked.event_date, liked.user_id, liked.item_id
        """
    ).to_df()
    impressions = query.sql(
        f"""select event_date, user_id, count(*) as num_shown, count(*) filter (is_clicked and clicked_known_date <= date '{day}') as num_clicked
        from {impressions_of} where {visible(day)} group by event_date, user_id order by event_date, user_id"""
    ).to_df()
    traffic = query.sql(
        f"""
        with user_days as (
            select event_date, user_id, count(*) as num_events, bool_or(event_type = 'purchase') as is_buying
            from {events_of} where {visible(day)} group by event_date, user_id
        )
        select event_date, count(*) as num_user_days, sum(num_events)::bigint as num_events,
            count(*) filter (is_buying) as num_buying, max(num_events, {_BUSIEST}) as top_counts,
            {UNSEEN_IF_HALVED} as unseen_if_halved
        from user_days group by event_date order by event_date
        """
    ).to_df()
    return Panel(counts, events, impressions, traffic)


def sample_rows(frame: pd.DataFrame, key: list[str], max_rows: int) -> pd.DataFrame:
    """At most ``max_rows`` rows, chosen by the hash of their key, in the order they came in."""
    if len(frame) <= max_rows:
        return frame
    import pandas as pd

    hashes = pd.util.hash_pandas_object(frame[key], index=False).to_numpy()
    return frame.iloc[np.sort(np.argsort(hashes, kind="stable")[:max_rows])].reset_index(drop=True)


def days_of(lake: Lake, table: str, span: Span) -> list[date]:
    """The days of a span that have a partition."""
    wanted = set(days_between(span.first, span.last))
    return [day for day in lake.days(table, first=span.first, until=span.last) if day in wanted]


def visible(day: date) -> str:
    """The condition in SQL under which the run of ``day`` may see a row."""
    return f"known_date <= date '{day}' and event_date <= date '{day}'"


def _of(frame: pd.DataFrame, days: Sequence[date]) -> pd.DataFrame:
    import pandas as pd

    return frame[frame["event_date"].isin([pd.Timestamp(day) for day in days])]


def _within(frame: pd.DataFrame, span: Span) -> pd.DataFrame:
    import pandas as pd

    return frame[frame["event_date"].between(pd.Timestamp(span.first), pd.Timestamp(span.last))]
