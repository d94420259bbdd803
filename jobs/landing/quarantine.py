"""Rejected rows, kept under their reasons: written by a landing, listed for people."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

from contracts import names
from contracts.settings import Settings
from jobs.io.lake import Lake
from jobs.io.schemas import schema_of
from jobs.landing.account import Account
from jobs.landing.classify import Classified

if TYPE_CHECKING:
    import pyarrow as pa

#: One partition a day of delivery.
TABLES = {
    "events": names.QUARANTINE_EVENTS,
    "decisions": names.QUARANTINE_DECISIONS,
    "items": names.QUARANTINE_ITEMS,
    "users": names.QUARANTINE_USERS,
    "consents": names.QUARANTINE_CONSENTS,
    "identities": names.QUARANTINE_IDENTITIES,
}
COLUMNS = {
    "received_date": "date",
    "source_file": "text",
    "line": "bigint",
    "reason": "text",
    "row_sha256": "text",
    "raw_line": "text",  # users are masked
}


def write_quarantine(each: Classified, account: Account, lake: Lake) -> None:
    """Keep rejected rows, also of a delivery that is then refused; a clean delivery leaves no partition."""
    table, received = TABLES[each.delivery.kind], each.delivery.received
    if not each.rejected and lake.manifest(table, received) is None:
        return
    rows = [{"received_date": received, **row} for row in each.rejected]
    lake.replace(table, received, as_table(rows), inputs=account.sha256)


def add_to_quarantine(each: Classified, lake: Lake) -> None:
    """Keep rejected rows beside those that their delivery was rejected for before; twice is once."""
    if not each.rejected:
        return
    table, received = TABLES[each.delivery.kind], each.delivery.received
    before = lake.read(table, received).to_pylist() if lake.manifest(table, received) is not None else []
    rows = {(row["source_file"], row["line"]): row for row in before}
    rows |= {(row["source_file"], row["line"]): {"received_date": received, **row} for row in each.rejected}
    lake.replace(table, received, as_table(list(rows.values())), inputs=each.delivery.sha256())


def as_table(rows: list[dict[str, Any]]) -> pa.Table:
    """Rejected rows in the order of their places."""
    import pyarrow as pa

    ordered = sorted(rows, key=lambda row: (row["source_file"], row["line"], row["reason"]))
    return pa.Table.from_pylist(ordered, schema=schema_of(COLUMNS))


def list_quarantine(settings: Settings, day: date | None) -> list[dict[str, Any]]:
    """Rejected rows counted by day of delivery, kind and reason, with one example each."""
    lake = Lake.of(settings)
    rows = []
    for kind, table in TABLES.items():
        for received in lake.days(table, first=day, until=day):
            found = lake.read(table, received).to_pylist()
            for reason in sorted({row["reason"] for row in found}):
                of_reason = [row for row in found if row["reason"] == reason]
                example = f"{of_reason[0]['source_file']}:{of_reason[0]['line']} {of_reason[0]['raw_line']}"
                rows.append(
                    {
                        "received": received,
                        "kind": kind,
                        "reason": reason,
                        "rows": len(of_reason),
                        "example": example,
                    }
                )
    return rows
