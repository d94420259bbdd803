"""What people have said so far, for a landing: by all words and links that have landed or are landing now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING

from contracts.feed import FeedDescription
from contracts.tables import RAW_CONSENTS, RAW_IDENTITIES, Table
from jobs.denials import denials_of_erased
from jobs.io.schemas import arrow_schema
from jobs.io.state import DELIVERIES
from jobs.landing.classify import Classified
from jobs.landing.when_known import landed_until
from jobs.people import People, about_personalization
from jobs.runs import StepContext

if TYPE_CHECKING:
    import pyarrow as pa


def people_by_now(
    context: StepContext, description: FeedDescription, landing: Sequence[Classified] = ()
) -> People | None:
    """Everybody's words and links; None where nobody has ever said or linked anything."""
    consents, identities = (_all_rows(table, landing, context) for table in (RAW_CONSENTS, RAW_IDENTITIES))
    return _people(description, consents, identities, denials_of_erased(context.state))


def people_told(description: FeedDescription, words: Sequence[Classified]) -> People | None:
    """Everybody's words and links, by these deliveries alone."""
    import pyarrow as pa

    told = (
        pa.concat_tables(_arriving(table, words))
        if _arriving(table, words)
        else arrow_schema(table).empty_table()
        for table in (RAW_CONSENTS, RAW_IDENTITIES)
    )
    return _people(description, *told)


def _people(
    description: FeedDescription,
    consents: pa.Table,
    identities: pa.Table,
    denials: Mapping[str, datetime] | None = None,
) -> People | None:
    if not (consents.num_rows or identities.num_rows or denials):
        return None
    missing = description.missing_consent == "granted"
    return People.of(consents, identities, missing=missing, denials=denials)


def ids_spoken_of(landing: Sequence[Classified], people: People, context: StepContext) -> set[str]:
    """Every id of the persons about whom this landing is the first to know a word or a link."""
    import pyarrow as pa

    newest = landed_until(context.state)
    consents, identities = (
        pa.concat_tables(
            [*_landed(table, context, newer_than=newest), *_arriving(table, landing)]
            or [arrow_schema(table).empty_table()]
        )
        for table in (RAW_CONSENTS, RAW_IDENTITIES)
    )
    ids = set(about_personalization(consents).column("user_id").to_pylist())
    aliases = set(identities.column("alias_id").to_pylist())
    if aliases:  # whom an alias belonged to until now has one id less, and other words
        links = _all_rows(RAW_IDENTITIES, landing, context)
        ends = zip(links.column("alias_id").to_pylist(), links.column("user_id").to_pylist(), strict=True)
        ids |= aliases | {user_id for alias, user_id in ends if alias in aliases}
    return people.ids_of(ids)


def _all_rows(table: Table, landing: Sequence[Classified], context: StepContext) -> pa.Table:
    import pyarrow as pa

    parts = [*_landed(table, context), *_arriving(table, landing)]
    return pa.concat_tables(parts) if parts else arrow_schema(table).empty_table()


def _landed(table: Table, context: StepContext, newer_than: date | None = None) -> list[pa.Table]:
    """What has landed, or only what no landing has seen yet because it was replayed; leftovers of killed landings apart."""
    import pyarrow.compute as pc

    columns = [name for name in table.columns if name not in ("received_date", "known_date")]
    recorded = context.state.all(DELIVERIES)
    days = [day for day in context.lake.days(table.name) if f"{table.short_name}/{day}" in recorded]
    if newer_than is None:
        return [context.lake.read(table.name, day, columns) for day in days]
    found = [context.lake.read(table.name, day) for day in days]
    return [rows.filter(pc.greater(rows.column("known_date"), newer_than)).select(columns) for rows in found]


def _arriving(table: Table, landing: Sequence[Classified]) -> list[pa.Table]:
    schema = arrow_schema(table)
    columns = [name for name in table.columns if name not in ("received_date", "known_date")]
    return [
        each.rows.select(columns).cast(_part(schema, columns))
        for each in landing
        if each.delivery.kind == table.short_name
    ]


def _part(schema: pa.Schema, columns: list[str]) -> pa.Schema:
    import pyarrow as pa

    return pa.schema([schema.field(name) for name in columns])
