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
from jobs.landing.again import Place, Row, place_of, read_again
from jobs.landing.classify import Classified, classify_rows
from jobs.landing.outcomes import NO_CONSENT
from jobs.people import People
from jobs.runs import StepContext

if TYPE_CHECKING:
    import pyarrow as pa

log = logging.getLogger("foretaste.land")

#: One partition a day of delivery.
TABLES = {"events": names.WITHHELD_EVENTS, "users": names.WITHHELD_USERS}
COLUMNS = {
    "source_file": "text",
    "line": "bigint",
    "user_sha256": "text",
    "returning_day": "date",  # of the landing that brings the row back: it is gone once that is recorded
}


def returning(
    user_ids: Collection[str], description: FeedDescription, people: People, context: StepContext
) -> tuple[dict[str, set[Place]], list[Classified]]:
    """Withheld rows of these users: where they stand, and what they come to now, by the delivery that they came with.

    A delivery that is gone from the feed or has changed has nothing to give back: its rows stay withheld, and a
    warning names it.
    """
    digests = {digest_of_user(each) for each in user_ids if any(span.may for span in people.spans_of(each))}
    places = {key: {place_of(row) for row in rows} for key, rows in _withheld(context, digests).items()}
    recorded = context.state.all(DELIVERIES)
    found: list[Classified] = []
    for key in sorted(key for key, of_key in places.items() if of_key):
        try:
            read = list(read_again({key: places[key]}, recorded, context))
        except FeedInvalid as error:
            log.warning("withheld_rows_not_returned delivery=%s rows=%d why=%s", key, len(places[key]), error)
            continue
        found += classify_rows(read, description, context.settings.threads, people)
    return {each.delivery.key: places[each.delivery.key] for each in found}, found


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
        **record,
        "good": record["good"] + now["good"],
        "duplicate": record["duplicate"] + now["duplicate"],
        "quarantined": dict(sorted(quarantined.items())),
        "set_aside": {reason: count for reason, count in sorted(aside.items()) if count},
        "returned": record.get("returned", 0) + now["read"] - now["set_aside"].get(NO_CONSENT, 0),
    }
    check_balance(key, after)
    return after
