"""What became of every row: the account of a delivery, of a landing, and the analysts' table of both."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from contracts import names
from contracts.tables import ROW_ACCOUNTS
from jobs.feed_reader import Delivery
from jobs.io.lake import Lake
from jobs.io.schemas import arrow_schema
from jobs.io.state import DELIVERIES, LANDINGS, State
from jobs.io.warehouse import open_warehouse
from jobs.landing.classify import Classified
from jobs.people import about_personalization
from jobs.runs import StepContext

if TYPE_CHECKING:
    import pyarrow as pa

Record = dict[str, Any]

_COUNTS = ("read", "good", "duplicate")
_COUNTS_BY_REASON = ("quarantined", "set_aside")


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

    @classmethod
    def of(cls, classified: Classified) -> Account:
        """The account of a delivery by itself, before it is compared with others."""
        return cls(
            delivery=classified.delivery,
            sha256=classified.delivery.sha256(),
            read=classified.num_read,
            good=classified.rows.num_rows,
            quarantined={reason: count for reason, count, _ in classified.quarantine_summary()},
            duplicate=classified.num_duplicates,
            set_aside=classified.set_aside,
        )

    def check(self) -> None:
        """Every row has exactly one outcome."""
        check_balance(self.delivery.key, self.as_record())

    @property
    def malformed_share(self) -> float:
        return sum(self.quarantined.values()) / max(self.read, 1)

    def as_record(self) -> Record:
        return {
            "read": self.read,
            "good": self.good,
            "quarantined": self.quarantined,
            "duplicate": self.duplicate,
            "set_aside": self.set_aside,
        }


def check_balance(key: str, record: Record) -> None:
    """Every row that was read has exactly one outcome."""
    parts = record["good"] + record["duplicate"]
    parts += sum(sum(record[name].values()) for name in _COUNTS_BY_REASON)
    if parts != record["read"]:
        raise AssertionError(f"{key}: {record['read']} rows were read but {parts} are accounted for")


def totals(deliveries: Iterable[Record]) -> dict[str, Record]:
    """The accounts of several deliveries added up, by kind."""
    by_kind: dict[str, Record] = {}
    for record in deliveries:
        total = by_kind.setdefault(
            record["kind"], {"read": 0, "good": 0, "quarantined": {}, "duplicate": 0, "set_aside": {}}
        )
        for name in _COUNTS:
            total[name] += record[name]
        for name in _COUNTS_BY_REASON:
            for reason, count in record[name].items():
                total[name][reason] = total[name].get(reason, 0) + count
    return by_kind


def landings_moved(deliveries: Mapping[str, Record], state: State) -> dict[str, Record]:
    """The landings of deliveries whose accounts have changed, each with its totals counted anew."""
    recorded = {**state.all(DELIVERIES), **deliveries}
    days = {each["landed_day"] for each in deliveries.values()}
    return {
        day: {**landing, "accounts": totals(recorded[key] for key in landing["deliveries"])}
        for day, landing in state.all(LANDINGS).items()
        if day in days
    }


def landing_record(
    recorded: Mapping[str, Record],
    touched: Iterable[date],
    noted: dict[str, int],
    accepted: str | None,
    refusals: Sequence[str],
    later: date | None,
    missing_consent: str,
) -> Record:
    """What is remembered of a landing: its deliveries, the event days that it touched, its account."""
    return {
        "touched": [each.isoformat() for each in touched],
        "deliveries": list(recorded),
        "accounts": totals(recorded.values()),
        "noted": noted,
        "accepted_reason": accepted,
        "refusals": list(refusals),
        "later_delivery": later.isoformat() if later else None,  # lay in the feed by then
        "missing_consent": missing_consent,  # what no word meant
    }


def told(landing: Record) -> Record:
    """What a person wants to read about a landing."""
    events = landing["accounts"].get("events", {})
    return {
        "read": events.get("read", 0),
        "good": events.get("good", 0),
        "quarantined": sum(events.get("quarantined", {}).values()),
        "duplicate": events.get("duplicate", 0),
        "set_aside": sum(events.get("set_aside", {}).values()),
        **landing["noted"],
        "deliveries": len(landing["deliveries"]),
        "event_days": len(landing["touched"]),
        **({"accepted": landing["accepted_reason"]} if landing["accepted_reason"] else {}),
    }


def noted(merged: Mapping[str, pa.Table], lake: Lake) -> dict[str, int]:
    """Good rows that are worth a look: events without a user, or with one whom the shop has not delivered; words about
    other purposes than the one that is acted upon, where there are any."""
    other = (
        merged["consents"].num_rows - about_personalization(merged["consents"]).num_rows
        if "consents" in merged
        else 0
    )
    return _noted_events(merged.get("events"), lake) | ({"other_purposes": other} if other else {})


def _noted_events(events: pa.Table | None, lake: Lake) -> dict[str, int]:
    import pyarrow.compute as pc

    if events is None:
        return {"anonymous": 0, "unknown_user": 0}
    users = events.column("user_id")
    delivered: set[str] = set()
    for received in lake.days(names.RAW_USERS):
        delivered |= set(lake.read(names.RAW_USERS, received, ["user_id"]).column("user_id").to_pylist())
    counted = pc.value_counts(users.drop_null()).to_pylist() if delivered else []
    unknown = sum(row["counts"] for row in counted if row["values"] not in delivered)
    return {"anonymous": users.null_count, "unknown_user": unknown}


def write_row_accounts(
    changed: Mapping[str, Record], context: StepContext, gone: Collection[str] = ()
) -> None:
    """One row a delivery, outcome and reason in ``ops.row_accounts``, for analysts; days are replaced whole.

    ``gone`` are deliveries of which a killed landing has told and that are none any more.
    """
    import pyarrow as pa

    days = {record["received_date"] for record in changed.values()} | {key.partition("/")[2] for key in gone}
    deliveries = {**context.state.all(DELIVERIES), **changed}
    rows = [
        {
            "received_date": date.fromisoformat(record["received_date"]),
            "kind": record["kind"],
            "outcome": outcome,
            "reason": reason,
            "num_rows": count,
        }
        for record in deliveries.values()
        if record["received_date"] in days
        for outcome, reason, count in _outcomes(record)
    ]
    if not days:
        return
    rows.sort(key=lambda row: (row["received_date"], row["kind"], row["outcome"], row["reason"]))
    received = sorted(date.fromisoformat(day) for day in days)
    with open_warehouse(context.settings) as warehouse:
        table = pa.Table.from_pylist(rows, schema=arrow_schema(ROW_ACCOUNTS))
        warehouse.replace(names.WAREHOUSE_OPS, ROW_ACCOUNTS, "received_date", received, table, context.lease)


def _outcomes(record: Record) -> list[tuple[str, str, int]]:
    outcomes = [(name, "", record[name]) for name in ("good", "duplicate")]
    return outcomes + [
        (name, reason, count) for name in _COUNTS_BY_REASON for reason, count in record[name].items()
    ]
