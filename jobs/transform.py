"""Step 3, transform: dbt builds the tables of the days that have changed; the lake gets their partitions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import accumulate, groupby
from typing import TYPE_CHECKING, Any

from contracts import names
from contracts.errors import PartitionMissing
from contracts.feed import days_between
from contracts.tables import (
    RAW_CONSENTS,
    RAW_DECISIONS,
    RAW_EVENTS,
    RAW_IDENTITIES,
    RAW_ITEMS,
    RAW_USERS,
    TABLES,
    Table,
)
from jobs.attribution import (
    built_by,
    days_that_count_otherwise,
    days_that_count_withdrawn,
    owed_event_days,
    remember_built_by,
    settle_event_days,
)
from jobs.io import dbt
from jobs.io.commit import digest_of
from jobs.io.compiled import CompiledProject, Model, built_path, built_project, compile_project
from jobs.io.lake import Lake
from jobs.io.state import DELIVERIES, HEARD, LANDINGS, State
from jobs.io.warehouse import Warehouse, open_warehouse, prepare
from jobs.passes import has_told, is_granted, passes_of, variables_of
from jobs.runs import StepContext

if TYPE_CHECKING:
    import pyarrow as pa

#: Where dbt_project.yml puts the tables that are exported.
SCHEMAS = {
    names.FCT_INTERACTIONS: "marts",
    names.FCT_IMPRESSIONS: "marts",
    names.FCT_DECISIONS: "marts",
    names.DIM_ITEMS: "marts",
    names.FEAT_USER_DAILY: "features",
    names.FEAT_ITEM_DAILY: "features",
    names.FEAT_USER_CATEGORY_DAILY: "features",
    names.FEAT_USER_BRAND_DAILY: "features",
}

#: One row a table that is kept by day: the hash of the model that built it.
_MODELS_BUILT = f"{names.WAREHOUSE_OPS}.dbt_models"


@dataclass(frozen=True)
class _Pass:
    """What one invocation of dbt builds, by one set of variables and by the words and links of one day."""

    feature_days: Sequence[date]
    known_by: date  # what is known of consent and links
    variables: dict[str, Any]
    landed: set[date]  # event days that are new
    since: date | None  # landings of this day and later ones are new, and items that became known from it on


def run(day: date, context: StepContext, first: date | None = None) -> dict[str, Any]:
    """Build and export feature days ``first``…``day`` (only ``day`` without it) and the event days that changed.

    Days that can be told by one set of facts are built in one pass; a new one begins where a word or a link becomes known
    that changes an event of an earlier day, and where a day's run was set otherwise than that of the day before.

    Raises:
        PartitionMissing: the day has not been landed.
        GateRefused: a data test of the project failed; nothing of its pass is exported.
    """
    feature_days = days_between(first or day, day)
    since = _unbuilt_since(context.lake, feature_days[0])
    landed = _touched(context, since, day)
    told: list[dict[str, Any]] = []
    for days, variables in passes_of(feature_days, context):
        known_by = days[-1]
        now = {each for each in landed if each <= known_by}
        told.append(_build(_Pass(days, known_by, variables, now, since), context, until=day))
        # The first pass has built what earlier days lacked.
        landed, since = landed - now, day + timedelta(days=1)
    return _together(told)


def _build(build: _Pass, context: StepContext, *, until: date) -> dict[str, Any]:
    """One pass: dbt, and the export of what it has built.

    Args:
        until: the last day whose items may be new.
    """
    settings, lake, day = context.settings, context.lake, build.known_by
    project = compile_project(settings)
    with context.lease.guard():
        pass  # dbt writes in many transactions: a stale attempt must not begin
    with open_warehouse(settings) as warehouse:
        edited = _prepare(warehouse, project, build.variables)
        is_rebuilt = any(project.models[name].by == "event_date" for name in edited)
        landed = set(build.landed)
        if is_rebuilt:  # also those that have no events any more
            landed |= {each for name in names.BY_EVENT_DAY for each in lake.days(name)}
        event_days = _event_days(warehouse, landed, build.since, until, is_rebuilt=is_rebuilt)
        otherwise = days_that_count_otherwise(
            warehouse, context.state, build.since, day, missing=is_granted(build.variables)
        )
        event_days = sorted({*event_days, *otherwise, *owed_event_days(warehouse, day)})
        remember_built_by(warehouse, day, *built_by(warehouse))
        _ask_for(warehouse, "event_date", event_days)
        _ask_for(warehouse, "feature_date", build.feature_days)
    is_later = day != build.feature_days[-1]
    heard = {"heard_until": day.isoformat()} if is_later else {}
    if not is_later:  # first: a build that is cut short must not seem to have heard more than it has
        _remember_heard(context.state, build)
    built = dbt.build(settings, variables=build.variables | heard, rebuilt=edited)
    with open_warehouse(settings) as warehouse:
        facts = dict.fromkeys(event_days, _inputs(context, None, build.variables))
        features = {each: _inputs(context, each, build.variables | heard) for each in build.feature_days}
        # What _unbuilt_since looks at comes last: an export that was cut short is caught up with.
        exported = [(name, "event_date", facts) for name in names.BY_EVENT_DAY]
        exported += [(name, "feature_date", features) for name in names.BY_FEATURE_DAY]
        rows = {
            name: _export(warehouse, lake, name, by, inputs, project.hash_of(TABLES[name].short_name))
            for name, by, inputs in exported
        }
        _remember(warehouse, project, build.variables)
        remember_built_by(warehouse, day)
        settle_event_days(warehouse, day)
    if is_later:
        _remember_heard(context.state, build)
    of_newest = variables_of(context, lake.days(names.BY_FEATURE_DAY[-1])[-1])
    compile_project(settings, variables=of_newest).write(built_path(settings))
    counts = {TABLES[name].short_name: num_rows for name, num_rows in rows.items()}
    return {"feature_days": len(build.feature_days), "event_days": len(event_days), "rows": counts, **built}


def _together(told: list[dict[str, Any]]) -> dict[str, Any]:
    """What several passes have built, as if it had been one."""
    summed = {name: sum(each[name] for each in told) for name in ("feature_days", "event_days")}
    rows = {name: sum(each["rows"][name] for each in told) for name in told[0]["rows"]}
    return {**told[-1], **summed, "rows": rows, **({"passes": len(told)} if len(told) > 1 else {})}


def catch_up(context: StepContext) -> date | None:
    """Build the facts as the newest day's run does, where a run of an earlier day had built them otherwise.

    A backfill, or a rebuild of earlier days, leaves facts that know of no later withdrawal, or that were cut into sessions
    by what its day was set to: nobody may learn from those. Returns the day; None where there was nothing to do.
    """
    days = context.lake.days(names.BY_FEATURE_DAY[-1])
    if not days:
        return None
    with open_warehouse(context.settings) as warehouse:
        is_behind = has_told(context.lake) and min(built_by(warehouse), default=days[-1]) < days[-1]
        is_other = _is_set_otherwise(warehouse, context, days[-1])
    if not (is_behind or is_other):
        return None
    run(days[-1], context)
    return days[-1]


def build_without_withdrawn(days: Iterable[date], context: StepContext) -> list[date]:
    """Build the features of earlier days again that count events which must not be used by what is known of consent now.

    For a training that reads them. They are what these days knew, as the facts of the newest day have it: no event of
    who has withdrawn since, and none of an alias from before its link was known. Returns the days.
    """
    state, newest = context.state, max(context.lake.days(names.BY_FEATURE_DAY[-1]), default=None)
    if newest is None:
        return []
    variables = variables_of(context, newest)
    built = set(context.lake.days(names.BY_FEATURE_DAY[-1], until=newest - timedelta(days=1)))
    heard = {each: state.get(HEARD, each.isoformat()) or {} for each in sorted(built & set(days))}
    known = {each: date.fromisoformat(told.get("until", each.isoformat())) for each, told in heard.items()}
    with open_warehouse(context.settings) as warehouse:
        missing = is_granted(variables)
        due = set(days_that_count_withdrawn(warehouse, known, newest, missing=missing))
    if not missing:  # silence was consent to these days, and is no more
        due |= {each for each in known if known[each] == each and is_granted(variables_of(context, each))}
    for half_life, group in groupby(
        sorted(due), key=lambda each: variables_of(context, each)["half_life_days"]
    ):
        of_days = variables | {"half_life_days": half_life}
        _build(_Pass(list(group), newest, of_days, set(), newest + timedelta(days=1)), context, until=newest)
    return sorted(due)


def _remember_heard(state: State, build: _Pass) -> None:
    """Features that go by the words of a later day are told from those that a day's own run has built."""
    told = state.all(HEARD)
    for day in build.feature_days:
        is_later = build.known_by != build.feature_days[-1]
        if is_later or day.isoformat() in told:
            state.put(HEARD, day.isoformat(), {"until": str(build.known_by if is_later else day)})


def _is_set_otherwise(warehouse: Warehouse, context: StepContext, day: date) -> bool:
    """Were the facts built by other variables than those of a day? Whether by another project is not asked."""
    project = built_project(context.settings)
    if project is None:
        return False
    edited = _prepare(warehouse, project, variables_of(context, day))
    return any(project.models[name].by == "event_date" for name in edited)


def _unbuilt_since(lake: Lake, first: date) -> date | None:
    """The first day whose landing no earlier transform has seen; None when nothing was ever built.

    Usually ``first`` itself. A day that was landed but whose transform failed is caught up with.
    """
    built = lake.days(names.BY_FEATURE_DAY[-1], until=first - timedelta(days=1))
    return built[-1] + timedelta(days=1) if built else None


def _touched(context: StepContext, since: date | None, day: date) -> set[date]:
    """The event days up to ``day`` that landings since ``since`` touched, later ones (of a history, say) included."""
    landings = {date.fromisoformat(key): record for key, record in context.state.all(LANDINGS).items()}
    if day not in landings and day not in context.lake.days(names.BY_FEATURE_DAY[-1]):
        raise PartitionMissing(f"day {day} has not been landed. Land it: foretaste step land --day {day}")
    seen = [record for landed, record in landings.items() if since is None or since <= landed]
    return {
        date.fromisoformat(each) for record in seen for each in record["touched"] if each <= day.isoformat()
    }


def _prepare(warehouse: Warehouse, project: CompiledProject, variables: Mapping[str, Any]) -> list[str]:
    """Make what dbt reads exist; name the tables that another query has built than the one there is now."""
    # A shop may deliver nothing but events.
    for table in (RAW_EVENTS, RAW_DECISIONS, RAW_ITEMS, RAW_USERS, RAW_CONSENTS, RAW_IDENTITIES):
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
        decisions = f"{names.WAREHOUSE_RAW}.{RAW_DECISIONS.short_name}"
        query = f"select event_date from {events} union select event_date from {decisions}"
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
