"""Step 3, transform: dbt builds the tables of the days that have changed; the lake gets their partitions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from contracts import names
from contracts.errors import PartitionMissing
from contracts.feed import days_between
from contracts.tables import RAW_CONSENTS, RAW_EVENTS, RAW_IDENTITIES, RAW_ITEMS, RAW_USERS, TABLES, Table
from jobs.attribution import (
    built_by,
    days_that_count_otherwise,
    owed_event_days,
    remember_built_by,
    settle_event_days,
)
from jobs.io import dbt
from jobs.io.commit import digest_of
from jobs.io.compiled import CompiledProject, Model, built_path, compile_project
from jobs.io.lake import Lake
from jobs.io.state import DELIVERIES, LANDINGS, State
from jobs.io.warehouse import Warehouse, open_warehouse, prepare
from jobs.runs import StepContext, settings_of_run

if TYPE_CHECKING:
    import pyarrow as pa

#: Where dbt_project.yml puts the tables that are exported.
SCHEMAS = {
    names.FCT_INTERACTIONS: "marts",
    names.FCT_IMPRESSIONS: "marts",
    names.DIM_ITEMS: "marts",
    names.FEAT_USER_DAILY: "features",
    names.FEAT_ITEM_DAILY: "features",
    names.FEAT_USER_CATEGORY_DAILY: "features",
    names.FEAT_USER_BRAND_DAILY: "features",
}

#: One row a table that is kept by day: the hash of the model that built it.
_MODELS_BUILT = f"{names.WAREHOUSE_OPS}.dbt_models"


def run(day: date, context: StepContext, first: date | None = None) -> dict[str, Any]:
    """Build and export feature days ``first``…``day`` (only ``day`` without it) and the event days that changed.

    Raises:
        PartitionMissing: the day has not been landed.
        GateRefused: a data test of the project failed; nothing is exported.
    """
    settings, lake = context.settings, context.lake
    feature_days = days_between(first or day, day)
    since = _unbuilt_since(lake, feature_days[0])
    landed = _touched(context.state, since, day)
    variables = _variables(context, day)
    project, is_granted = compile_project(settings), variables["missing_consent"] == "granted"
    with context.lease.guard():
        pass  # dbt writes in many transactions: a stale attempt must not begin
    with open_warehouse(settings) as warehouse:
        edited = _prepare(warehouse, project, variables)
        is_rebuilt = any(project.models[name].by == "event_date" for name in edited)
        if is_rebuilt:  # also those that have no events any more
            landed |= {each for name in names.BY_EVENT_DAY for each in lake.days(name)}
        event_days = _event_days(warehouse, landed, since, day, is_rebuilt=is_rebuilt)
        otherwise = days_that_count_otherwise(warehouse, context.state, since, day, missing=is_granted)
        event_days = sorted({*event_days, *otherwise, *owed_event_days(warehouse, day)})
        remember_built_by(warehouse, day, *built_by(warehouse))
        _ask_for(warehouse, "event_date", event_days)
        _ask_for(warehouse, "feature_date", feature_days)
    built = dbt.build(settings, variables=variables, rebuilt=edited)
    with open_warehouse(settings) as warehouse:
        facts = dict.fromkeys(event_days, _inputs(context, None, variables))
        features = {each: _inputs(context, each, variables) for each in feature_days}
        # What _unbuilt_since looks at comes last: an export that was cut short is caught up with.
        exported = [(name, "event_date", facts) for name in names.BY_EVENT_DAY]
        exported += [(name, "feature_date", features) for name in names.BY_FEATURE_DAY]
        rows = {
            name: _export(warehouse, lake, name, by, inputs, project.hash_of(TABLES[name].short_name))
            for name, by, inputs in exported
        }
        _remember(warehouse, project, variables)
        remember_built_by(warehouse, day)
        settle_event_days(warehouse, day)
    of_newest = _variables(context, lake.days(names.BY_FEATURE_DAY[-1])[-1])
    compile_project(settings, variables=of_newest).write(built_path(settings))
    counts = {TABLES[name].short_name: num_rows for name, num_rows in rows.items()}
    return {"feature_days": len(feature_days), "event_days": len(event_days), "rows": counts, **built}


def catch_up(context: StepContext) -> date | None:
    """Build the facts by what is known of consent and links now, where a run of an earlier day had built them by less.

    A backfill, or a rebuild of earlier days, leaves facts that know of no later withdrawal: nobody may learn from those.
    Returns the day by whose knowledge they were built again; None where there was nothing to do.
    """
    lake = context.lake
    days = lake.days(names.BY_FEATURE_DAY[-1])
    if not days or not any(lake.days(table) for table in (names.RAW_CONSENTS, names.RAW_IDENTITIES)):
        return None
    with open_warehouse(context.settings) as warehouse:
        known_by = built_by(warehouse)
    if not known_by or min(known_by) >= days[-1]:
        return None
    run(days[-1], context)
    return days[-1]


def _variables(context: StepContext, day: date) -> dict[str, Any]:
    """What dbt is told of the run: its settings, and what silence about consent meant when the day was landed."""
    chosen = settings_of_run(context, day)
    landing = context.state.get(LANDINGS, day.isoformat()) or {}
    return {
        "half_life_days": chosen["half_life_days"],
        "missing_consent": landing.get("missing_consent", "granted"),
        "session_gap_minutes": chosen["session_gap_minutes"],
    }


def _unbuilt_since(lake: Lake, first: date) -> date | None:
    """The first day whose landing no earlier transform has seen; None when nothing was ever built.

    Usually ``first`` itself. A day that was landed but whose transform failed is caught up with.
    """
    built = lake.days(names.BY_FEATURE_DAY[-1], until=first - timedelta(days=1))
    return built[-1] + timedelta(days=1) if built else None


def _touched(state: State, since: date | None, day: date) -> set[date]:
    """The event days up to ``day`` that landings since ``since`` touched, later ones (of a history, say) included."""
    landings = {date.fromisoformat(key): record for key, record in state.all(LANDINGS).items()}
    if day not in landings:
        raise PartitionMissing(f"day {day} has not been landed. Land it: foretaste step land --day {day}")
    seen = [record for landed, record in landings.items() if since is None or since <= landed]
    return {
        date.fromisoformat(each) for record in seen for each in record["touched"] if each <= day.isoformat()
    }


def _prepare(warehouse: Warehouse, project: CompiledProject, variables: Mapping[str, Any]) -> list[str]:
    """Make what dbt reads exist; name the tables that another query has built than the one there is now."""
    # A shop may deliver nothing but events.
    for table in (RAW_EVENTS, RAW_ITEMS, RAW_USERS, RAW_CONSENTS, RAW_IDENTITIES):
        prepare(warehouse, names.WAREHOUSE_RAW, table)
    warehouse.execute(f"create table if not exists {_MODELS_BUILT} (model text, hash text)")
    found = warehouse.read(f"select model, hash from {_MODELS_BUILT}", {"model": "text", "hash": "text"})
    built = {row["model"]: row["hash"] for row in found.to_pylist()}
    return [name for name, digest in _hashes(project, variables).items() if built.get(name) != digest]


def _remember(warehouse: Warehouse, project: CompiledProject, variables: Mapping[str, Any]) -> None:
    warehouse.execute(f"delete from {_MODELS_BUILT}")
    rows = ", ".join(f"('{name}', '{digest}')" for name, digest in _hashes(project, variables).items())
    warehouse.execute(f"insert into {_MODELS_BUILT} values {rows}")


def _hashes(project: CompiledProject, variables: Mapping[str, Any]) -> dict[str, str]:
    """What the rows of each table that is kept by day follow from; facts of all days follow from one set of variables."""
    of_facts = {name: value for name, value in variables.items() if name != "half_life_days"}
    return {
        model.name: digest_of([model.hash, of_facts]) if model.by == "event_date" else model.hash
        for model in _kept_by_day(project)
    }


def _kept_by_day(project: CompiledProject) -> list[Model]:
    """The tables that hold what earlier runs built; all others are made anew each time."""
    return [model for model in project.models.values() if model.kind == "incremental"]


def _event_days(
    warehouse: Warehouse, landed: set[date], since: date | None, day: date, *, is_rebuilt: bool
) -> list[date]:
    """Every event day that has to be built: those landed, those whose items became known, or simply all."""
    events = f"{names.WAREHOUSE_RAW}.{RAW_EVENTS.short_name}"
    items = f"{names.WAREHOUSE_RAW}.{RAW_ITEMS.short_name}"
    if is_rebuilt:
        query = f"select distinct event_date from {events}"
    else:
        query = f"""
            select distinct events.event_date
            from {events} as events
            join (
                select item_id, min(known_date) as known_date from {items} group by item_id
                having min(known_date) between date '{since or date.min}' and date '{day}'
            ) as items on items.item_id = events.item_id
            where events.known_date < items.known_date
        """
    found = warehouse.read(query, {"event_date": "date"}).column("event_date").to_pylist()
    return sorted(landed | set(found))


def _ask_for(warehouse: Warehouse, column: str, days: Sequence[date]) -> None:
    """Tell dbt which days to build: its staging models of the engine read these tables."""
    target = f"{names.WAREHOUSE_OPS}.{column.replace('_date', '_days')}"
    warehouse.execute(f"create table if not exists {target} ({column} date)")
    warehouse.execute(f"delete from {target}")
    if days:
        listed = ", ".join(f"(date '{day}')" for day in days)
        warehouse.execute(f"insert into {target} values {listed}")


def _inputs(context: StepContext, known: date | None, variables: Mapping[str, Any]) -> list[Any]:
    """What a partition is made of beside its model: the deliveries it could see, what dbt was told."""
    deliveries = {
        key: record["sha256"]
        for key, record in context.state.all(DELIVERIES).items()
        if known is None or record["known_date"] <= known.isoformat()
    }
    return [deliveries, dict(variables)]


def _export(
    warehouse: Warehouse, lake: Lake, name: str, by: str, inputs: dict[date, list[Any]], model_hash: str
) -> int:
    """Write the partitions of several days from one query; a day without rows gets an empty partition."""
    days = sorted(inputs)
    if not days:
        return 0
    table = TABLES[name]
    rows = warehouse.read(_export_query(table, by, days), table.columns)
    begin = 0
    for day, end in zip(days, _ends(rows, by, days), strict=True):
        digest = digest_of([*inputs[day], model_hash])
        lake.replace(name, day, rows.slice(begin, end - begin), inputs=digest, model_hash=model_hash)
        begin = end
    return int(rows.num_rows)


def _export_query(table: Table, by: str, days: Sequence[date]) -> str:
    """The rows of some days in one total order, whatever collation the warehouse sorts by."""
    order = [by, *(column for column in table.key if column != by)]
    keys = [f'{column} collate "C"' if table.columns[column] == "text" else column for column in order]
    wanted = ", ".join(f"date '{day}'" for day in days)
    return (
        f"select {', '.join(table.columns)} from {SCHEMAS[table.name]}.{table.short_name} "
        f"where {by} in ({wanted}) order by {', '.join(keys)}"
    )


def _ends(rows: pa.Table, by: str, days: Sequence[date]) -> list[int]:
    """Where each day's rows end, in rows that are ordered by day."""
    num_rows = {each["values"]: each["counts"] for each in rows.column(by).value_counts().to_pylist()}
    return list(accumulate(num_rows.get(day, 0) for day in days))
