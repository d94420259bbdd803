"""Decide about every row of a delivery: good, quarantined, duplicate or set aside, and why.

The rules stand in SQL, which DuckDB runs in memory over all rows at once. ``REASONS`` is what they may
answer; ``docs/landing.md`` explains each to the shop.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from contracts.feed import EVENT_COLUMNS, EVENT_TYPES, ITEM_COLUMNS, USER_COLUMNS, FeedDescription
from jobs.feed_reader import Delivery
from jobs.landing.reading import BAD_UTF8, Unshaped, read_delivery

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

#: Malformed rows: kept in quarantine under one of these.
REASONS = (
    "RAGGED", "NO_JSON", "DUP_KEY", "BAD_UTF8", "NO_ITEM", "NO_USER", "BAD_ID", "ID_TOO_LONG", "CTRL_CHAR", "PLACEHOLDER_ID",
    "UNKNOWN_TYPE", "NO_TS", "TS_UNIT", "TS_RANGE", "NO_TZ", "BAD_DATE", "FUTURE", "TYPE", "NON_FINITE", "RANGE", "ID_CONFLICT",
)  # fmt: skip
#: Well-formed rows that say nothing about taste, or that we may not use.
SET_ASIDE = ("SERVICE_LINE", "ZERO_PRICE", "NO_CONSENT")

GOOD, QUARANTINED, DUPLICATE, ASIDE = "good", "quarantined", "duplicate", "set_aside"

_INTEGER = r"^[+-]?\d{1,18}(\.0+)?$"
_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?$"
_NOT_FINITE = r"(?i)^[+-]?(nan|inf|infinity)$"
_INSTANT = r"^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}([.,]\d{1,9})?)?(Z|z|[+-]\d{2}(:?\d{2})?)$"
_LOCAL = r"^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}([.,]\d+)?)?)?$"
_CONTROL = "[\\x00-\\x1f\\x7f\\x{202a}-\\x{202e}\\x{2066}-\\x{2069}\\x{200b}-\\x{200f}]"
_BLANK = "^[\\s\\x{00a0}\\x{200b}\\x{feff}]*$"
_LARGEST = 10**12  # of a price, a quantity, a value
_ID_BYTES = 128


@dataclass(frozen=True)
class Classified:
    """One delivery, decided upon."""

    delivery: Delivery
    rows: pa.Table  # good rows, duplicates of what lies elsewhere not yet removed
    rejected: list[dict[str, Any]]  # quarantined rows: source_file, line, reason, raw_line, row_sha256
    num_read: int
    set_aside: dict[str, int]
    num_duplicates: int

    def quarantine_summary(self) -> list[tuple[str, int, dict[str, Any]]]:
        """(reason, rows, first example), most frequent first."""
        by_reason: dict[str, list[dict[str, Any]]] = {}
        for row in self.rejected:
            by_reason.setdefault(row["reason"], []).append(row)
        return sorted(
            ((reason, len(rows), rows[0]) for reason, rows in by_reason.items()),
            key=lambda told: (-told[1], told[0]),
        )


def classify_all(deliveries: Sequence[Delivery], description: FeedDescription) -> list[Classified]:
    """Classify every row of each delivery by itself; what was landed before is not looked at.

    Raises:
        FeedInvalid: the delivery as a whole cannot be read.
    """
    import duckdb

    build = {"events": _classify_events, "items": _classify_items, "users": _classify_users}
    connection = duckdb.connect(config={"threads": 1})
    classified = []
    try:
        connection.execute("set timezone = 'UTC'")
        for delivery in deliveries:
            table, unshaped = read_delivery(delivery)
            connection.register("delivered", table)
            build[delivery.kind](connection, delivery, description)
            classified.append(_collected(connection, delivery, unshaped, table.num_rows))
    finally:
        connection.close()
    return classified


def _classify_events(
    connection: duckdb.DuckDBPyConnection, delivery: Delivery, description: FeedDescription
) -> None:
    services = ", ".join(_literal(item) for item in description.service_items) or "null"
    no_consent = "user_id is not null" if description.missing_consent == "denied" else "false"
    checks = [
        *_id_checks("item_id", "NO_ITEM"),
        *_id_checks("user_id"),
        *_id_checks("event_id"),
        *_id_checks("session_id"),
        *_id_checks("decision_id"),
        (
            f"event_type is null or event_type not in ({', '.join(map(_literal, EVENT_TYPES))})",
            "UNKNOWN_TYPE",
        ),
        *_instant_checks("occurred_at", is_required=True),
        (
            "instant > timestamp "
            + _literal(f"{delivery.received} 23:59:59.999999")
            + " + interval 5 minute",
            "FUTURE",
        ),
        *_integer_checks("quantity"),
        *_number_checks("unit_price", lowest=0),
        *_number_checks("value"),
        *_integer_checks("dwell_ms"),
        *_number_checks("scroll_depth", lowest=0, highest=1),
        *_integer_checks("position"),
    ]
    connection.execute(
        _given(
            "given",
            EVENT_COLUMNS,
            instants=("occurred_at",),
            ids=("event_id", "user_id", "item_id", "session_id", "decision_id"),
        )
    )
    content = ", ".join(f"coalesce({name}, chr(30))" for name in EVENT_COLUMNS if name != "event_id")
    connection.execute(
        f"""
        create or replace temp table classified as
        with checked as (
            select *, sha256(concat_ws(chr(31), {content})) as body_hash, {_case(checks)} as reason from given
        ), typed as (
            select
                coalesce(event_id, body_hash) as event_id, user_id, item_id, event_type, instant as occurred_at, instant::date as event_date,
                session_id, {_as_integer("quantity")} as quantity, {_as_cents("unit_price")} as unit_price_cents,
                try_cast(value as double) as value, {_as_integer("dwell_ms")} as dwell_ms,
                try_cast(scroll_depth as double) as scroll_depth, surface, {_as_integer("position")}::integer as position, decision_id,
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
                    when {no_consent} then 'NO_CONSENT'
                end as why
            from typed
        ), ranked as (
            select *,
                row_number() over (partition by outcome, event_id order by source_file, line) as copy,
                first_value(body_hash) over (partition by outcome, event_id order by source_file, line) as first_body
            from decided
        )
        select * exclude (reason, outcome, why, copy, first_body),
            case
                when outcome <> '{GOOD}' or copy = 1 then outcome
                when body_hash = first_body then '{DUPLICATE}'
                else '{QUARANTINED}'
            end as outcome,
            case when outcome = '{GOOD}' and copy > 1 and body_hash <> first_body then 'ID_CONFLICT' else why end as reason
        from ranked
        """
    )


def _classify_items(
    connection: duckdb.DuckDBPyConnection, delivery: Delivery, description: FeedDescription
) -> None:
    checks = [
        *_id_checks("item_id", "NO_ITEM"),
        *_number_checks("price", lowest=0),
        *_instant_checks("available_from"),
        *_instant_checks("available_until", column="until_instant"),
        *_json_checks("attributes"),
    ]
    connection.execute(
        _given("given", ITEM_COLUMNS, instants=("available_from", "available_until"), ids=("item_id",))
    )
    services = ", ".join(_literal(item) for item in description.service_items) or "null"
    columns = f"""item_id, left(title, 1000) as title, category, brand, {_as_cents("price")} as price_cents,
        instant as available_from, until_instant as available_until, attributes"""
    _keep_last(connection, "item_id", columns, checks, aside=f"item_id in ({services})", why="SERVICE_LINE")


def _classify_users(
    connection: duckdb.DuckDBPyConnection, delivery: Delivery, description: FeedDescription
) -> None:
    checks = [*_id_checks("user_id", "NO_USER"), *_instant_checks("created_at"), *_json_checks("attributes")]
    connection.execute(_given("given", USER_COLUMNS, instants=("created_at",), ids=("user_id",)))
    aside = "true" if description.missing_consent == "denied" else "false"
    _keep_last(
        connection,
        "user_id",
        "user_id, instant as created_at, attributes",
        checks,
        aside=aside,
        why="NO_CONSENT",
    )


def _keep_last(
    connection: duckdb.DuckDBPyConnection,
    key: str,
    columns: str,
    checks: Sequence[tuple[str, str]],
    *,
    aside: str,
    why: str,
) -> None:
    """Within one delivery the last word about an item or a user counts; earlier ones are duplicates."""
    connection.execute(
        f"""
        create or replace temp table classified as
        with decided as (
            select {columns}, source_file, line, {_case(checks)} as reason,
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


def _collected(
    connection: duckdb.DuckDBPyConnection, delivery: Delivery, unshaped: Sequence[Unshaped], num_shaped: int
) -> Classified:
    counts = connection.execute("select outcome, reason, count(*) from classified group by all").fetchall()
    hidden = "user_id" if delivery.kind != "items" else ""  # people are not named in quarantine
    rejected = connection.execute(_rejected_query(delivery, hidden)).fetchall()
    return Classified(
        delivery=delivery,
        rows=connection.sql(
            f"select * exclude (outcome, reason) from classified where outcome = '{GOOD}' order by source_file, line"
        ).to_arrow_table(),
        rejected=[
            *(_unshaped_record(row) for row in unshaped),
            *(
                dict(zip(("source_file", "line", "reason", "raw_line", "row_sha256"), row, strict=True))
                for row in rejected
            ),
        ],
        num_read=num_shaped + len(unshaped),
        set_aside={reason: count for outcome, reason, count in sorted(counts, key=str) if outcome == ASIDE},
        num_duplicates=sum(count for outcome, _, count in counts if outcome == DUPLICATE),
    )


def _rejected_query(delivery: Delivery, hidden: str) -> str:
    """Quarantined rows as they were delivered, users masked, with a digest of the unmasked row."""
    names = {"events": EVENT_COLUMNS, "items": ITEM_COLUMNS, "users": USER_COLUMNS}[delivery.kind]
    content = ", ".join(f"coalesce({name}, chr(30))" for name in names)
    return f"""
        with raw as (
            select source_file, line, sha256(concat_ws(chr(31), {content})) as row_sha256,
                to_json({{ {", ".join(f"'{name}': {_shown(name, hidden)}" for name in names)} }})::varchar as raw_line
            from delivered
        )
        select source_file, line, reason, raw_line, row_sha256
        from classified join raw using (source_file, line)
        where outcome = '{QUARANTINED}'
        order by source_file, line
    """


def _shown(name: str, hidden: str) -> str:
    return f"case when {name} is null then null else '***' end" if name == hidden else f"left({name}, 256)"


def _unshaped_record(row: Unshaped) -> dict[str, Any]:
    import hashlib

    digest = hashlib.sha256(row.raw_line.encode("utf-8", errors="surrogateescape")).hexdigest()
    # A row without columns cannot have its user masked: only its length is kept.
    raw_line = f"{len(row.raw_line)} characters"
    return {
        "source_file": row.source_file,
        "line": row.line,
        "reason": row.reason,
        "raw_line": raw_line,
        "row_sha256": digest,
    }


def _given(name: str, columns: Sequence[str], *, instants: Sequence[str], ids: Sequence[str]) -> str:
    """The delivered rows with empty values as missing ones, ids in one Unicode form, and instants as UTC timestamps."""
    cleaned = [
        f"nfc_normalize(nullif({column}, '')) as {column}"
        if column in ids
        else f"nullif({column}, '') as {column}"
        for column in columns
    ]
    at = [
        f"{_as_instant(column)} as {alias}"
        for column, alias in zip(instants, ("instant", "until_instant"), strict=False)
    ]
    return f"create or replace temp table {name} as select {', '.join([*cleaned, *at])}, source_file, line from (select * replace ({', '.join(f'{c}::varchar as {c}' for c in columns)}) from delivered)"


def _as_instant(column: str) -> str:
    """ISO 8601 with an offset, or an epoch in s, ms or µs told apart by its size, as a UTC timestamp."""
    number = f"try_cast({column} as double)"
    text = f"replace(regexp_replace({column}, ':60([.,]\\d+)?', ':59.999'), ',', '.')"
    return f"""case
        when regexp_matches({column}, '{_NUMBER}') then case
            when {number} between 1e8 and 1e10 then make_timestamp(round({number} * 1e6)::bigint)
            when {number} between 1e11 and 1e13 then make_timestamp(round({number} * 1e3)::bigint)
            when {number} between 1e14 and 1e16 then make_timestamp(round({number})::bigint)
        end
        when regexp_matches({column}, '{_INSTANT}') then try_cast({text} as timestamptz) at time zone 'UTC'
    end"""


def _id_checks(column: str, missing: str | None = None) -> list[tuple[str, str]]:
    checks = [(f"{column} is null", missing)] if missing else []
    return [
        *checks,
        (f"contains({column}, '{BAD_UTF8}')", "BAD_UTF8"),
        (f"regexp_matches({column}, '{_BLANK}')", "BAD_ID"),
        (f"strlen({column}) > {_ID_BYTES}", "ID_TOO_LONG"),
        (f"regexp_matches({column}, '{_CONTROL}')", "CTRL_CHAR"),
        (f"lower({column}) in ('null', 'none', 'nan', 'undefined')", "PLACEHOLDER_ID"),
    ]


def _instant_checks(
    source: str, *, is_required: bool = False, column: str = "instant"
) -> list[tuple[str, str]]:
    number = f"try_cast({source} as double)"
    checks = [(f"{source} is null", "NO_TS")] if is_required else []
    return [
        *checks,
        (f"regexp_matches({source}, '{_NUMBER}') and ({number} <= 0 or {number} > 1e16)", "TS_RANGE"),
        (f"regexp_matches({source}, '{_NUMBER}') and {column} is null", "TS_UNIT"),
        (f"regexp_matches({source}, '{_LOCAL}')", "NO_TZ"),
        (f"{source} is not null and {column} is null", "BAD_DATE"),
        (f"year({column}) not between 1990 and 2100", "TS_RANGE"),
    ]


def _integer_checks(column: str) -> list[tuple[str, str]]:
    return [
        (f"regexp_matches({column}, '{_NOT_FINITE}')", "NON_FINITE"),
        (f"{column} is not null and not regexp_matches({column}, '{_INTEGER}')", "TYPE"),
        (
            f"try_cast({column} as double) not between 0 and {_LARGEST if column != 'position' else 10**6}",
            "RANGE",
        ),
    ]


def _number_checks(
    column: str, *, lowest: float = -_LARGEST, highest: float = _LARGEST
) -> list[tuple[str, str]]:
    return [
        (f"regexp_matches({column}, '{_NOT_FINITE}')", "NON_FINITE"),
        (f"{column} is not null and not regexp_matches({column}, '{_NUMBER}')", "TYPE"),
        (f"try_cast({column} as double) not between {lowest} and {highest}", "RANGE"),
    ]


def _json_checks(column: str) -> list[tuple[str, str]]:
    return [(f"{column} is not null and not json_valid({column})", "TYPE")]


def _case(checks: Sequence[tuple[str, str]]) -> str:
    return "case " + " ".join(f"when {condition} then '{reason}'" for condition, reason in checks) + " end"


def _as_integer(column: str) -> str:
    return f"try_cast(try_cast({column} as decimal(20, 2)) as bigint)"


def _as_cents(column: str) -> str:
    """Money in cents, halves rounded up."""
    return f"try_cast(round(try_cast({column} as decimal(18, 6)) * 100) as bigint)"


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
