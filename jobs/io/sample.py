"""A sample of what has landed: some people with all their events, in a DuckDB of somebody's own.

It reads the lake's Parquet and opens no warehouse, so that it can be taken while a run is at work. People are drawn by a hash:
the same ones of the same lake. Their histories are whole, so that a feature of theirs is the feature; what is counted over
all people (an item's popularity, say) is counted over these.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contracts import names
from contracts.errors import ForetasteError, PartitionMissing
from contracts.settings import Settings
from contracts.tables import TABLES, Table
from jobs.io.compiled import CompiledProject
from jobs.io.lake import Lake

if TYPE_CHECKING:
    import duckdb

#: Of everything that belongs to nobody (anonymous events) the same share is taken as of the people.
_DRAW = "md5_number_lower(concat({column}, '/', {seed}))"
_TOTAL = 1 << 64
#: What dbt reads in an own file where nobody says another thing (macros/run_setting.sql): one row, a column a variable.
_RUN_SETTINGS = f"{names.WAREHOUSE_OPS}.run_settings"


@dataclass(frozen=True)
class Sample:
    """How large a sample is: people with their whole histories, and the last days whose features are built."""

    num_users: int = 1000
    num_days: int = 7


@dataclass(frozen=True)
class Drawn:
    """What a sample came to."""

    last_day: date
    feature_days: tuple[date, ...]
    num_users: int
    all_users: int
    num_events: int

    @property
    def told(self) -> str:
        days = (
            f"{self.feature_days[0]} to {self.last_day}" if len(self.feature_days) > 1 else f"{self.last_day}"
        )
        return (
            f"{self.num_users:,} of {self.all_users:,} people, {self.num_events:,} events, features of {days}"
        )


def own_file(settings: Settings) -> Path:
    """The DuckDB file that plain ``dbt build`` works on (the target ``own`` of profiles.yml)."""
    return settings.home / "dbt" / "own" / "own.duckdb"


def open_own(path: Path | None, settings: Settings) -> duckdb.DuckDBPyConnection:
    """A DuckDB file, or one in memory, that leaves nothing elsewhere."""
    import duckdb

    spill = settings.home / "dbt" / "own" / "spill"
    spill.parent.mkdir(parents=True, exist_ok=True)
    return duckdb.connect(
        str(path or ":memory:"), config={"threads": settings.threads, "temp_directory": str(spill)}
    )


def _draw_whole_persons(connection: duckdb.DuckDBPyConnection, links: str) -> None:
    """A person is drawn with all ids, however long the chain of links between them: a word said under one counts for all."""
    drawn = -1
    while drawn != (drawn := _count(connection, "drawn")):
        for one, other in (("user_id", "alias_id"), ("alias_id", "user_id")):
            connection.execute(
                f"insert into drawn select distinct {one} from {links} where {other} in (select user_id from drawn) "
                f"and {one} not in (select user_id from drawn)"
            )


def draw(connection: duckdb.DuckDBPyConnection, settings: Settings, sample: Sample) -> Drawn:
    """Fill the landing's and the engine's tables of a DuckDB with a sample, as known on the last built day.

    Raises:
        PartitionMissing: no day has been built.
    """
    lake = Lake.of(settings)
    feature_days = tuple(lake.days(names.BY_FEATURE_DAY[-1])[-sample.num_days :])
    if not feature_days or not lake.days(names.RAW_EVENTS):
        raise PartitionMissing(
            f"there is nothing to take a sample of in {lake.root}: no day has been built. Build one: foretaste run --day DAY"
        )
    last_day = feature_days[-1]
    for schema in (names.WAREHOUSE_RAW, names.WAREHOUSE_OPS):
        connection.execute(f"create schema if not exists {schema}")
    raw = [table for table in TABLES.values() if table.name.startswith(f"{names.RAW}/")]
    events = _landed(lake, TABLES[names.RAW_EVENTS], last_day)
    connection.execute(
        f"create or replace temp table everybody as select distinct user_id from {events} where user_id is not null"
    )
    connection.execute(
        f"create or replace temp table drawn as select user_id from everybody "
        f"order by {_drawn('user_id', settings.seed)}, user_id limit {sample.num_users}"
    )
    for table in raw:
        if {"alias_id", "user_id"} <= table.columns.keys():
            _draw_whole_persons(connection, _landed(lake, table, last_day))
    all_users, num_users = (_count(connection, name) for name in ("everybody", "drawn"))
    share = num_users / all_users if all_users else 1.0
    for table in raw:
        wanted = "true"
        if "user_id" in table.columns:
            wanted = "user_id in (select user_id from drawn)"
            nobody = f"{_drawn(table.key[0], settings.seed)} < {int(share * _TOTAL)}" if share < 1 else "true"
            wanted = f"({wanted} or (user_id is null and {nobody}))"
        connection.execute(
            f"create or replace table {names.WAREHOUSE_RAW}.{table.short_name} as "
            f"select {', '.join(table.columns)} from {_landed(lake, table, last_day)} where {wanted} "
            f"order by {', '.join(table.key)}"
        )
    ops = names.WAREHOUSE_OPS
    events_name, decisions_name = (
        f"{names.WAREHOUSE_RAW}.{TABLES[name].short_name}" for name in (names.RAW_EVENTS, names.RAW_DECISIONS)
    )
    listed = ", ".join(f"(date '{day}')" for day in feature_days)
    connection.execute(
        f"create or replace table {ops}.event_days as "
        f"select event_date from {events_name} union select event_date from {decisions_name}"
    )
    connection.execute(
        f"create or replace table {ops}.feature_days as select * from (values {listed}) as days (feature_date)"
    )
    connection.execute(f"create or replace table {ops}.sample as select date '{last_day}' as last_day")
    return Drawn(last_day, feature_days, num_users, all_users, _count(connection, events_name))


def _drawn(column: str, seed: int) -> str:
    return _DRAW.format(column=column, seed=seed)


def _landed(lake: Lake, table: Table, last_day: date) -> str:
    """What has landed of a table, as known on a day, as a relation in SQL; columns that older files lack are null."""
    typed = ", ".join(f"cast(null as {kind}) as {name}" for name, kind in table.columns.items())
    files = [str(path).replace("'", "''") for path in lake.files(table.name, lake.days(table.name))]
    if not files:
        return f"(select {typed} where false)"
    listed = ", ".join(f"'{path}'" for path in files)
    known = [f"{name} <= date '{last_day}'" for name in ("known_date", "event_date") if name in table.columns]
    return (
        f"(select * from (select {typed} where false union all by name "
        f"select * from read_parquet([{listed}], hive_partitioning = false, union_by_name = true)) "
        f"where {' and '.join(known)})"
    )


def _count(connection: duckdb.DuckDBPyConnection, name: str) -> int:
    (number,) = connection.execute(f"select count(*) from {name}").fetchone() or (0,)
    return int(number)


def build(connection: duckdb.DuckDBPyConnection, project: CompiledProject) -> None:
    """Every table of a compiled project, on a drawn sample, without dbt; and what it was compiled with, for dbt.

    Raises:
        ForetasteError: a query does not run; the message names its model.
    """
    import duckdb

    for schema in sorted({names.WAREHOUSE_OPS, *(model.schema for model in project.models.values())}):
        connection.execute(f"create schema if not exists {schema}")
    told = ", ".join(f"? as {name}" for name in project.variables)
    connection.execute(
        f"create or replace table {_RUN_SETTINGS} as select {told}", list(project.variables.values())
    )
    for model in project.models.values():
        kind = "view" if model.kind == "view" else "table"
        columns = ", ".join(f'cast("{name}" as {kind}) as "{name}"' for name, kind in model.columns.items())
        try:
            connection.execute(
                f"create or replace {kind} {model.relation} as select {columns} from (\n{model.sql}\n) as built"
            )
        except duckdb.Error as error:
            raise ForetasteError(
                f"{model.name} does not run on the sample: {str(error).splitlines()[0]}"
            ) from error


def take(settings: Settings, sample: Sample, project: CompiledProject) -> Drawn:
    """A new own file: a sample, and every table on it as the project builds it; replaces the old one whole."""
    path = own_file(settings)
    path.parent.mkdir(parents=True, exist_ok=True)
    staged = path.with_name("own.staged.duckdb")
    staged.unlink(missing_ok=True)
    with open_own(staged, settings) as connection:
        drawn = draw(connection, settings, sample)
        build(connection, project)
    staged.replace(path)
    return drawn


def last_day_of(connection: Any) -> date | None:
    """The day that the sample of an own file ends on; None when there is none in it.

    Raises:
        ForetasteError: it was taken by an older Foretaste, which did not say what its run was set to.
    """
    found = connection.execute(
        "select table_name from information_schema.tables where table_schema = ?", [names.WAREHOUSE_OPS]
    ).fetchall()
    if ("sample",) not in found:
        return None
    if ("run_settings",) not in found:
        raise ForetasteError(
            "the sample in the own file was taken by an older Foretaste. A new one: foretaste sample"
        )
    (day,) = connection.execute(f"select last_day from {names.WAREHOUSE_OPS}.sample").fetchone()
    return date.fromisoformat(str(day))
