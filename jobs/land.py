"""Step 1, land: what was received and not yet landed becomes partitions by event day; every row is accounted for.

Everything is computed first. Then quarantine, lake and warehouse are replaced, and one record at the very
end says that the deliveries have landed. What a killed attempt wrote before that record is left out by the
next one, because rows of a delivery without a record are leftovers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from statistics import median
from typing import TYPE_CHECKING, Any

from contracts import names
from contracts.errors import DayRefused, FeedInvalid
from contracts.feed import FeedDescription, days_between
from contracts.settings import Settings
from contracts.tables import RAW_EVENTS, RAW_ITEMS, RAW_USERS, ROW_ACCOUNTS, Table
from jobs.feed_reader import Delivery, complete_deliveries, read_description
from jobs.io.commit import digest_of
from jobs.io.lake import Lake
from jobs.io.schemas import arrow_schema, schema_of
from jobs.io.state import DELIVERIES, LANDINGS, State
from jobs.io.warehouse import open_warehouse
from jobs.landing.classify import Classified, classify_all
from jobs.runs import StepContext

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

_TABLES = {"events": RAW_EVENTS, "items": RAW_ITEMS, "users": RAW_USERS}
_DAY_COLUMN = {"events": "event_date", "items": "received_date", "users": "received_date"}
_QUARANTINE = {
    "events": names.QUARANTINE_EVENTS,
    "items": names.QUARANTINE_ITEMS,
    "users": names.QUARANTINE_USERS,
}
_QUARANTINE_COLUMNS = {
    "received_date": "date",
    "source_file": "text",
    "line": "bigint",
    "reason": "text",
    "row_sha256": "text",
    "raw_line": "text",  # users are masked
}
_DELIVERIES_COMPARED = 14


@dataclass
class Account:
    """What became of the rows of one delivery; read = good + quarantined + duplicate + set aside."""

    delivery: Delivery
    sha256: str
    read: int
    good: int
    quarantined: dict[str, int]
    duplicate: int
    set_aside: dict[str, int]

    def check(self) -> None:
        """Every row has exactly one outcome."""
        parts = self.good + sum(self.quarantined.values()) + self.duplicate + sum(self.set_aside.values())
        if parts != self.read:
            raise AssertionError(
                f"{self.delivery.key}: {self.read} rows were read but {parts} are accounted for"
            )

    @property
    def malformed_share(self) -> float:
        return sum(self.quarantined.values()) / max(self.read, 1)

    def as_record(self) -> dict[str, Any]:
        return {
            "read": self.read,
            "good": self.good,
            "quarantined": self.quarantined,
            "duplicate": self.duplicate,
            "set_aside": self.set_aside,
        }


def run(
    day: date, context: StepContext, *, accept: str | None = None, first: date | None = None
) -> dict[str, Any]:
    """Land every complete delivery received up to ``day``; with ``first``, a whole history at once.

    Raises:
        DayRefused: a delivery is missing, too dirty or of an odd size, and nobody accepted it; nothing is landed.
        FeedInvalid: a delivery cannot be read, or has changed after it was landed.
    """
    recorded = context.state.get(LANDINGS, day.isoformat())
    if recorded is not None:
        return {**_told(recorded), "unchanged": True}
    context.lake.collect_staging()
    description = read_description(context.settings)
    deliveries = _new_deliveries(day, context)
    landed_until = max((date.fromisoformat(key) for key in context.state.all(LANDINGS)), default=None)
    classified = classify_all(deliveries, description)
    merged, accounts = _merge(classified, context)
    for each in classified:
        _write_quarantine(each, accounts[each.delivery.key], context.lake)
    refusals = _refusals(day, first, deliveries, accounts, description, context)
    if refusals and not accept:
        raise DayRefused(
            f"{'; '.join(refusals)}. Nothing of {day} has been landed. Look: foretaste quarantine --day {day}. "
            "Go on all the same: --accept 'why' (in Airflow: the param \"Accept a refused delivery, because\")"
        )
    known = {each.key: _known_date(each.received, day, landed_until) for each in deliveries}
    touched = _replace_partitions(merged, deliveries, known, context)
    record = _record(
        day, deliveries, accounts, touched, merged, accept if refusals else None, refusals, context.lake
    )
    _write_accounts(accounts, context)
    context.state.put_many(
        DELIVERIES,
        {
            each.key: {
                "kind": each.kind,
                "received_date": each.received.isoformat(),
                "known_date": known[each.key].isoformat(),
                "landed_day": day.isoformat(),
                "sha256": accounts[each.key].sha256,
                **accounts[each.key].as_record(),
            }
            for each in deliveries
        },
        also=(LANDINGS, day.isoformat(), record),
    )
    return _told(record)


def list_quarantine(settings: Settings, day: date | None) -> list[dict[str, Any]]:
    """Rejected rows counted by day of delivery, kind and reason, with one example each."""
    lake = Lake.of(settings)
    rows = []
    for kind, table in _QUARANTINE.items():
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


def _told(record: dict[str, Any]) -> dict[str, Any]:
    """What a person wants to read about a landing."""
    events = record["accounts"].get("events", {})
    return {
        "read": events.get("read", 0),
        "good": events.get("good", 0),
        "quarantined": sum(events.get("quarantined", {}).values()),
        "duplicate": events.get("duplicate", 0),
        "set_aside": sum(events.get("set_aside", {}).values()),
        **record["noted"],
        "deliveries": len(record["deliveries"]),
        "event_days": len(record["touched"]),
        **({"accepted": record["accepted_reason"]} if record["accepted_reason"] else {}),
    }


def _new_deliveries(day: date, context: StepContext) -> list[Delivery]:
    """Complete deliveries that no landing has recorded; a recorded one has to be what it was."""
    recorded = context.state.all(DELIVERIES)
    new = []
    for delivery in complete_deliveries(context.settings, context.settings.feed_location, until=day):
        before = recorded.get(delivery.key)
        if before is None:
            new.append(delivery)
        elif delivery.received == day and before["sha256"] != delivery.sha256():
            raise FeedInvalid(
                f"{delivery.key} has changed since it was landed on {before['landed_day']}. A delivery is final: "
                "restore it, and deliver corrections under a later day"
            )
    return new


def _known_date(received: date, day: date, landed_until: date | None) -> date:
    """The first day whose run may see a delivery: its own, or this one when a later run had already been."""
    return received if landed_until is None or received > landed_until else day


def _merge(
    classified: Sequence[Classified], context: StepContext
) -> tuple[dict[str, pa.Table], dict[str, Account]]:
    """All good rows by kind, with duplicates among deliveries and of what has been landed taken out."""
    import pyarrow as pa

    accounts = {
        each.delivery.key: Account(
            delivery=each.delivery,
            sha256=each.delivery.sha256(),
            read=each.num_read,
            good=each.rows.num_rows,
            quarantined={reason: count for reason, count, _ in each.quarantine_summary()},
            duplicate=each.num_duplicates,
            set_aside=each.set_aside,
        )
        for each in classified
    }
    merged: dict[str, pa.Table] = {}
    for kind in _TABLES:
        parts = [
            each.rows.append_column(
                "received_date", pa.array([each.delivery.received] * each.rows.num_rows, pa.date32())
            )
            for each in classified
            if each.delivery.kind == kind
        ]
        if parts:
            merged[kind] = pa.concat_tables(parts)
    if "events" in merged:
        merged["events"] = _without_duplicates(merged["events"], classified, accounts, context)
    for account in accounts.values():
        account.check()
    return merged, accounts


def _without_duplicates(
    events: pa.Table, classified: Sequence[Classified], accounts: dict[str, Account], context: StepContext
) -> pa.Table:
    """Events whose id neither an earlier delivery nor the lake has; the first word counts."""
    import duckdb

    connection = duckdb.connect(config={"threads": 1})
    try:
        connection.register("events", events)
        connection.execute(f"create temp table landed as {_landed_ids(context)}")
        connection.execute(
            """
            create temp table decided as
            with told as (
                select event_id, body_hash, received_date, source_file, line, false as is_landed from events
                union all
                select event_id, body_hash, received_date, '', 0, true from landed semi join events using (event_id)
            )
            select *, row_number() over w as copy, first_value(body_hash) over w as first_body
            from told
            window w as (partition by event_id order by is_landed desc, received_date, source_file, line)
            """
        )
        lost = connection.execute(
            """
            select received_date, source_file, line, event_id, body_hash = first_body as is_same from decided
            where copy > 1 and not is_landed order by received_date, source_file, line
            """
        ).fetchall()
        kept = connection.sql(
            """
            select * from events
            anti join (select received_date, source_file, line from decided where copy > 1 and not is_landed)
            using (received_date, source_file, line)
            """
        ).to_arrow_table()
    finally:
        connection.close()
    by_key = {each.delivery.key: each for each in classified}
    for received, source_file, line, event_id, is_same in lost:
        key = f"events/{received}"
        account = accounts[key]
        account.good -= 1
        if is_same:
            account.duplicate += 1
            continue
        account.quarantined["ID_CONFLICT"] = account.quarantined.get("ID_CONFLICT", 0) + 1
        row = {"event_id": event_id}
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


def _landed_ids(context: StepContext) -> str:
    """A query of the ids in the lake, without leftovers of landings that were never recorded."""
    days = context.lake.days(names.RAW_EVENTS)
    received = sorted(
        record["received_date"]
        for record in context.state.all(DELIVERIES).values()
        if record["kind"] == "events"
    )
    if not days or not received:
        return "select '' as event_id, '' as body_hash, current_date as received_date limit 0"
    files = ", ".join(_quoted(str(path)) for path in context.lake.files(names.RAW_EVENTS, days))
    among = ", ".join(f"date '{each}'" for each in received)
    return f"select event_id, body_hash, received_date from read_parquet([{files}], hive_partitioning = false) where received_date in ({among})"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _write_quarantine(each: Classified, account: Account, lake: Lake) -> None:
    """Keep rejected rows, also of a delivery that is then refused; a clean delivery leaves no partition."""
    import pyarrow as pa

    table, received = _QUARANTINE[each.delivery.kind], each.delivery.received
    if not each.rejected and lake.manifest(table, received) is None:
        return
    rows = sorted(each.rejected, key=lambda row: (row["source_file"], row["line"], row["reason"]))
    frame = pa.Table.from_pylist(
        [{"received_date": received, **row} for row in rows], schema=schema_of(_QUARANTINE_COLUMNS)
    )
    lake.replace(table, received, frame, inputs=account.sha256)


def _refusals(
    day: date,
    first: date | None,
    deliveries: Sequence[Delivery],
    accounts: dict[str, Account],
    description: FeedDescription,
    context: StepContext,
) -> list[str]:
    """Why the day must not go on by itself: judged delivery by delivery, as day after day would."""
    settings = context.settings
    recorded = context.state.all(DELIVERIES)
    received = {each.received for each in deliveries if each.kind == "events"}
    received |= {
        date.fromisoformat(each["received_date"]) for each in recorded.values() if each["kind"] == "events"
    }
    refusals = [
        f"the delivery of {expected} is missing (feed.json's calendar expects one; no {_folder(expected)}/_SUCCESS)"
        for expected in days_between(first or day, day)
        if description.expects_delivery(expected) and expected not in received
    ]
    volumes = {
        record["received_date"]: record["read"] for record in recorded.values() if record["kind"] == "events"
    }
    for delivery in deliveries:
        account = accounts[delivery.key]
        if delivery.kind == "events" and account.read == 0:
            refusals.append(f"{delivery.key} holds no rows")
        if account.malformed_share > settings.max_malformed_share:
            worst = max(account.quarantined, key=lambda reason: account.quarantined[reason])
            refusals.append(
                f"{delivery.key}: {account.malformed_share:.1%} of {account.read:,} rows are malformed, mostly {worst} "
                f"(allowed: {settings.max_malformed_share:.1%}, max_malformed_share)"
            )
        if delivery.kind == "events":
            refusals += _odd_volume(delivery, account.read, volumes, settings)
            volumes[delivery.received.isoformat()] = account.read
    return refusals


def _odd_volume(delivery: Delivery, read: int, volumes: dict[str, int], settings: Settings) -> list[str]:
    earlier = [volumes[key] for key in sorted(volumes) if key < delivery.received.isoformat()][
        -_DELIVERIES_COMPARED:
    ]
    if len(earlier) < settings.volume_min_days:
        return []
    usual = median(earlier)
    low, high = settings.volume_low * usual, settings.volume_high * usual
    if low <= read <= high:
        return []
    return [
        f"{delivery.key} has {read:,} rows; the last {len(earlier)} deliveries had {usual:,.0f} (median), "
        f"{low:,.0f} to {high:,.0f} go through (volume_low, volume_high)"
    ]


def _folder(received: date) -> str:
    return f"events/received={received}"


def _replace_partitions(
    merged: dict[str, pa.Table], deliveries: Sequence[Delivery], known: dict[str, date], context: StepContext
) -> list[date]:
    """Replace every touched partition in lake and warehouse; returns the event days."""
    import duckdb
    import pyarrow as pa

    touched: list[date] = []
    connection = duckdb.connect(config={"threads": 1})
    try:
        with open_warehouse(context.settings) as warehouse:
            for kind, rows in merged.items():
                table, column = _TABLES[kind], _DAY_COLUMN[kind]
                known_of = [(each.received, known[each.key]) for each in deliveries if each.kind == kind]
                knowns = pa.table(
                    {
                        "received_date": [day for day, _ in known_of],
                        "known_date": [day for _, day in known_of],
                    }
                )
                connection.register("new_rows", rows)
                connection.register("knowns", knowns)
                connection.execute(
                    "create or replace temp table arrived as select * from new_rows join knowns using (received_date)"
                )
                days = [
                    row[0]
                    for row in connection.execute(
                        f"select distinct {column} from arrived order by 1"
                    ).fetchall()
                ]
                partitions = []
                for day in days:
                    partition = _merged_partition(connection, table, column, day, context, kind)
                    context.lake.replace(table.name, day, partition, inputs=_partition_inputs(partition))
                    partitions.append(partition)
                if partitions:
                    warehouse.replace(
                        names.WAREHOUSE_RAW, table, column, days, pa.concat_tables(partitions), context.lease
                    )
                if kind == "events":
                    touched = days
    finally:
        connection.close()
    return touched


def _merged_partition(
    connection: duckdb.DuckDBPyConnection,
    table: Table,
    column: str,
    day: date,
    context: StepContext,
    kind: str,
) -> pa.Table:
    """What a partition held of recorded deliveries, and what has arrived, in the order of its key."""
    columns = ", ".join(table.columns)
    parts = [f"select {columns} from arrived where {column} = date '{day}'"]
    if context.lake.manifest(table.name, day) is not None:
        connection.register("held", context.lake.read(table.name, day))
        received = _received(context.state, kind)
        if received:
            among = ", ".join(f"date '{each}'" for each in received)
            parts.append(f"select {columns} from held where received_date in ({among})")
    merged = connection.sql(
        f"select * from ({' union all '.join(parts)}) order by {', '.join(table.key)}"
    ).to_arrow_table()
    return merged.select(list(table.columns)).cast(arrow_schema(table))


def _received(state: State, kind: str) -> list[str]:
    return sorted(
        record["received_date"] for record in state.all(DELIVERIES).values() if record["kind"] == kind
    )


def _partition_inputs(partition: pa.Table) -> str:
    """The deliveries that a partition's rows came with."""
    import pyarrow.compute as pc

    return digest_of(sorted(str(value) for value in pc.unique(partition.column("received_date")).to_pylist()))


def _record(
    day: date,
    deliveries: Sequence[Delivery],
    accounts: dict[str, Account],
    touched: Iterable[date],
    merged: dict[str, pa.Table],
    accepted: str | None,
    refusals: Sequence[str],
    lake: Lake,
) -> dict[str, Any]:
    by_kind: dict[str, dict[str, Any]] = {}
    for delivery in deliveries:
        total = by_kind.setdefault(
            delivery.kind, {"read": 0, "good": 0, "quarantined": {}, "duplicate": 0, "set_aside": {}}
        )
        account = accounts[delivery.key].as_record()
        for name in ("read", "good", "duplicate"):
            total[name] += account[name]
        for name in ("quarantined", "set_aside"):
            for reason, count in account[name].items():
                total[name][reason] = total[name].get(reason, 0) + count
    return {
        "touched": [each.isoformat() for each in touched],
        "deliveries": [each.key for each in deliveries],
        "accounts": by_kind,
        "noted": _noted(merged, lake),
        "accepted_reason": accepted,
        "refusals": list(refusals),
    }


def _noted(merged: dict[str, pa.Table], lake: Lake) -> dict[str, int]:
    """Good events that are worth a look: without a user, and with one whom the shop has not delivered."""
    import pyarrow.compute as pc

    if "events" not in merged:
        return {"anonymous": 0, "unknown_user": 0}
    users = merged["events"].column("user_id")
    delivered: set[str] = set()
    for received in lake.days(names.RAW_USERS):
        delivered |= set(lake.read(names.RAW_USERS, received, ["user_id"]).column("user_id").to_pylist())
    counted = pc.value_counts(users.drop_null()).to_pylist() if delivered else []
    unknown = sum(row["counts"] for row in counted if row["values"] not in delivered)
    return {"anonymous": users.null_count, "unknown_user": unknown}


def _write_accounts(accounts: dict[str, Account], context: StepContext) -> None:
    """One row a delivery, outcome and reason in ``ops.row_accounts``, for analysts."""
    import pyarrow as pa

    rows: list[dict[str, Any]] = []
    for account in accounts.values():
        told: list[tuple[str, str, int]] = [("good", "", account.good), ("duplicate", "", account.duplicate)]
        told += [("quarantined", reason, count) for reason, count in account.quarantined.items()]
        told += [("set_aside", reason, count) for reason, count in account.set_aside.items()]
        rows += [
            {
                "received_date": account.delivery.received,
                "kind": account.delivery.kind,
                "outcome": outcome,
                "reason": reason,
                "num_rows": count,
            }
            for outcome, reason, count in told
        ]
    if not rows:
        return
    rows.sort(key=lambda row: (row["received_date"], row["kind"], row["outcome"], row["reason"]))
    days = sorted({row["received_date"] for row in rows})
    with open_warehouse(context.settings) as warehouse:
        table = pa.Table.from_pylist(rows, schema=arrow_schema(ROW_ACCOUNTS))
        warehouse.replace(names.WAREHOUSE_OPS, ROW_ACCOUNTS, "received_date", days, table, context.lease)
