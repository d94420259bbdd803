"""A replay's journal: what it has decided, written down before it is carried out.

The record in the state decides: before it nothing has happened, after it the decision holds, and whoever
comes next (a landing, another replay) carries out what a killed process has left undone. Each part of
that gives the same when it is done twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING, Any

from contracts import names
from contracts.feed import KINDS
from jobs.io.schemas import schema_of
from jobs.io.state import DELIVERIES, LANDINGS, REPLAYS
from jobs.landing import quarantine
from jobs.landing.account import Record, landings_moved, write_row_accounts
from jobs.landing.outcomes import GOOD, QUARANTINED
from jobs.landing.partitions import TABLES, replace_partitions
from jobs.runs import StepContext

if TYPE_CHECKING:
    import pyarrow as pa


def write_journal(
    day: date, good: Mapping[str, pa.Table], rejected: Mapping[str, pa.Table], context: StepContext
) -> None:
    """Write down, by kind, the rows that are good now and all that stays in the quarantine of their deliveries."""
    import pyarrow as pa

    for kind in sorted({*good, *rejected}):
        parts = [
            _in_form(kind, table, outcome)
            for outcome, table in ((GOOD, good.get(kind)), (QUARANTINED, rejected.get(kind)))
            if table is not None
        ]
        rows = pa.concat_tables(parts).sort_by(
            [(column, "ascending") for column in ("outcome", "received_date", "source_file", "line")]
        )
        context.lake.replace(_journal(kind), day, rows, inputs="")


def finish_replay(context: StepContext) -> None:
    """Carry out what a replay has decided and not yet done; usually there is nothing."""
    for day, record in context.state.all(REPLAYS).items():
        if record["pending"]:
            _carry_out(date.fromisoformat(day), record, context)
    for kind in KINDS:
        context.lake.drop(_journal(kind))  # its rows are in the lake now: people's names need no second place


def _carry_out(day: date, record: Record, context: StepContext) -> None:
    import pyarrow.compute as pc

    recorded = context.state.all(DELIVERIES)
    deliveries = {key: recorded[key] for key in record["pending"]}
    journal = {
        kind: context.lake.read(_journal(kind), day)
        for kind in sorted({each["kind"] for each in deliveries.values()})
    }
    good = {kind: rows.filter(pc.equal(rows.column("outcome"), GOOD)) for kind, rows in journal.items()}
    replace_partitions(good, dict.fromkeys(deliveries, day), context)
    for each in deliveries.values():
        rows, received = journal[each["kind"]], date.fromisoformat(each["received_date"])
        stays = pc.and_(
            pc.equal(rows.column("outcome"), QUARANTINED), pc.equal(rows.column("received_date"), received)
        )
        table = rows.filter(stays).select(list(quarantine.COLUMNS))
        context.lake.replace(quarantine.TABLES[each["kind"]], received, table, inputs=each["sha256"])
    write_row_accounts(deliveries, context)
    landings = landings_moved(deliveries, context.state)
    context.state.put_many(LANDINGS, landings, also=(REPLAYS, day.isoformat(), {**record, "pending": []}))


def _journal(kind: str) -> str:
    return f"{names.QUARANTINE}/replayed_{kind}"


def _in_form(kind: str, rows: pa.Table, outcome: str) -> pa.Table:
    """Rows with every column of the journal: places and reasons, the outcome, and what a good row says."""
    import pyarrow as pa

    columns: dict[str, Any] = {**quarantine.COLUMNS, "outcome": "text", **TABLES[kind].columns}
    del columns["known_date"]  # the journal's day
    schema = schema_of(columns)
    marked = rows.append_column("outcome", pa.array([outcome] * rows.num_rows, pa.string()))
    return pa.table(
        [
            marked.column(field.name).cast(field.type)
            if field.name in marked.column_names
            else pa.nulls(rows.num_rows, field.type)
            for field in schema
        ],
        schema=schema,
    )
