"""On how many days is a challenger judged? On as few as hold enough people.

What is judged has not seen the days that judge it: the more they are, the older it is, and after a shift of taste an old
challenger says nothing about the one that would be promoted. Days enough for certainty, and not one more.
"""

from __future__ import annotations

from datetime import date, timedelta

from contracts import names
from jobs.io.lake import Lake
from jobs.monitoring.engine import engine, source

#: One day alone may be an odd one: it has to do only where there are no more.
_FEWEST_DAYS = 2


def judge_horizon(lake: Lake, day: date, *, most: int, enough: int, threads: int) -> int:
    """The fewest days up to ``day`` on which ``enough`` people acted who had acted before; ``most`` where none do.

    Args:
        most: the days that are looked back on; fewer than two are taken as they are.
    """
    if most <= _FEWEST_DAYS:
        return most
    people = people_by_horizon(lake, day, most=most, threads=threads)
    return next((days for days, count in people.items() if days >= _FEWEST_DAYS and count >= enough), most)


def people_by_horizon(lake: Lake, day: date, *, most: int, threads: int) -> dict[int, int]:
    """For 1, 2 … ``most`` last days: how many people acted on them who had acted before; empty where nobody ever did."""
    first = day - timedelta(days=most + 90)
    days = lake.days(names.FCT_INTERACTIONS, first=first, until=day)
    if not days:
        return {}
    rows = engine(threads).sql(
        f"""
        with people as (
            select user_id, min(event_date) as first_date, max(event_date) as last_date
            from {source(lake, names.FCT_INTERACTIONS, days)}
            where weight > 0 and known_date <= date '{day}' group by user_id
        )
        select num_days, count(*) filter (
            last_date > date '{day}' - num_days::int and first_date <= date '{day}' - num_days::int
        )
        from people, range(1, {most + 1}) as horizons(num_days)
        group by num_days order by num_days
        """
    )
    return {int(num_days): int(people) for num_days, people in rows.fetchall()}
