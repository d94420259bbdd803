"""Which event days count otherwise than the facts have them, by what has become known about people since?

Facts are built by the words and links that the run's day knows. A run of a later day has heard more, one that is run
again has heard less: either builds the days anew on which that changes somebody's events, and no others.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import date
from typing import TYPE_CHECKING

from contracts import names
from contracts.consent import BEGINNING, END
from contracts.tables import RAW_CONSENTS, RAW_EVENTS, RAW_IDENTITIES, Table
from jobs.io.state import DELIVERIES, LANDINGS, State
from jobs.io.warehouse import Warehouse
from jobs.landing.checks import literal
from jobs.people import People, Stretch, about_personalization, changes

if TYPE_CHECKING:
    import pyarrow as pa

#: One row: the days by whose knowledge the facts are built; two days only where a build was cut short.
_BUILT_BY = f"{names.WAREHOUSE_OPS}.facts_built_by"
#: Event days that are to be built again for another reason than a landing: rows of erased users have gone.
_OWED = f"{names.WAREHOUSE_OPS}.event_days_owed"


def days_that_count_otherwise(
    warehouse: Warehouse, state: State, since: date | None, day: date, *, missing: bool
) -> set[date]:
    """The event days on which the run of ``day`` attributes events otherwise than the facts do."""
    if not (built := built_by(warehouse)):
        return set()  # nothing is built yet: all that has landed will be
    known_by = [*built, day]
    earliest, latest = min(known_by), max(known_by)
    consents, identities = (_rows(warehouse, table, latest) for table in (RAW_CONSENTS, RAW_IDENTITIES))
    if not (consents.num_rows or identities.num_rows):
        return set()
    before, after = (
        People.of(_known(consents, known), _known(identities, known), missing=missing)
        for known in (earliest, latest)
    )
    heard = _ids(_between(consents, earliest, latest), _between(identities, earliest, latest))
    changed = changes(before, after, before.ids_of(heard) | after.ids_of(heard))
    overtaken = _overtaken(state, since, earliest)
    late = _ids(_received(consents, overtaken["consents"]), _received(identities, overtaken["identities"]))
    unheard = [(each, BEGINNING, END) for each in sorted(before.ids_of(late) | after.ids_of(late))]
    # Days later than the run's go by what their own runs knew, and are compared by the next one; words that their runs
    # should have known are told to all.
    return {each for each in _event_days(warehouse, changed) if each <= day} | _event_days(warehouse, unheard)


def built_by(warehouse: Warehouse) -> tuple[date, ...]:
    """The earliest and the latest day by whose knowledge the facts are built; nothing before they are."""
    warehouse.execute(f"create table if not exists {_BUILT_BY} (earliest date, latest date)")
    rows = warehouse.read(f"select earliest, latest from {_BUILT_BY}", {"earliest": "date", "latest": "date"})
    return tuple(value for row in rows.to_pylist() for value in row.values())


def remember_built_by(warehouse: Warehouse, *days: date) -> None:
    """Write down by which days' knowledge the facts are built."""
    warehouse.execute(f"delete from {_BUILT_BY}")
    warehouse.execute(f"insert into {_BUILT_BY} values (date '{min(days)}', date '{max(days)}')")


def owe_event_days(warehouse: Warehouse, days: Iterable[date]) -> None:
    """Ask the next transform to build these event days again, whatever has landed."""
    warehouse.execute(f"create table if not exists {_OWED} (event_date date)")
    for day in sorted(days):
        warehouse.execute(f"insert into {_OWED} values (date '{day}')")


def owed_event_days(warehouse: Warehouse, until: date) -> set[date]:
    """The event days that are owed to the run of a day."""
    owe_event_days(warehouse, ())
    query = f"select distinct event_date from {_OWED} where event_date <= date '{until}'"
    return set(warehouse.read(query, {"event_date": "date"}).column("event_date").to_pylist())


def settle_event_days(warehouse: Warehouse, until: date) -> None:
    """They have been built."""
    warehouse.execute(f"delete from {_OWED} where event_date <= date '{until}'")


def _overtaken(state: State, since: date | None, earliest: date) -> dict[str, list[date]]:
    """Deliveries of words and links that have landed although a later day had been built: the facts never heard of them."""
    recorded = state.all(DELIVERIES)
    found: dict[str, list[date]] = {"consents": [], "identities": []}
    for landed, record in state.all(LANDINGS).items():
        if since is not None and landed < since.isoformat():
            continue
        for key in record.get("deliveries", ()):
            kind = key.partition("/")[0]
            if kind in found and recorded[key]["known_date"] <= earliest.isoformat():
                found[kind].append(date.fromisoformat(recorded[key]["received_date"]))
    return found


def _event_days(warehouse: Warehouse, stretches: Collection[Stretch]) -> set[date]:
    if not stretches:
        return set()
    values = ", ".join(
        f"({literal(user_id)}, timestamp '{begin}', timestamp '{end}')" for user_id, begin, end in stretches
    )
    query = f"""
        select distinct events.event_date
        from {names.WAREHOUSE_RAW}.{RAW_EVENTS.short_name} as events
        join (values {values}) as stretches (user_id, begins_at, ends_at)
            on stretches.user_id = events.user_id
            and events.occurred_at >= stretches.begins_at and events.occurred_at < stretches.ends_at
    """
    return set(warehouse.read(query, {"event_date": "date"}).column("event_date").to_pylist())


def _rows(warehouse: Warehouse, table: Table, until: date) -> pa.Table:
    columns = ", ".join(table.columns)
    query = (
        f"select {columns} from {names.WAREHOUSE_RAW}.{table.short_name} where known_date <= date '{until}'"
    )
    return warehouse.read(query, table.columns)


def _known(rows: pa.Table, until: date) -> pa.Table:
    import pyarrow.compute as pc

    return rows.filter(pc.less_equal(rows.column("known_date"), until))


def _between(rows: pa.Table, after: date, until: date) -> pa.Table:
    import pyarrow.compute as pc

    known = _known(rows, until)
    return known.filter(pc.greater(known.column("known_date"), after))


def _received(rows: pa.Table, days: Iterable[date]) -> pa.Table:
    import pyarrow as pa
    import pyarrow.compute as pc

    return rows.filter(pc.is_in(rows.column("received_date"), value_set=pa.array(days, pa.date32())))


def _ids(consents: pa.Table, identities: pa.Table) -> set[str]:
    columns = (
        about_personalization(consents).column("user_id"),
        identities.column("alias_id"),
        identities.column("user_id"),
    )
    return {user_id for column in columns for user_id in column.to_pylist()}
