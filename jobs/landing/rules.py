"""The rules for each kind of delivery, in SQL, which DuckDB runs in memory over all rows of a delivery at once.

Each reads the rows in ``delivered`` and leaves the table ``classified``: a row's typed columns, its place,
``outcome`` and ``reason``.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from contracts.consent import END
from contracts.feed import (
    CONSENT_COLUMNS,
    EVENT_COLUMNS,
    EVENT_TYPES,
    IDENTITY_COLUMNS,
    ITEM_COLUMNS,
    LATE_DAYS,
    USER_COLUMNS,
    FeedDescription,
)
from contracts.ids import CLOCK_SKEW
from jobs.feed_reader import Delivery
from jobs.landing.checks import (
    Check,
    as_boolean,
    as_cents,
    as_integer,
    boolean_checks,
    case,
    given,
    id_checks,
    instant_checks,
    integer_checks,
    json_checks,
    literal,
    number_checks,
)
from jobs.landing.outcomes import ASIDE, DUPLICATE, GOOD, NO_CONSENT, QUARANTINED
from jobs.people import People

if TYPE_CHECKING:
    import duckdb


#: Columns that feeds did not have from the beginning.
_LATER_COLUMNS = ("propensity",)


def hear(connection: duckdb.DuckDBPyConnection, people: People | None) -> None:
    """Leave in ``exceptions`` whose events count otherwise than where nothing was said, and from when until when.

    In ``erased`` are digests of users whose events never count: they had denied, and nothing else is known of them.
    """
    import pyarrow as pa

    found = people.exceptions() if people else []
    ids, begins, ends = zip(*found, strict=True) if found else ((), (), ())
    instants = pa.timestamp("us")
    columns = [pa.array(ids, pa.string()), pa.array(begins, instants), pa.array(ends, instants)]
    connection.register("heard", pa.table(columns, ["user_id", "begins_at", "ends_at"]))
    connection.execute("create or replace temp table exceptions as select * from heard")
    digests = pa.array(list(people.denied) if people and people.missing else [], pa.string())
    connection.register("heard", pa.table([digests], ["user_sha256"]))
    connection.execute("create or replace temp table erased as select * from heard")


def without_consent(connection: duckdb.DuckDBPyConnection, description: FeedDescription, at: str) -> str:
    """The condition that a row of a user must not be used; of nobody's row it never holds."""
    is_denied = description.missing_consent == "denied"
    excepted = []
    if _has_rows(connection, "exceptions"):
        excepted.append(f"""exists (
            select 1 from exceptions
            where exceptions.user_id = typed.user_id and {at} >= begins_at and {at} < ends_at
        )""")
    if _has_rows(connection, "erased"):
        excepted.append("exists (select 1 from erased where user_sha256 = sha256(typed.user_id))")
    if not excepted:
        return "user_id is not null" if is_denied else "false"
    return f"(typed.user_id is not null and {'not ' if is_denied else ''}({' or '.join(excepted)}))"


def _has_rows(connection: duckdb.DuckDBPyConnection, table: str) -> bool:
    return bool(connection.execute(f"select exists (from {table})").fetchall()[0][0])


def classify_events(
    connection: duckdb.DuckDBPyConnection, delivery: Delivery, description: FeedDescription
) -> None:
    services = ", ".join(literal(item) for item in description.service_items) or "null"
    no_consent = without_consent(connection, description, "typed.occurred_at")
    checks = [
        *id_checks("item_id", "NO_ITEM"),
        *id_checks("user_id"),
        *id_checks("event_id"),
        *id_checks("session_id"),
        *id_checks("decision_id"),
        (
            f"event_type is null or event_type not in ({', '.join(map(literal, EVENT_TYPES))})",
            "UNKNOWN_TYPE",
        ),
        *instant_checks("occurred_at", is_required=True),
        (is_future(delivery), "FUTURE"),
        (is_late(delivery), "LATE"),
        *integer_checks("quantity"),
        *number_checks("unit_price", lowest=0),
        *number_checks("value"),
        *integer_checks("dwell_ms"),
        *number_checks("scroll_depth", lowest=0, highest=1),
        *integer_checks("position"),
        *number_checks("propensity", lowest=0, highest=1),
        ("try_cast(propensity as double) = 0", "RANGE"),  # what cannot be shown was not shown
    ]
    connection.execute(
        given(
            "given",
            EVENT_COLUMNS,
            instants=("occurred_at",),
            ids=("event_id", "user_id", "item_id", "session_id", "decision_id"),
        )
    )
    always = (name for name in EVENT_COLUMNS if name not in ("event_id", *_LATER_COLUMNS))
    # A row without them has the hash that it had before there were any: it stays a duplicate of itself.
    content = ", ".join([*(f"coalesce({name}, chr(30))" for name in always), *_LATER_COLUMNS])
    connection.execute(
        f"""
        create or replace temp table classified as
        with checked as (
            select *, sha256(concat_ws(chr(31), {content})) as body_hash, {case(checks)} as reason from given
        ), typed as (
            select
                coalesce(event_id, body_hash) as event_id, user_id, item_id, event_type, instant as occurred_at, instant::date as event_date,
                session_id, {as_integer("quantity")} as quantity, {as_cents("unit_price")} as unit_price_cents,
                try_cast(value as double) as value, {as_integer("dwell_ms")} as dwell_ms,
                try_cast(scroll_depth as double) as scroll_depth, surface, {as_integer("position")}::integer as position, decision_id,
                try_cast(propensity as double) as propensity,
                body_hash, source_file, line, reason
            from checked
        ), decided as (
            select *,
                case
                    when reason is not null then '{QUARANTINED}'
                    when item_id in ({services}) then '{ASIDE}'
                    when event_type in ('purchase', 'return') and unit_price_cents = 0 then '{ASIDE}'
                    when {no_consent} then '{ASIDE}'
                    else '{GOOD}'
                end as outcome,
                case
                    when reason is not null then reason
                    when item_id in ({services}) then 'SERVICE_LINE'
                    when event_type in ('purchase', 'return') and unit_price_cents = 0 then 'ZERO_PRICE'
                    when {no_consent} then '{NO_CONSENT}'
                end as why
            from typed
        )
        select * exclude (reason) from decided
        """
    )
    first_word_counts(connection, "event_id")


def is_future(delivery: Delivery) -> str:
    """The condition that something is later than the day of its delivery, give or take a clock that is a little fast."""
    return f"instant > timestamp {literal(f'{delivery.received} 23:59:59.999999')} + interval {CLOCK_SKEW.total_seconds():.0f} second"


def is_late(delivery: Delivery) -> str:
    """The condition that an event happened longer ago than a delivery may tell of; a feed's first one tells of its history."""
    return (
        "false"
        if delivery.is_first
        else f"instant::date < date {literal(str(delivery.received))} - {LATE_DAYS}"
    )


def first_word_counts(connection: duckdb.DuckDBPyConnection, key: str) -> None:
    """Of good rows with one id the later ones are duplicates, or conflict; only ids that repeat are ranked."""
    connection.execute(
        f"""
        create or replace temp table copies as
        with repeated as (
            select {key} from classified where outcome = '{GOOD}' group by {key} having count(*) > 1
        ), ranked as (
            select source_file, line, {key}, body_hash,
                row_number() over (partition by {key} order by source_file, line) as copy,
                first_value(body_hash) over (partition by {key} order by source_file, line) as first_body
            from classified semi join repeated using ({key})
            where outcome = '{GOOD}'
        )
        select source_file, line, body_hash = first_body as is_same from ranked where copy > 1
        """
    )
    connection.execute(
        f"""
        update classified
        set outcome = case when is_same then '{DUPLICATE}' else '{QUARANTINED}' end,
            why = case when is_same then why else 'ID_CONFLICT' end
        from copies
        where classified.source_file = copies.source_file and classified.line = copies.line
        """
    )
    connection.execute("alter table classified rename why to reason")


def classify_items(
    connection: duckdb.DuckDBPyConnection, delivery: Delivery, description: FeedDescription
) -> None:
    checks = [
        *id_checks("item_id", "NO_ITEM"),
        *number_checks("price", lowest=0),
        *instant_checks("available_from"),
        *instant_checks("available_until", column="until_instant"),
        *json_checks("attributes"),
    ]
    connection.execute(
        given("given", ITEM_COLUMNS, instants=("available_from", "available_until"), ids=("item_id",))
    )
    services = ", ".join(literal(item) for item in description.service_items) or "null"
    columns = f"""item_id, left(title, 1000) as title, category, brand, {as_cents("price")} as price_cents,
        instant as available_from, until_instant as available_until, attributes"""
    _keep_last(connection, "item_id", columns, checks, aside=f"item_id in ({services})", why="SERVICE_LINE")


def classify_users(
    connection: duckdb.DuckDBPyConnection, delivery: Delivery, description: FeedDescription
) -> None:
    checks = [*id_checks("user_id", "NO_USER"), *instant_checks("created_at"), *json_checks("attributes")]
    connection.execute(given("given", USER_COLUMNS, instants=("created_at",), ids=("user_id",)))
    # What counts is the last word, whenever the row was told.
    aside = without_consent(connection, description, f"timestamp '{END - timedelta(days=1)}'")
    _keep_last(
        connection,
        "user_id",
        "user_id, instant as created_at, attributes",
        checks,
        aside=aside.replace("typed.", "given."),
        why=NO_CONSENT,
    )


def classify_consents(
    connection: duckdb.DuckDBPyConnection, delivery: Delivery, description: FeedDescription
) -> None:
    at = '"at"'  # a word of SQL
    checks = [
        *id_checks("user_id", "NO_USER"),
        *id_checks("purpose", "NO_PURPOSE"),
        *boolean_checks("granted"),
        *instant_checks(at, is_required=True),
        (is_future(delivery), "FUTURE"),
    ]
    columns_given = [at if name == "at" else name for name in CONSENT_COLUMNS]
    connection.execute(given("given", columns_given, instants=(at,), ids=("user_id", "purpose")))
    columns = f"user_id, purpose, {as_boolean('granted')} as is_granted, instant as said_at"
    _keep_last(connection, "user_id, purpose, is_granted, said_at", columns, checks)


def classify_identities(
    connection: duckdb.DuckDBPyConnection, delivery: Delivery, description: FeedDescription
) -> None:
    checks = [
        *id_checks("alias_id", "NO_ALIAS"),
        *id_checks("user_id", "NO_USER"),
        ("alias_id = user_id", "SELF_LINK"),
        *instant_checks("linked_at", is_required=True),
        (is_future(delivery), "FUTURE"),
    ]
    connection.execute(given("given", IDENTITY_COLUMNS, instants=("linked_at",), ids=("alias_id", "user_id")))
    columns = "alias_id, user_id, instant as linked_at"
    _keep_last(connection, "alias_id, user_id, linked_at", columns, checks)


def _keep_last(
    connection: duckdb.DuckDBPyConnection,
    key: str,
    columns: str,
    checks: Sequence[Check],
    *,
    aside: str = "false",
    why: str = "",
) -> None:
    """Within one delivery the last word about a key counts; earlier ones are duplicates."""
    connection.execute(
        f"""
        create or replace temp table classified as
        with decided as (
            select {columns}, source_file, line, {case(checks)} as reason,
                case when reason is not null then '{QUARANTINED}' when {aside} then '{ASIDE}' else '{GOOD}' end as outcome
            from given
        ), ranked as (
            select *, row_number() over (partition by outcome, {key} order by source_file desc, line desc) as copy from decided
        )
        select * exclude (reason, outcome, copy),
            case when outcome = '{GOOD}' and copy > 1 then '{DUPLICATE}' else outcome end as outcome,
            case when outcome = '{ASIDE}' then '{why}' else reason end as reason
        from ranked
        """
    )
