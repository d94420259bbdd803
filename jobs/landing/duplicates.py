"""Among deliveries, and against what lies in the lake, a row counts once: the first word about it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from contracts.feed import HAPPENED, KINDS
from jobs.io.commit import digest_of
from jobs.io.state import DELIVERIES
from jobs.landing.account import Account
from jobs.landing.checks import literal
from jobs.landing.classify import Classified
from jobs.landing.partitions import TABLES
from jobs.runs import StepContext

if TYPE_CHECKING:
    import pyarrow as pa


#: Of the rows in ``told``, those whose event an earlier word has told of: duplicates, or (``is_same`` is false) conflicts.
LATER_WORDS = """
    with repeated as (
        select event_id from told group by event_id having count(*) > 1
    ), ranked as (
        select *, row_number() over w as copy, first_value(body_hash) over w as first_body
        from told semi join repeated using (event_id)
        window w as (partition by event_id order by is_landed desc, received_date, source_file, line)
    )
    select received_date, source_file, line, event_id, body_hash = first_body as is_same from ranked
    where copy > 1 and not is_landed
"""


def merge(
    classified: Sequence[Classified], context: StepContext, returned: Collection[str] = ()
) -> tuple[dict[str, pa.Table], dict[str, Account]]:
    """All good rows by kind, with duplicates among deliveries and of what has been landed taken out.

    Args:
        returned: the deliveries of which only rows are classified that were withheld: where a killed landing has left
            these in the lake already, they are no duplicates of themselves.
    """
    import pyarrow as pa

    accounts = {each.delivery.key: Account.of(each) for each in classified}
    merged: dict[str, pa.Table] = {}
    for kind in KINDS:
        parts = []
        for each in classified:
            if each.delivery.kind == kind:
                is_told = kind in HAPPENED or each.delivery.key in returned
                rows = each.rows if is_told else _not_yet_described(each, accounts, context)
                received = pa.array([each.delivery.received] * rows.num_rows, pa.date32())
                parts.append(rows.append_column("received_date", received))
        if parts:
            merged[kind] = pa.concat_tables(parts)
    for kind in HAPPENED.keys() & merged.keys():
        left = [each for each in returned if each.startswith(f"{kind}/")]
        merged[kind] = _without_duplicates(kind, merged[kind], classified, accounts, context, left)
    for account in accounts.values():
        account.check()
    return merged, accounts


def _not_yet_described(each: Classified, accounts: dict[str, Account], context: StepContext) -> pa.Table:
    """What this very delivery has not told yet, of items or users, say: what runs have seen of it stays."""
    import duckdb

    key, table, received = each.delivery.key, TABLES[each.delivery.kind], each.delivery.received
    if context.state.get(DELIVERIES, key) is None or context.lake.manifest(table.name, received) is None:
        return each.rows
    columns = [name for name in table.key if name != "received_date"]
    with duckdb.connect(config={"threads": context.settings.threads}) as connection:
        connection.register("delivered", each.rows)
        connection.register("told", context.lake.read(table.name, received, columns))
        new = connection.sql(
            f"select * from delivered anti join told using ({', '.join(columns)})"
        ).to_arrow_table()
    accounts[key].good -= each.rows.num_rows - new.num_rows
    accounts[key].duplicate += each.rows.num_rows - new.num_rows
    return new


def _without_duplicates(
    kind: str,
    rows: pa.Table,
    classified: Sequence[Classified],
    accounts: dict[str, Account],
    context: StepContext,
    returned: Sequence[str],
) -> pa.Table:
    """Events, or decisions, whose id neither an earlier delivery nor the lake has; the first word counts."""
    import duckdb

    id_column = HAPPENED[kind]
    connection = duckdb.connect(config={"threads": context.settings.threads})
    try:
        connection.register("arriving", rows)
        connection.execute(
            f"create temp view events as select {id_column} as event_id, * exclude ({id_column}) from arriving"
        )
        connection.execute(
            f"""
            create temp table told as
            select event_id, body_hash, received_date, source_file, line, false as is_landed from events
            union all
            select event_id, body_hash, received_date, '', 0, true
            from ({_landed_ids(kind, context)}) as landed semi join events using (event_id)
            where not {_left_by_a_killed_landing(returned)}
            """
        )
        connection.execute(f"create temp table lost as {LATER_WORDS}")
        lost = connection.execute("select * from lost order by received_date, source_file, line").fetchall()
        if lost:
            kept = connection.sql(
                "select * from arriving anti join lost using (received_date, source_file, line)"
            ).to_arrow_table()
        else:
            kept = rows
    finally:
        connection.close()
    by_key = {each.delivery.key: each for each in classified}
    for received, source_file, line, event_id, is_same in lost:
        key = f"{kind}/{received}"
        account = accounts[key]
        account.good -= 1
        if is_same:
            account.duplicate += 1
            continue
        account.quarantined["ID_CONFLICT"] = account.quarantined.get("ID_CONFLICT", 0) + 1
        row = {id_column: event_id}
        by_key[key].rejected.append(
            {
                "source_file": source_file,
                "line": line,
                "reason": "ID_CONFLICT",
                "raw_line": str(row),
                "row_sha256": digest_of(row),
            }
        )
    return kept


def _left_by_a_killed_landing(returned: Sequence[str]) -> str:
    if not returned:
        return "false"
    days = ", ".join(f"date '{each.partition('/')[2]}'" for each in returned)
    return f"""(landed.received_date in ({days}) and exists (
        select 1 from events
        where events.event_id = landed.event_id and events.body_hash = landed.body_hash
            and events.received_date = landed.received_date
    ))"""


def _landed_ids(kind: str, context: StepContext) -> str:
    """A query of the ids in the lake, without leftovers of landings that were never recorded."""
    table = TABLES[kind].name
    days = context.lake.days(table)
    received = sorted(
        record["received_date"] for record in context.state.all(DELIVERIES).values() if record["kind"] == kind
    )
    if not days or not received:
        return "select '' as event_id, '' as body_hash, current_date as received_date limit 0"
    files = ", ".join(literal(str(path)) for path in context.lake.files(table, days))
    among = ", ".join(f"date '{each}'" for each in received)
    return f"select {HAPPENED[kind]} as event_id, body_hash, received_date from read_parquet([{files}], hive_partitioning = false) where received_date in ({among})"
