"""Step 1, land: what was received and not yet landed becomes partitions by event day; every row is accounted for.

Everything is computed first. Then quarantine, lake and warehouse are replaced, and one record at the very
end says that the deliveries have landed. What a killed attempt wrote before that record is left out by the
next one, because rows of a delivery without a record are leftovers, and replaced, even where the delivery has gone.
"""

from __future__ import annotations

from datetime import date
from typing import Any

from contracts.errors import DayRefused, FeedInvalid
from contracts.feed import DECIDING_KINDS
from jobs.feed_reader import Delivery, complete_deliveries, later_delivery, read_description
from jobs.io.state import DELIVERIES, LANDINGS
from jobs.landing.account import landing_record, landings_moved, noted, told, write_row_accounts
from jobs.landing.classify import classify_all
from jobs.landing.duplicates import merge
from jobs.landing.journal import finish_replay
from jobs.landing.partitions import replace_partitions
from jobs.landing.quarantine import add_to_quarantine, write_quarantine
from jobs.landing.refusals import refusals
from jobs.landing.spoken import ids_spoken_of, people_by_now
from jobs.landing.unfinished import NOTHING, begin_to_write, forget
from jobs.landing.when_known import known_date, landed_until, replayed_days
from jobs.landing.withheld import account_of_return, returning, unmark, write_withheld
from jobs.runs import StepContext
from jobs.served_consent import tell_readers
from jobs.ship import ship_before_landing


def run(
    day: date, context: StepContext, *, accept: str | None = None, first: date | None = None
) -> dict[str, Any]:
    """Land every complete delivery received up to ``day``; with ``first``, a whole history at once.

    Raises:
        DayRefused: a delivery is missing, too dirty or of an odd size, and nobody accepted it; nothing is landed.
        FeedInvalid: a delivery cannot be read, or has changed after it was landed.
    """
    context.lake.collect_staging()
    finish_replay(context)
    shipped = ship_before_landing(context.settings, day)
    by_api = {"shipped": shipped} if shipped else {}
    landing = context.state.get(LANDINGS, day.isoformat())
    if landing is not None:
        tell_readers(context)
        return {**told(landing), **by_api, "unchanged": True}
    description = read_description(context.settings)
    deliveries = new_deliveries(day, context)
    newest = landed_until(context.state)
    deciding, others = (
        [each for each in deliveries if (each.kind in DECIDING_KINDS) == is_deciding]
        for is_deciding in (True, False)
    )
    words = classify_all(deciding, description, context.settings.threads)
    # Before anything can refuse the day: whoever has withdrawn is to be served no more, whatever becomes of the rest.
    tell_readers(context, arriving=words, day=day, missing=description.missing_consent == "granted")
    people = people_by_now(context, description, words)
    classified = words + classify_all(others, description, context.settings.threads, people)
    places, back, owing = (
        returning(ids_spoken_of(words, people, context), description, people, context)
        if people
        else ({}, [], {})
    )
    merged, accounts = merge([*classified, *back], context, returned=places)
    for each in classified:
        write_quarantine(each, accounts[each.delivery.key], context.lake)
    before = context.state.all(DELIVERIES)
    arrived = [accounts[each.key] for each in deliveries]
    refused = refusals(day, first, arrived, before, description, context.settings)
    if refused and not accept:
        raise DayRefused(
            f"{'; '.join(refused)}. Nothing of {day} has been landed. Look: foretaste quarantine --day {day}. "
            "Go on all the same: --accept 'why' (in Airflow: the param \"Accept a refused delivery, because\")"
        )
    known = {each.key: known_date(each.received, day, newest) for each in deliveries}
    # What a landing could not give back has been unknown until now, whatever its delivery's day knew.
    known |= {
        key: day if before[key].get("owes_rows") else date.fromisoformat(before[key]["known_date"])
        for key in places
    }
    left = begin_to_write(merged, [each.key for each in deliveries], context)
    gone = sorted(left.deliveries - before.keys() - known.keys())
    touched = set(replace_partitions(merged, known, context, left.partitions))
    touched |= replayed_days(context.state, newest, day)
    forget(gone, context)
    records = {
        each.key: {
            "kind": each.kind,
            "received_date": each.received.isoformat(),
            "known_date": known[each.key].isoformat(),
            "landed_day": day.isoformat(),
            "sha256": accounts[each.key].sha256,
            **accounts[each.key].as_record(),
        }
        for each in deliveries
    }
    landing = landing_record(
        records,
        sorted(touched),
        noted(merged, context.lake),
        accept if refused else None,
        refused,
        later_delivery(context.settings, day),
        description.missing_consent,
    )
    for each in back:
        add_to_quarantine(each, context.lake)
    if left.deliveries or left.partitions:
        unmark(context)
    write_withheld(day, classified, places, back, context)
    moved = {key: account_of_return(key, before[key], accounts[key].as_record()) for key in places}
    write_row_accounts(records | moved, context, gone)
    landings = landings_moved(moved, context.state) | {day.isoformat(): landing}
    context.state.put_all({DELIVERIES: records | moved | owing, LANDINGS: landings, **NOTHING})
    return {**told(landing), **by_api}


def new_deliveries(day: date, context: StepContext) -> list[Delivery]:
    """Complete deliveries that no landing has recorded; a recorded one has to be what it was.

    Raises:
        FeedInvalid: the day's delivery has changed after it was landed.
    """
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
