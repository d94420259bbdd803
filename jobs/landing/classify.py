"""Decide about every row of a delivery: good, quarantined, duplicate or set aside, and why."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from contracts.feed import COLUMNS, FeedDescription
from jobs.feed_reader import Delivery
from jobs.landing.decision_rules import classify_decisions
from jobs.landing.outcomes import ASIDE, DUPLICATE, GOOD, NO_CONSENT, QUARANTINED
from jobs.landing.reading import Unshaped, read_delivery
from jobs.landing.rules import (
    classify_consents,
    classify_events,
    classify_identities,
    classify_items,
    classify_users,
    hear,
)
from jobs.people import People

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

_RULES = {
    "events": classify_events,
    "decisions": classify_decisions,
    "items": classify_items,
    "users": classify_users,
    "consents": classify_consents,
    "identities": classify_identities,
}
#: People are not named in quarantine.
_HIDDEN = ("user_id", "alias_id")


@dataclass(frozen=True)
class Classified:
    """One delivery, decided upon."""

    delivery: Delivery
    rows: pa.Table  # good rows in any order, duplicates of what lies elsewhere not yet removed
    rejected: list[dict[str, Any]]  # quarantined rows: source_file, line, reason, raw_line, row_sha256
    num_read: int
    set_aside: dict[str, int]
    num_duplicates: int
    withheld: list[dict[str, Any]]  # rows without consent: source_file, line, user_sha256

    def quarantine_summary(self) -> list[tuple[str, int, dict[str, Any]]]:
        """(reason, rows, first example), most frequent first."""
        by_reason: dict[str, list[dict[str, Any]]] = {}
        for row in self.rejected:
            by_reason.setdefault(row["reason"], []).append(row)
        return sorted(
            ((reason, len(rows), rows[0]) for reason, rows in by_reason.items()),
            key=lambda told: (-told[1], told[0]),
        )


def classify_all(
    deliveries: Sequence[Delivery],
    description: FeedDescription,
    threads: int = 1,
    people: People | None = None,
) -> list[Classified]:
    """Classify every row of each delivery by itself; what was landed before is not looked at.

    Args:
        people: who has said what about consent; without it nobody has said anything.

    Raises:
        FeedInvalid: the delivery as a whole cannot be read.
    """
    read = ((each, *read_delivery(each)) for each in deliveries)
    return classify_rows(read, description, threads, people)


def classify_rows(
    read: Iterable[tuple[Delivery, pa.Table, Sequence[Unshaped]]],
    description: FeedDescription,
    threads: int = 1,
    people: People | None = None,
) -> list[Classified]:
    """Classify rows that have been read already: those of a delivery that have a shape, and those that have none."""
    import duckdb

    connection = duckdb.connect(config={"threads": threads})
    classified = []
    try:
        connection.execute("set timezone = 'UTC'")
        hear(connection, people)
        for delivery, table, unshaped in read:
            connection.register("delivered", table)
            _RULES[delivery.kind](connection, delivery, description)
            classified.append(_collected(connection, delivery, unshaped, table.num_rows))
    finally:
        connection.close()
    return classified


def _collected(
    connection: duckdb.DuckDBPyConnection, delivery: Delivery, unshaped: Sequence[Unshaped], num_shaped: int
) -> Classified:
    counts = connection.execute("select outcome, reason, count(*) from classified group by all").fetchall()
    rejected = connection.execute(_rejected_query(delivery)).fetchall()
    return Classified(
        delivery=delivery,
        rows=connection.sql(
            f"select * exclude (outcome, reason) from classified where outcome = '{GOOD}'"
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
        withheld=_withheld(connection) if (ASIDE, NO_CONSENT) in {each[:2] for each in counts} else [],
    )


def _withheld(connection: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    """Where rows without consent stand, and the digest of whose they are."""
    found = connection.sql(
        f"""select source_file, line, sha256(user_id) as user_sha256 from classified
        where outcome = '{ASIDE}' and reason = '{NO_CONSENT}'"""
    )
    rows: list[dict[str, Any]] = found.to_arrow_table().to_pylist()
    return rows


def _rejected_query(delivery: Delivery) -> str:
    """Quarantined rows as they were delivered, users masked, with a digest of the unmasked row."""
    names = COLUMNS[delivery.kind]
    content = ", ".join(f'coalesce("{name}", chr(30))' for name in names)
    hidden = _HIDDEN if delivery.kind != "items" else ()
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


def _shown(name: str, hidden: Sequence[str]) -> str:
    return f"case when {name} is null then null else '***' end" if name in hidden else f'left("{name}", 256)'


def _unshaped_record(row: Unshaped) -> dict[str, Any]:
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
