"""Read a whole feed as the landing would, one delivery at a time, into a DuckDB file that goes when the audit ends."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from contracts.errors import FeedInvalid
from contracts.feed import DECIDING_KINDS, FeedDescription
from contracts.settings import Settings
from jobs.feed_reader import Delivery, complete_deliveries, read_description
from jobs.landing.account import Account, totals
from jobs.landing.classify import Classified, classify_rows
from jobs.landing.duplicates import LATER_WORDS
from jobs.landing.reading import Unshaped, read_delivery
from jobs.landing.refusals import refusals
from jobs.landing.spoken import people_told

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

#: What people do that says something of their taste; impressions are what we do, returns take back.
ACTS = ("view", "cart", "purchase", "rating")
#: More is written to disk.
_MEMORY = "2GB"
#: Bytes of files, most often packed, that are read and classified at once.
_BATCH_BYTES = 4 << 20

_TABLES = """
    create table delivered (
        event_id uhugeint, body_hash ubigint, received_date date, source_file varchar, line bigint,
        user_id varchar, item_id varchar, event_type varchar, occurred_at timestamp, session_id varchar,
        value double, position integer, propensity double, decision_id varchar
    );
    create table described (
        item_id varchar, title boolean, category boolean, brand boolean, price boolean, attributes boolean, received_date date
    );
    create table told_of (user_id varchar);
"""
_EVENTS = """
    insert into delivered
    select md5_number(event_id), hash(body_hash), ?::date, source_file, line, user_id, item_id, event_type, occurred_at,
        session_id, value, position, propensity, decision_id
    from good
"""
_ITEMS = """
    insert into described
    select item_id, title is not null, category is not null, brand is not null, price_cents is not null,
        coalesce(attributes, '{}') != '{}', ?::date
    from good
"""
#: Ids become numbers, in no particular order: nothing that is said depends on it.
_NUMBERED = f"""
    create table people as
        select user_id, row_number() over () as person from (select distinct user_id from delivered where user_id is not null);
    create table items as
        select item_id, row_number() over () as item from (select distinct item_id from delivered);
    create table events as
        select event_type, occurred_at, person, item, session_id, value, position, propensity, decision_id
        from delivered join items using (item_id) left join people using (user_id);
    create view acts as select * from events where event_type in ({", ".join(f"'{each}'" for each in ACTS)});
    create table catalogue as
        select * exclude (received_date) from described
        qualify row_number() over (partition by item_id order by received_date desc) = 1;
    create table users as select distinct user_id from told_of;
"""


@dataclass
class LoadedFeed:
    """A feed's good rows in ``engine``, and what became of the others.

    Tables: events (and acts, those of them that tell of taste), people, items, catalogue (the last word about each
    item), users (whom the shop has told of).
    """

    engine: duckdb.DuckDBPyConnection
    description: FeedDescription
    deliveries: dict[str, int] = field(default_factory=dict)  # by kind
    accounts: dict[str, dict[str, Any]] = field(default_factory=dict)  # by kind
    unreadable: list[str] = field(default_factory=list)  # deliveries at which the landing would stop
    refusals: list[str] = field(default_factory=list)  # why it would refuse a day until somebody accepts it


@contextmanager
def loaded(location: str, settings: Settings) -> Iterator[LoadedFeed]:
    """A feed's good rows for as long as the block lasts.

    Raises:
        FeedInvalid: there is no ``feed.json``, or it says something impossible.
    """
    import duckdb

    description = read_description(settings, location)
    deliveries = complete_deliveries(settings, location)
    folder = settings.home / "tmp" / f"audit-{os.getpid()}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    engine = duckdb.connect(
        str(folder / "feed.duckdb"),
        config={
            "threads": settings.threads,
            "memory_limit": _MEMORY,
            "temp_directory": str(folder / "spilled"),
        },
    )
    try:
        engine.execute("set timezone = 'UTC'")
        engine.execute("set preserve_insertion_order = false")
        engine.execute(_TABLES)
        feed = LoadedFeed(engine, description)
        accounts: dict[str, Account] = {}
        for delivery in deliveries:
            feed.deliveries[delivery.kind] = feed.deliveries.get(delivery.kind, 0) + 1
        # What people have said decides about the other rows, as in the landing.
        deciding, others = (
            [each for each in deliveries if (each.kind in DECIDING_KINDS) == is_deciding]
            for is_deciding in (True, False)
        )
        words = classify_rows(_read(deciding, feed.unreadable), description, settings.threads)
        people = people_told(description, words)
        accounts |= {each.delivery.key: Account.of(each) for each in words}
        for batch in _batches(others):
            readable = _read(batch, feed.unreadable)
            for classified in classify_rows(readable, description, settings.threads, people):
                _keep(engine, classified)
                accounts[classified.delivery.key] = Account.of(classified)
        _take_out_later_words(engine, accounts)
        engine.execute(_NUMBERED)
        _account(feed, accounts, settings)
        yield feed
    finally:
        engine.close()
        shutil.rmtree(folder, ignore_errors=True)


def _batches(deliveries: Sequence[Delivery]) -> Iterator[list[Delivery]]:
    """Deliveries that are classified at once: few enough for the memory, and many small ones for the time it takes."""
    batch: list[Delivery] = []
    weight = 0
    for delivery in deliveries:
        own = sum(path.stat().st_size for path in delivery.files)
        if batch and weight + own > _BATCH_BYTES:
            yield batch
            batch, weight = [], 0
        batch.append(delivery)
        weight += own
    if batch:
        yield batch


def _read(
    batch: Sequence[Delivery], unreadable: list[str]
) -> Iterator[tuple[Delivery, pa.Table, Sequence[Unshaped]]]:
    for delivery in batch:
        try:
            yield delivery, *read_delivery(delivery)
        except FeedInvalid as error:
            unreadable.append(str(error))


def _keep(engine: duckdb.DuckDBPyConnection, classified: Classified) -> None:
    received = classified.delivery.received
    engine.register("good", classified.rows)
    if classified.delivery.kind == "events":
        engine.execute(_EVENTS, [received])
    elif classified.delivery.kind == "items":
        engine.execute(_ITEMS, [received])
    elif classified.delivery.kind == "users":
        engine.execute("insert into told_of select user_id from good")
    engine.unregister("good")


def _take_out_later_words(engine: duckdb.DuckDBPyConnection, accounts: dict[str, Account]) -> None:
    """Of events that several deliveries tell of the first word counts, as in the landing."""
    engine.execute("create view told as select *, false as is_landed from delivered")
    engine.execute(f"create table lost as {LATER_WORDS}")
    engine.execute(
        """
        delete from delivered using lost
        where delivered.received_date = lost.received_date and delivered.source_file = lost.source_file
            and delivered.line = lost.line
        """
    )
    for received, is_same, count in engine.execute(
        "select received_date, is_same, count(*) from lost group by all"
    ).fetchall():
        account = accounts[f"events/{received}"]
        account.good -= count
        if is_same:
            account.duplicate += count
        else:
            account.quarantined["ID_CONFLICT"] = account.quarantined.get("ID_CONFLICT", 0) + count


def _account(feed: LoadedFeed, accounts: dict[str, Account], settings: Settings) -> None:
    for account in accounts.values():
        account.check()
    feed.accounts = totals({"kind": each.delivery.kind, **each.as_record()} for each in accounts.values())
    received = [each.delivery.received for each in accounts.values() if each.delivery.kind == "events"]
    if received:
        feed.refusals = refusals(
            max(received), min(received), list(accounts.values()), {}, feed.description, settings
        )
