"""Who acts, on what and how often: volume, feedback, histories, who and what a model could not know, repeats."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from contracts.feed import FeedDescription
from jobs.audit.sql import distribution, row, rows, share

if TYPE_CHECKING:
    import duckdb

Record = dict[str, Any]

#: Fewer acts than these say little about a user or an item: the 5-core of published data sets.
FEW = 5
#: A model is imagined that was trained when this share of the period had gone by.
TRAINED_UNTIL = 0.8
#: Who comes back cannot be told in less than a week.
_TELLING_DAYS = 7
#: What people do, strongest word first: repeats are judged by the strongest that the feed has.
_STRONGEST = ("purchase", "rating", "cart", "view")


def volume_of(engine: duckdb.DuckDBPyConnection) -> Record:
    """How much there is: events by type, acts, people, items, and how full the table of people and items is."""
    by_type = rows(engine, "select event_type, count(*) from events group by event_type order by event_type")
    found = row(
        engine,
        """
        select count(*) as acts, count(*) filter (where person is null) as anonymous_acts,
            count(distinct person) as people, count(distinct item) as items
        from acts
        """,
    )
    pairs = row(
        engine,
        """
        select count(*) as pairs, count(distinct item) as items
        from (select distinct person, item from acts where person is not null)
        """,
    )
    return {
        "events": sum(count for _, count in by_type),
        "by_type": dict(by_type),
        **found,
        "pairs": pairs["pairs"],
        "density": share(pairs["pairs"], found["people"] * pairs["items"]),
        "anonymous_share": share(found["anonymous_acts"], found["acts"]),
    }


def feedback_of(engine: duckdb.DuckDBPyConnection) -> Record:
    """What the feed says of taste: stars, deeds, and what was shown with what came of it."""
    stars = row(
        engine,
        """
        select count(*) as ratings, count(value) as with_value, count(distinct value) as levels,
            min(value) as lowest, max(value) as highest
        from events where event_type = 'rating'
        """,
    )
    shown = row(
        engine,
        """
        with shown as (
            select person, item, decision_id, occurred_at, position, propensity
            from events where event_type = 'impression'
        ), deeds as (
            select distinct person, item, occurred_at::date as day from acts where person is not null
        )
        select count(*) as impressions, count(position) as with_position, count(propensity) as with_propensity,
            count(decision_id) as with_decision, count(deeds.person) as followed
        from shown left join deeds
            on shown.person = deeds.person and shown.item = deeds.item and shown.occurred_at::date = deeds.day
        """,
    )
    scale = rows(
        engine,
        "select value, count(*) from events where event_type = 'rating' and value is not null group by value order by value",
    )
    return {
        **stars,
        "scale": [{"value": value, "count": count} for value, count in scale] if len(scale) <= 20 else [],
        **shown,
        "followed_share": share(shown["followed"], shown["impressions"]),
    }


def people_of(engine: duckdb.DuckDBPyConnection, description: FeedDescription) -> Record:
    """Histories of people who are known: how long, in how many steps and on how many days; visits.

    Who comes back is told by a real clock and a period of a week or more; otherwise it is None.
    """
    engine.execute(
        """
        create temp table instants as
        select person, occurred_at, count(*) as acts from acts where person is not null group by person, occurred_at;
        create temp table person_days as
        select person, occurred_at::date as day, count(*) as steps, sum(acts)::bigint as acts,
            sum(case when acts > 1 then acts else 0 end)::bigint as tied
        from instants group by person, day;
        create temp table histories as
        select person, sum(acts)::bigint as acts, sum(steps)::bigint as steps, count(*) as days, sum(tied)::bigint as tied
        from person_days group by person;
        create temp table visits as
        select session_id, count(*) as acts, count(distinct item) as items from acts where session_id is not null
        group by session_id
        """
    )
    counted = row(
        engine,
        f"""
        select count(*) as people, sum(acts)::bigint as acts, sum(tied)::bigint as tied,
            count(*) filter (where acts = 1) as once, count(*) filter (where acts < {FEW}) as few,
            count(*) filter (where days > 1) as returning, (select max(day) - min(day) + 1 from person_days) as period
        from histories
        """,
    )
    sessions = row(
        engine,
        "select count(*) as sessions, sum(acts)::bigint as acts, count(*) filter (where items > 1) as pairing from visits",
    )
    has_days = description.clock == "real" and (counted["period"] or 0) >= _TELLING_DAYS
    return {
        "lengths": distribution(engine, "histories", "acts"),
        "steps": distribution(engine, "histories", "steps"),
        "days": distribution(engine, "histories", "days") if has_days else None,
        "once_share": share(counted["once"], counted["people"]),
        "few_share": share(counted["few"], counted["people"]),
        "returning_share": share(counted["returning"], counted["people"]) if has_days else None,
        "tied_share": share(counted["tied"], counted["acts"]),
        "sessions": sessions["sessions"],
        "session_lengths": distribution(engine, "visits", "acts"),
        "pairing_sessions": sessions["pairing"],
        "pairing_people": row(
            engine,
            """
            select count(*) as n from (
                select person from acts where person is not null group by person having count(distinct item) > 1
            )
            """,
        )["n"],
    }


def cold_of(engine: duckdb.DuckDBPyConnection, description: FeedDescription) -> Record:
    """What a model could not know that was trained when four fifths of the period had gone by.

    A clock that tells order only makes no period: then nothing is said.
    """
    few = row(
        engine,
        f"select count(*) as items, count(*) filter (where acts < {FEW}) as few "
        "from (select count(*) as acts from acts group by item)",
    )
    nothing: Record = {
        "few_items_share": share(few["few"], few["items"]),
        "trained_until": None,
        "later_acts": 0,
        "new_person_share": None,
        "new_item_share": None,
        "new_either_share": None,
        "new_items_described_share": None,
    }
    period = row(engine, "select min(occurred_at) as first, max(occurred_at) as last from acts")
    if description.clock == "order" or period["first"] is None or period["first"] == period["last"]:
        return nothing
    cut: datetime = (period["first"] + TRAINED_UNTIL * (period["last"] - period["first"])).replace(
        microsecond=0
    )
    counted = row(
        engine,
        """
        with known_people as (
            select distinct person from acts where occurred_at <= $1 and person is not null
        ), known_items as (
            select distinct item from acts where occurred_at <= $1
        ), later as (
            select acts.person, known_people.person is null and acts.person is not null as is_new_person,
                known_items.item is null as is_new_item,
                coalesce(title or category or attributes, false) as is_described
            from acts
            left join known_people on acts.person = known_people.person
            left join known_items on acts.item = known_items.item
            left join items on acts.item = items.item
            left join catalogue on items.item_id = catalogue.item_id
            where acts.occurred_at > $1
        )
        select count(*) as acts, count(person) as acts_of_people, count(*) filter (where is_new_person) as new_person,
            count(*) filter (where is_new_item) as new_item,
            count(*) filter (where is_new_person or is_new_item) as new_either,
            count(*) filter (where is_new_item and is_described) as new_described
        from later
        """,
        [cut],
    )
    return {
        **nothing,
        "trained_until": cut.isoformat(),
        "later_acts": counted["acts"],
        "new_person_share": share(counted["new_person"], counted["acts_of_people"]),
        "new_item_share": share(counted["new_item"], counted["acts"]),
        "new_either_share": share(counted["new_either"], counted["acts"]),
        "new_items_described_share": share(counted["new_described"], counted["new_item"]),
    }


def repeats_of(engine: duckdb.DuckDBPyConnection) -> Record:
    """How often a person takes an item again, by the strongest type that the feed has; lines of one instant are one."""
    types = dict(
        rows(engine, "select event_type, count(*) from acts where person is not null group by event_type")
    )
    strongest = next((each for each in _STRONGEST if types.get(each)), None)
    counted = row(
        engine,
        """
        with taken as (
            select person, item, count(distinct occurred_at) as times from acts
            where event_type = ? and person is not null group by person, item
        )
        select sum(times)::bigint as taken, sum(times - 1)::bigint as again,
            count(distinct person) as people, count(distinct person) filter (where times > 1) as repeaters
        from taken
        """,
        [strongest],
    )
    same = row(
        engine,
        """
        select sum(lines - 1)::bigint as lines from (
            select count(*) as lines from acts where person is not null group by person, item, event_type, occurred_at
        )
        """,
    )
    return {
        "event_type": strongest,
        "taken": counted["taken"] or 0,
        "repeat_share": share(counted["again"], counted["taken"]),
        "repeaters_share": share(counted["repeaters"], counted["people"]),
        "same_instant": same["lines"] or 0,
    }
