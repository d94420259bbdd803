"""Rows without consent: nothing of them is kept but where they stand, so that a later word can bring them back.

A place is a delivery, a file and a line, with the digest of the user's id. What stands there is read again from the
feed, and lands as if the word had been known, once there is one.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING

from contracts import names
from contracts.consent import digest_of_user
from contracts.errors import FeedInvalid
from contracts.feed import FeedDescription
from jobs.io.schemas import schema_of
from jobs.io.state import DELIVERIES, LANDINGS
from jobs.landing.account import Record, check_balance
from jobs.landing.again import Place, Row, delivered_still, place_of, read_one_again
from jobs.landing.classify import Classified, classify_rows
from jobs.landing.outcomes import NO_CONSENT
from jobs.people import People
from jobs.runs import StepContext

if TYPE_CHECKING:
    import pyarrow as pa

log = logging.getLogger("foretaste.land")

#: One partition a day of delivery.
TABLES = {
    "events": names.WITHHELD_EVENTS,
    "decisions": names.WITHHELD_DECISIONS,
    "users": names.WITHHELD_USERS,
}
COLUMNS = {
    "source_file": "text",
    "line": "bigint",
    "user_sha256": "text",
    "returning_day": "date",  # of the landing that brings the row back: it is gone once that is recorded
}


def returning(
    user_ids: Collection[str], description: FeedDescription, people: People, context: StepContext
) -> tuple[dict[str, set[Place]], list[Classified], dict[str, Record]]:
    """Withheld rows of these users: where they stand, and what they come to now, by the delivery that they came with.

    A delivery that is gone from the feed or has changed has nothing to give back: a warning names it, and its rows stay
    withheld. Its record, which comes third, has every landing that follows ask again until it is there.
    """
    recorded = context.state.all(DELIVERIES)
    digests = {digest_of_user(each) for each in user_ids if any(span.may for span in people.spans_of(each))}
    asked = _withheld(context, digests) | _owed(recorded, people, context)
    places = {key: {place_of(row) for row in rows} for key, rows in asked.items() if rows}
    delivered = delivered_still(places, recorded, context)
    read = []
    for key in sorted(places):
        try:
            read.append(read_one_again(recorded[key], places[key], delivered.get(key), context))
        except FeedInvalid as error:
            log.warning("withheld_rows_not_returned delivery=%s rows=%d why=%s", key, len(places[key]), error)
    found = classify_rows(read, description, context.settings.threads, people) if read else []
    here = {each.delivery.key for each in found}
    owing = {key: {**recorded[key], "owes_rows": True} for key in places if key not in here}
    return {key: places[key] for key in here}, found, owing


def write_withheld(
    day: date,
    new: Sequence[Classified],
    places: Mapping[str, set[Place]],
    back: Sequence[Classified],
    context: StepContext,
) -> None:
    """Keep the places of rows that are withheld now, and mark those that the landing of ``day`` brings back."""
    for each in new:
        table = TABLES.get(each.delivery.kind)
        if table and (each.withheld or context.lake.manifest(table, each.delivery.received) is not None):
            rows = [{**row, "returning_day": None} for row in each.withheld]
            context.lake.replace(
                table, each.delivery.received, _as_table(rows), inputs=each.delivery.sha256()
            )
    for each in back:
        key = each.delivery.key
        held = _still(context.lake.read(TABLES[each.delivery.kind], each.delivery.received), context)
        still = {place_of(row) for row in each.withheld}
        rows = [
            {**row, "returning_day": day if place_of(row) in places[key] - still else None} for row in held
        ]
        context.lake.replace(
            TABLES[each.delivery.kind], each.delivery.received, _as_table(rows), inputs=each.delivery.sha256()
        )


def unmark(context: StepContext) -> None:
    """Take back what a killed landing has marked as returning: its word may be gone, and its day be landed without it."""
    for table in TABLES.values():
        for received in context.lake.days(table):
            held = _still(context.lake.read(table, received), context)
            if any(row["returning_day"] for row in held):
                rows = [{**row, "returning_day": None} for row in held]
                inputs = context.lake.verify(table, received).inputs
                context.lake.replace(table, received, _as_table(rows), inputs=inputs)


def _owed(recorded: Mapping[str, Record], people: People, context: StepContext) -> dict[str, list[Row]]:
    """Of deliveries that could not be read when a word had come: the rows of all who may be used some time, by key."""
    owing = [record for record in recorded.values() if record.get("owes_rows")]
    if not owing:
        return {}
    may = {digest_of_user(each): any(span.may for span in people.spans_of(each)) for each in people.ids()}
    owed: dict[str, list[Row]] = {}
    for record in owing:
        received = date.fromisoformat(record["received_date"])
        rows = _still(context.lake.read(TABLES[record["kind"]], received), context)
        # Whom nobody has said or linked anything of is somebody whose link has gone to another, or was erased.
        owed[f"{record['kind']}/{received}"] = [
            row
            for row in rows
            if may.get(row["user_sha256"], people.missing and row["user_sha256"] not in people.denied)
        ]
    return owed


def _withheld(context: StepContext, digests: Collection[str]) -> dict[str, list[Row]]:
    """Rows of these users that are withheld, by the key of their delivery."""
    found: dict[str, list[Row]] = {}
    if not digests:
        return found
    recorded, asked = context.state.all(DELIVERIES), [("user_sha256", "in", sorted(digests))]
    for kind, table in TABLES.items():
        for received in context.lake.days(table):
            if (key := f"{kind}/{received}") in recorded:
                found[key] = _still(context.lake.read(table, received, where=asked), context)
    return found


def _still(rows: pa.Table, context: StepContext) -> list[Row]:
    """Without those that a recorded landing has brought back."""
    landings = context.state.all(LANDINGS)
    return [row for row in rows.to_pylist() if str(row["returning_day"]) not in landings]


def _as_table(rows: Iterable[Row]) -> pa.Table:
    import pyarrow as pa

    ordered = sorted(rows, key=place_of)
    return pa.Table.from_pylist(ordered, schema=schema_of(COLUMNS))


def account_of_return(key: str, record: Record, now: Record) -> Record:
    """A delivery's record once some of its withheld rows have come to something else."""
    aside: defaultdict[str, int] = defaultdict(int, record["set_aside"])
    aside[NO_CONSENT] -= now["read"]
    for reason, count in now["set_aside"].items():
        aside[reason] += count
    quarantined: defaultdict[str, int] = defaultdict(int, record["quarantined"])
    for reason, count in now["quarantined"].items():
        quarantined[reason] += count
    after = {
        **{name: value for name, value in record.items() if name != "owes_rows"},
        "good": record["good"] + now["good"],
        "duplicate": record["duplicate"] + now["duplicate"],
        "quarantined": dict(sorted(quarantined.items())),
        "set_aside": {reason: count for reason, count in sorted(aside.items()) if count},
        "returned": record.get("returned", 0) + now["read"] - now["set_aside"].get(NO_CONSENT, 0),
    }
    check_balance(key, after)
    return after
