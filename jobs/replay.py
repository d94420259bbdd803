"""Replay quarantine: rows that are good by now land in their partitions, once, for the runs that come.

Foretaste has learnt to read something: what it rejected before is read again from the deliveries that it
came with. No run that has been changes: the rows are known from the day after the newest landed one on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING, Any

from contracts.feed import HAPPENED
from jobs.feed_reader import read_description
from jobs.io.state import DELIVERIES, REPLAYS
from jobs.landing import quarantine
from jobs.landing.account import Record
from jobs.landing.again import (
    Place,
    Row,
    account_after,
    place_of,
    read_again,
    rejected_rows,
    still_rejected,
)
from jobs.landing.classify import Classified, classify_rows
from jobs.landing.duplicates import merge
from jobs.landing.journal import finish_replay, write_journal
from jobs.landing.outcomes import NO_CONSENT
from jobs.landing.spoken import people_by_now
from jobs.landing.when_known import known_date_of_replay, landed_until
from jobs.runs import StepContext
from jobs.served_consent import tell_readers

if TYPE_CHECKING:
    import pyarrow as pa


def run(
    context: StepContext, *, reason: str | None = None, first: date | None = None, last: date | None = None
) -> dict[str, Any]:
    """Read quarantined rows again, all or those of one reason and of deliveries received ``first``…``last``.

    Raises:
        FeedInvalid: a delivery is gone or has changed since it was landed; nothing is replayed.
    """
    finish_replay(context)
    context.lake.collect_staging()
    recorded = context.state.all(DELIVERIES)
    rows = rejected_rows(context.lake, first, last)
    asked = {
        key: {place_of(row): row for row in found if reason in (None, row["reason"])}
        for key, found in rows.items()
    }
    asked = {key: places for key, places in asked.items() if places}
    not_landed = sorted(set(asked) - set(recorded))
    asked = {key: places for key, places in asked.items() if key in recorded}
    description = read_description(context.settings)
    classified = [
        _without_consent_as_before(each, asked[each.delivery.key])
        for each in classify_rows(
            read_again(asked, recorded, context),
            description,
            context.settings.threads,
            people_by_now(context, description),
        )
    ]
    good, accounts = merge(classified, context)
    stays = {
        each.delivery.key: still_rejected(rows[each.delivery.key], asked[each.delivery.key], each.rejected)
        for each in classified
    }
    changed = {key: found for key, found in stays.items() if found != rows[key]}
    day = None
    newest = landed_until(context.state)
    if changed and newest is not None:
        day = known_date_of_replay(newest)
        after = {
            key: account_after(key, recorded[key], asked[key].values(), accounts[key].as_record())
            for key in changed
        }
        write_journal(day, good, _by_kind(changed), context)
        record = _record(
            day, reason, after, {key: accounts[key].as_record() for key in changed}, good, context
        )
        context.state.put_many(DELIVERIES, after, also=(REPLAYS, day.isoformat(), record))
        finish_replay(context)
    tell_readers(context)  # also what one before could not tell
    return _told(asked, {key: accounts[key].as_record() for key in asked}, good, day, not_landed)


def render(answer: dict[str, Any]) -> str:
    """What was replayed, and what is to be done next, in words."""
    lines = [
        f"{answer['asked']:,} quarantined rows of {answer['deliveries']} deliveries were read again: {answer['good']:,} good, "
        f"{answer['duplicate']:,} duplicate, {answer['set_aside']:,} set aside, {answer['still_quarantined']:,} stay in quarantine"
    ]
    if answer["not_landed"]:
        lines.append(
            f"left out, because their day's landing reads them anyway: {', '.join(answer['not_landed'])}"
        )
    return "\n".join([*lines, f"next: {answer['next']}"])


def _without_consent_as_before(each: Classified, asked: Mapping[Place, Row]) -> Classified:
    """What nobody may use stays in quarantine under its reason: a replay after a later word finds it there."""
    rows = [{**row, "reason": asked[place_of(row)]["reason"]} for row in each.withheld]
    aside = {reason: count for reason, count in each.set_aside.items() if reason != NO_CONSENT}
    return replace(each, rejected=[*each.rejected, *rows], set_aside=aside, withheld=[])


def _by_kind(stays: Mapping[str, list[dict[str, Any]]]) -> dict[str, pa.Table]:
    kinds = sorted({key.partition("/")[0] for key in stays})
    return {
        kind: quarantine.as_table(
            [row for key, rows in stays.items() if key.startswith(f"{kind}/") for row in rows]
        )
        for kind in kinds
    }


def _record(
    day: date,
    reason: str | None,
    after: Mapping[str, Record],
    accounts: Mapping[str, Record],
    good: Mapping[str, pa.Table],
    context: StepContext,
) -> Record:
    """What is remembered of the replays that are known from ``day`` on, and what of this one is still to be done."""
    before = context.state.get(REPLAYS, day.isoformat()) or {"touched": [], "replays": []}
    return {
        "touched": sorted({*before["touched"], *_event_days(good)}),
        "replays": [*before["replays"], {"reason": reason, "deliveries": dict(accounts)}],
        "pending": sorted(after),  # deliveries whose partitions do not show it yet
    }


def _event_days(good: Mapping[str, pa.Table]) -> list[str]:
    days = {
        day
        for kind in HAPPENED.keys() & good.keys()
        for day in good[kind].column("event_date").unique().to_pylist()
    }
    return sorted(day.isoformat() for day in days)


def _told(
    asked: Mapping[str, Any],
    accounts: Mapping[str, Record],
    good: Mapping[str, pa.Table],
    day: date | None,
    not_landed: list[str],
) -> dict[str, Any]:
    replayed = day is not None and any(record["good"] for record in accounts.values())
    return {
        "asked": sum(len(places) for places in asked.values()),
        "deliveries": len(asked),
        "good": sum(record["good"] for record in accounts.values()),
        "duplicate": sum(record["duplicate"] for record in accounts.values()),
        "set_aside": sum(sum(record["set_aside"].values()) for record in accounts.values()),
        "still_quarantined": sum(sum(record["quarantined"].values()) for record in accounts.values()),
        "event_days": len(_event_days(good)),
        "known_from": day.isoformat() if replayed and day else None,
        "not_landed": not_landed,
        "next": f"foretaste run --day {day} once that day is delivered (Airflow does it by itself): runs from {day} on see "
        "these rows and build their days again, earlier ones stay as they are"
        if replayed
        else "nothing; no row has landed. See what is left: foretaste quarantine",
    }
