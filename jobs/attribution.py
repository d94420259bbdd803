"""Which event days count otherwise than the facts have them, by what has become known about people since?

Facts are built by the words and links that the run's day knows. A run of a later day has heard more, one that is run
again has heard less: either builds the days anew on which that changes somebody's events, and no others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Self

from contracts import names
from contracts.consent import BEGINNING, END
from contracts.tables import RAW_CONSENTS, RAW_DECISIONS, RAW_EVENTS, RAW_IDENTITIES, Table
from jobs.io.schemas import schema_of
from jobs.io.state import DELIVERIES, LANDINGS, State
from jobs.io.warehouse import Warehouse, prepare
from jobs.people import People, Stretch, about_personalization, changes, forbidden_since, ids_with_links

if TYPE_CHECKING:
    import pyarrow as pa

#: One row: the days by whose knowledge the facts are built; two days only where a build was cut short.
_BUILT_BY = f"{names.WAREHOUSE_OPS}.facts_built_by"
#: Event days that are to be built again for another reason than a landing: rows of erased users have gone.
_OWED = f"{names.WAREHOUSE_OPS}.event_days_owed"


#: What events are looked for by: an id, from when until when, and the day that an event has to be known before.
_STRETCHES = {"user_id": "text", "begins_at": "timestamp", "ends_at": "timestamp", "before_date": "date"}


def days_that_count_otherwise(
    warehouse: Warehouse, state: State, since: date | None, day: date, *, missing: bool
) -> set[date]:
    """The event days on which the run of ``day`` attributes events otherwise than the facts do.

    Args:
        since: landings of this day and later ones are new to the facts.
    """
    if not (built := built_by(warehouse)):
        return set()  # nothing is built yet: all that has landed will be
    known_by = [*built, day]
    earliest, latest = min(known_by), max(known_by)
    told = _Told.until(latest, warehouse, missing=missing)
    changed = told.changes(earliest, latest)
    overtaken = _overtaken(state, since, earliest)
    unheard = [(each, BEGINNING, END) for each in sorted(told.ids_received(overtaken))]
    # Days later than the run's go by what their own runs knew, and are compared by the next one; words that their runs
    # should have known are told to all.
    otherwise, owed = (
        _found(warehouse, "event_date", [(each, date.max) for each in stretches])
        for stretches in (changed, unheard)
    )
    return {each for each in otherwise if each <= day} | owed


def days_that_learn_otherwise(warehouse: Warehouse, first: date, last: date, *, missing: bool) -> set[date]:
    """The days after ``first``, until ``last``, that know something by which an event of an earlier day counts otherwise.

    Features of the days before such a day, and of those from it on, cannot be told by one set of facts.
    """
    told = _Told.until(last, warehouse, missing=missing)
    learnt = [
        (stretch, known)
        for known in told.days_after(first)
        for stretch in told.changes(known - timedelta(days=1), known)
    ]
    return _found(warehouse, "before_date", learnt)


def days_that_count_withdrawn(
    warehouse: Warehouse, heard: Mapping[date, date], day: date, *, missing: bool
) -> list[date]:
    """Of days, each built by what was known on another, those that know of an event that must not be used by now.

    Args:
        heard: of each day the day whose words it goes by.
        day: the words of this day tell what may be used now.
    """
    told = _Told.until(day, warehouse, missing=missing)
    withdrawn = [
        (stretch, each + timedelta(days=1))
        for each, known in heard.items()
        for stretch in told.forbidden_since(known, day)
    ]
    return sorted(each - timedelta(days=1) for each in _found(warehouse, "before_date", withdrawn))


@dataclass(frozen=True)
class _Told:
    """The words and links that have landed, up to some day."""

    consents: pa.Table
    identities: pa.Table
    missing: bool

    @classmethod
    def until(cls, day: date, warehouse: Warehouse, *, missing: bool) -> Self:
        consents, identities = (_rows(warehouse, table, day) for table in (RAW_CONSENTS, RAW_IDENTITIES))
        return cls(about_personalization(consents), identities, missing)

    def days_after(self, first: date) -> list[date]:
        """The later days on which something became known."""
        found = {
            known
            for rows in (self.consents, self.identities)
            for known in rows.column("known_date").unique().to_pylist()
        }
        return sorted(known for known in found if known > first)

    def changes(self, earlier: date, later: date) -> list[Stretch]:
        """What counts otherwise by the words and links of a later day than by those of an earlier one."""
        return changes(*self._people(earlier, later))

    def forbidden_since(self, earlier: date, later: date) -> list[Stretch]:
        """What might be used by the words and links of an earlier day and may not by those of a later one."""
        return forbidden_since(*self._people(earlier, later))

    def ids_received(self, days: Mapping[str, Iterable[date]]) -> set[str]:
        """Every id of the persons of whom something was received on these days, by kind of delivery."""
        heard = _ids(
            _where_in(self.consents, "received_date", days["consents"]),
            _where_in(self.identities, "received_date", days["identities"]),
        )
        return ids_with_links(heard, self.identities)

    def _people(self, earlier: date, later: date) -> tuple[People, People, set[str]]:
        """By what was known on either day: everybody of whom something became known in between, and their ids."""
        heard = _ids(*(_between(rows, earlier, later) for rows in (self.consents, self.identities)))
        ids = ids_with_links(heard, self.identities)
        consents = _where_in(self.consents, "user_id", ids)
        identities = _where_in(self.identities, "alias_id", ids)
        before, after = (
            People.of(_known(consents, known), _known(identities, known), missing=self.missing)
            for known in (earlier, later)
        )
        return before, after, ids


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


def _found(warehouse: Warehouse, column: str, stretches: list[tuple[Stretch, date]]) -> set[date]:
    """Of the events and decisions of some ids in some stretches of time, each known before its date: what the column says."""
    import pyarrow as pa

    if not stretches:
        return set()
    columns = [
        list(each) for each in zip(*((*stretch, before) for stretch, before in stretches), strict=True)
    ]
    prepare(warehouse, names.WAREHOUSE_RAW, RAW_DECISIONS)  # nothing may have been answered yet
    query = f"""
        select distinct {column}
        from (
            select user_id, occurred_at, event_date, known_date from {names.WAREHOUSE_RAW}.{RAW_EVENTS.short_name}
            union all
            select user_id, decided_at as occurred_at, event_date, known_date
            from {names.WAREHOUSE_RAW}.{RAW_DECISIONS.short_name}
        ) as events
        join stretches
            on stretches.user_id = events.user_id
            and events.occurred_at >= stretches.begins_at and events.occurred_at < stretches.ends_at
            and events.known_date < stretches.before_date
    """
    rows = pa.table(columns, schema=schema_of(_STRETCHES))
    with warehouse.given("stretches", _STRETCHES, rows):
        return set(warehouse.read(query, {column: "date"}).column(column).to_pylist())


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


def _where_in(rows: pa.Table, column: str, values: Iterable[Any]) -> pa.Table:
    import pyarrow as pa
    import pyarrow.compute as pc

    of = rows.column(column)
    return rows.filter(pc.is_in(of, value_set=pa.array(values, of.type)))


def _ids(consents: pa.Table, identities: pa.Table) -> set[str]:
    columns = (consents.column("user_id"), identities.column("alias_id"), identities.column("user_id"))
    return {user_id for column in columns for user_id in column.to_pylist()}
