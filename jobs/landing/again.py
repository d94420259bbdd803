"""Read quarantined rows again, from the deliveries that they came with, and say what they come to now."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import date
from typing import TYPE_CHECKING, Any

from contracts.errors import FeedInvalid
from jobs.feed_reader import Delivery, complete_deliveries
from jobs.io.lake import Lake
from jobs.landing import quarantine
from jobs.landing.account import Record, check_balance
from jobs.landing.reading import Unshaped, read_delivery
from jobs.runs import StepContext

if TYPE_CHECKING:
    import pyarrow as pa

Row = dict[str, Any]
Place = tuple[str, int]


def place_of(row: Row) -> Place:
    """Where a row stands in its delivery: it is known by this, because a delivery is final."""
    return row["source_file"], row["line"]


def rejected_rows(lake: Lake, first: date | None, last: date | None) -> dict[str, list[Row]]:
    """What lies in quarantine, by the key of its delivery."""
    found = {}
    for kind, table in quarantine.TABLES.items():
        for received in lake.days(table, first=first, until=last):
            if rows := lake.read(table, received).to_pylist():
                found[f"{kind}/{received}"] = rows
    return found


def read_again(
    places: Mapping[str, Collection[Place]], recorded: Mapping[str, Record], context: StepContext
) -> Iterator[tuple[Delivery, pa.Table, list[Unshaped]]]:
    """The rows at these places, read from their deliveries as they lie in the feed.

    Raises:
        FeedInvalid: a delivery is gone, has changed since it was landed, or is split into rows in another way.
    """
    delivered = delivered_still(places, recorded, context)
    for key in sorted(places, key=lambda key: (recorded[key]["received_date"], key)):
        yield read_one_again(recorded[key], places[key], delivered.get(key), context)


def delivered_still(
    keys: Iterable[str], recorded: Mapping[str, Record], context: StepContext
) -> dict[str, Delivery]:
    """Deliveries as they lie in the feed now, by their keys: these, as far as they are there, and others."""
    until = max((date.fromisoformat(recorded[key]["received_date"]) for key in keys), default=None)
    if until is None:
        return {}
    found = complete_deliveries(context.settings, context.settings.feed_location, until=until)
    return {each.key: each for each in found}


def read_one_again(
    record: Record, places: Collection[Place], delivery: Delivery | None, context: StepContext
) -> tuple[Delivery, pa.Table, list[Unshaped]]:
    """The rows at these places of one delivery; ``delivery`` is what lies in the feed now, if anything does.

    Raises:
        FeedInvalid: it is gone, has changed since it was landed, or is split into rows in another way.
    """
    key = f"{record['kind']}/{record['received_date']}"
    if delivery is None:
        raise FeedInvalid(
            f"{key} is gone from {context.settings.feed_location}: {len(places)} of its rows cannot be read again. Restore "
            "it as it was delivered, or leave it out with --from and --to"
        )
    if delivery.sha256() != record["sha256"]:
        raise FeedInvalid(
            f"{key} has changed since it was landed on {record['landed_day']} (sha256 {record['sha256'][:12]}…). A "
            "delivery is final: restore it, and deliver corrections under a later day; or leave it out with --from and --to"
        )
    table, unshaped = read_delivery(delivery)
    num_read = table.num_rows + len(unshaped)
    chosen, shapeless = _at(places, table, unshaped)
    if num_read != record["read"] or chosen.num_rows + len(shapeless) != len(places):
        raise FeedInvalid(
            f"{key} had {record['read']:,} rows when it was landed and has {num_read:,} now: they are told apart in "
            "another way, so that none is known again. Deliver what is missing under a later day"
        )
    return delivery, chosen, shapeless


def _at(
    places: Collection[Place], table: pa.Table, unshaped: Iterable[Unshaped]
) -> tuple[pa.Table, list[Unshaped]]:
    import pyarrow as pa

    wanted = set(places)
    stands = zip(table.column("source_file").to_pylist(), table.column("line").to_pylist(), strict=True)
    is_wanted = pa.array([place in wanted for place in stands], pa.bool_())
    return table.filter(is_wanted), [row for row in unshaped if (row.source_file, row.line) in wanted]


def still_rejected(rows: Iterable[Row], asked: Collection[Place], rejected: Iterable[Row]) -> list[Row]:
    """What stays in quarantine: rows nobody asked for, and those that are bad still, as they stood if the reason is the same."""
    bad = {place_of(row): row for row in rejected}
    stays = []
    for row in rows:
        now = bad.get(place_of(row))
        if place_of(row) not in asked or (now is not None and now["reason"] == row["reason"]):
            stays.append(row)
        elif now is not None:
            stays.append({"received_date": row["received_date"], **now})
    return stays


def account_after(key: str, record: Record, before: Iterable[Row], now: Record) -> Record:
    """A delivery's record once some of its quarantined rows have come to something else."""
    left: Counter[str] = Counter(record["quarantined"])
    left.subtract(Counter(row["reason"] for row in before))
    left.update(now["quarantined"])
    aside: Counter[str] = Counter(record["set_aside"]) + Counter(now["set_aside"])
    after = {
        **record,
        "good": record["good"] + now["good"],
        "duplicate": record["duplicate"] + now["duplicate"],
        "quarantined": {reason: count for reason, count in sorted(left.items()) if count},
        "set_aside": dict(sorted(aside.items())),
        "replayed": record.get("replayed", 0) + now["read"] - sum(now["quarantined"].values()),
    }
    check_balance(key, after)
    return after
