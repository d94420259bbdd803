"""The rules for decisions: what the API answered, shipped from its journal; like events each counts once, by its id."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

from contracts.decisions import Fallback, Source
from contracts.feed import DECISION_COLUMNS, FeedDescription
from contracts.lists import SOURCES
from jobs.feed_reader import Delivery
from jobs.landing.checks import (
    Check,
    as_boolean,
    as_integer,
    boolean_checks,
    case,
    given,
    id_checks,
    instant_checks,
    integer_checks,
    literal,
)
from jobs.landing.outcomes import ASIDE, GOOD, NO_CONSENT, QUARANTINED
from jobs.landing.rules import first_word_counts, is_future, is_late, without_consent

if TYPE_CHECKING:
    from collections.abc import Iterable

    import duckdb


def classify_decisions(
    connection: duckdb.DuckDBPyConnection, delivery: Delivery, description: FeedDescription
) -> None:
    checks = [
        *id_checks("decision_id", "NO_DECISION"),
        *id_checks("user_id", "NO_USER"),
        *instant_checks("decided_at", is_required=True),
        (is_future(delivery), "FUTURE"),
        (is_late(delivery), "LATE"),
        *id_checks("surface", "NO_DECISION"),
        *id_checks("version", "NO_DECISION"),
        _is_none_of("source", get_args(Source)),
        _is_none_of("made_from", SOURCES),
        _is_none_of("fallback", get_args(Fallback), is_required=False),
        *integer_checks("num_items"),
        ("num_items is null", "TYPE"),
        *boolean_checks("is_short"),
    ]
    connection.execute(
        given("given", DECISION_COLUMNS, instants=("decided_at",), ids=("decision_id", "user_id"))
    )
    content = ", ".join(f"coalesce({name}, chr(30))" for name in DECISION_COLUMNS)
    no_consent = without_consent(connection, description, "typed.decided_at")
    connection.execute(
        f"""
        create or replace temp table classified as
        with typed as (
            select decision_id, user_id, instant as decided_at, instant::date as event_date, surface, version, source, made_from,
                fallback, {as_integer("num_items")}::integer as num_items, {as_boolean("is_short")} as is_short,
                rules_applied, rules_dropped,
                sha256(concat_ws(chr(31), {content})) as body_hash, source_file, line, {case(checks)} as reason
            from given
        ), judged as (
            select *, reason is null and {no_consent} as is_withheld from typed
        )
        select * exclude (reason, is_withheld),
            case when reason is not null then '{QUARANTINED}' when is_withheld then '{ASIDE}' else '{GOOD}' end as outcome,
            case when is_withheld then '{NO_CONSENT}' else reason end as why
        from judged
        """
    )
    first_word_counts(connection, "decision_id")


def _is_none_of(column: str, words: Iterable[str], *, is_required: bool = True) -> Check:
    known = f"{column} in ({', '.join(map(literal, words))})"
    return f"not coalesce({known}, {str(not is_required).lower()})", "UNKNOWN_TYPE"
