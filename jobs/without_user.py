"""Rewrite what is kept without given users: partitions of the lake, tables of the warehouse, under the lease.

Rows that name one of them go, from the raw tables to the lists, and with them what earlier revisions held. Sums over
many people (an item's popularity, pairs of items) are not theirs alone: the event days that are returned are owed, and
the next transform counts them anew. Features of days that have ended are what they were, less the users' rows.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date
from typing import TYPE_CHECKING, Any

from contracts import names
from contracts.consent import digest_of_user
from contracts.tables import TABLES
from jobs.attribution import owe_event_days
from jobs.denials import denials_of_erased, keep_denials
from jobs.io.journal import Journal
from jobs.io.lake import Lake
from jobs.io.sample import own_file
from jobs.io.warehouse import Warehouse, open_warehouse
from jobs.landing.checks import literal
from jobs.landing.journal import finish_replay
from jobs.landing.when_known import known_date_of_replay, landed_until
from jobs.landing.withheld import TABLES as WITHHELD
from jobs.marts import refresh_marts
from jobs.people import people_known
from jobs.runs import StepContext
from jobs.served_consent import tell_readers

if TYPE_CHECKING:
    import pyarrow as pa

#: Columns that name a person.
_NAMING = ("user_id", "alias_id")


def rewrite_without(user_ids: Collection[str], context: StepContext) -> dict[str, Any]:
    """Take every row that names one of these ids out of lake and warehouse. Twice is once.

    Ids are taken as they are given: whoever erases a person gives all ids of that person. Returns how many rows went, by
    table, and the event days that they were in. Of whoever had denied, a digest of each id goes on denying.
    """
    finish_replay(context)
    asked = sorted(set(user_ids))
    _keep_denials(asked, context)  # first: the words that say so go
    gone: dict[str, int] = {}
    touched = _event_days(context.lake, asked)
    with open_warehouse(context.settings) as warehouse:
        owe_event_days(
            warehouse, touched
        )  # first: an attempt that is cut short leaves nothing to find them by
    for table in TABLES:
        columns = [name for name in _NAMING if name in TABLES[table].columns]
        for day in context.lake.days(table) if columns else ():
            num_rows = _rewrite(context.lake, table, day, columns, asked)
            if num_rows:
                gone[table] = gone.get(table, 0) + num_rows
    digests = [digest_of_user(user_id) for user_id in asked]
    for table in WITHHELD.values():
        for day in context.lake.days(table):
            if num_rows := _rewrite(context.lake, table, day, ["user_sha256"], digests):
                gone[table] = gone.get(table, 0) + num_rows
    with open_warehouse(context.settings) as warehouse:
        for table, num_rows in _delete(warehouse, asked, context).items():
            gone[table] = max(gone.get(table, 0), num_rows)
    if num_records := Journal(context.settings.home).remove_users(asked):
        gone["journal"] = num_records
    refresh_marts(context.settings)  # links to revisions that are gone
    own_file(context.settings).unlink(missing_ok=True)  # somebody's sample: it is drawn anew
    tell_readers(context)
    return {"rows": gone, "event_days": sorted(day.isoformat() for day in touched)}


def _keep_denials(user_ids: list[str], context: StepContext) -> None:
    people = people_known(
        context.lake, date.max, missing=True, denials=denials_of_erased(context.state)
    )  # what silence means changes no word
    newest = landed_until(context.state)
    if people and newest:
        keep_denials(user_ids, people, known_date_of_replay(newest), context.state)


def _event_days(lake: Lake, user_ids: list[str]) -> set[date]:
    """The event days on which any of these ids did something, or was answered."""
    return {
        day
        for table in (names.RAW_EVENTS, names.RAW_DECISIONS, *names.BY_EVENT_DAY)
        for day in lake.days(table)
        if lake.read(table, day, ["user_id"], where=[("user_id", "in", user_ids)]).num_rows
    }


def _rewrite(lake: Lake, table: str, day: date, columns: list[str], values: list[str]) -> int:
    """One partition without the rows that hold one of the values; how many there were."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    manifest = lake.verify(table, day)
    folder, num_kept = lake.staging(table, day), 0
    for number, path in enumerate(lake.files(table, [day])):  # as many files as before, each in its place
        kept = _without(pq.read_table(path, partitioning=None), columns, pa.array(values, pa.string()))
        pq.write_table(kept, folder / f"{number:04d}.parquet", compression="zstd", row_group_size=1 << 17)
        num_kept += kept.num_rows
    if num_kept < manifest.num_rows:
        lake.commit(table, day, folder, num_rows=num_kept, inputs=manifest.inputs)
    # Files of the revision before may hold such rows even where this one, rewritten by a killed attempt, holds none.
    lake.forget_previous(table, day)
    return manifest.num_rows - num_kept


def _without(rows: pa.Table, columns: list[str], values: pa.Array) -> pa.Table:
    import pyarrow.compute as pc

    for column in columns:
        rows = rows.filter(pc.invert(pc.is_in(rows.column(column), value_set=values)))
    return rows


def _delete(warehouse: Warehouse, user_ids: list[str], context: StepContext) -> dict[str, int]:
    """Delete the rows of every table, not view, that has a column which names a person."""
    found = warehouse.read(
        "select columns.table_schema, columns.table_name, columns.column_name from information_schema.columns as columns "
        "join information_schema.tables as tables "
        "on tables.table_schema = columns.table_schema and tables.table_name = columns.table_name "
        "where tables.table_type = 'BASE TABLE' and columns.column_name in ('user_id', 'alias_id') "
        f"and columns.table_schema in ({', '.join(map(literal, _SCHEMAS))}) order by 1, 2, 3",
        {"table_schema": "text", "table_name": "text", "column_name": "text"},
    )
    among = ", ".join(map(literal, user_ids))
    gone: dict[str, int] = {}
    for row in found.to_pylist():
        target, where = f"{row['table_schema']}.{row['table_name']}", f"{row['column_name']} in ({among})"
        counted = warehouse.read(
            f"select count(*) as num_rows from {target} where {where}", {"num_rows": "bigint"}
        )
        if num_rows := int(counted.column(0).to_pylist()[0]):
            with context.lease.guard():
                warehouse.execute(f"delete from {target} where {where}")
            layer = names.RAW if row["table_schema"] == names.WAREHOUSE_RAW else names.FEATURES
            name = f"{layer}/{row['table_name']}"
            gone[name] = gone.get(name, 0) + num_rows
    return gone


#: Schemas of the warehouse that hold what people did, see dbt_project.yml.
_SCHEMAS = (names.WAREHOUSE_RAW, "intermediate", "marts", "features")
