"""What does an edit of the dbt project change? The tables that it builds beside those that built the lake, on one sample.

Both projects are compiled SQL: that of the last transform (``HOME/dbt/built.json``) and the one that lies here now. Each is run,
as the run was set, on the same sample in a DuckDB in memory. Nothing is written, and no warehouse is opened.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contracts.errors import NothingToDo, PartitionMissing
from contracts.settings import Settings
from jobs.diff_lists import ListsDiff, diff_lists
from jobs.io.compiled import Model, built_project, compile_project
from jobs.io.sample import Drawn, Sample, build, draw, open_own
from jobs.stale import edited_since

if TYPE_CHECKING:
    import duckdb

_NUMBERS = ("bigint", "integer", "double precision")


@dataclass(frozen=True)
class Side:
    """A column's distribution in one of the two builds."""

    null_share: float
    distinct: int
    mean: float | None  # of numbers, like the quantiles
    p10: float | None
    p50: float | None
    p90: float | None


@dataclass(frozen=True)
class ColumnDiff:
    """A column that both have, or one of them."""

    name: str
    type: str
    before: Side | None  # None: the column is new
    after: Side | None  # None: it is gone
    changed: int  # rows of both in which it differs
    #: Numbers: the largest difference of the two cumulative distributions. All else: half the sum of the differences of shares.
    distance: float | None


@dataclass(frozen=True)
class TableDiff:
    """A table whose query, or that of something it reads, was edited; a missing one counts as empty."""

    name: str
    before: int
    after: int
    added: int
    removed: int
    changed: int
    columns: tuple[ColumnDiff, ...]  # keys are left out
    note: str = ""

    @property
    def is_same(self) -> bool:
        return not (self.added or self.removed or self.changed or self.new or self.gone)

    @property
    def new(self) -> list[str]:
        return [column.name for column in self.columns if column.before is None]

    @property
    def gone(self) -> list[str]:
        return [column.name for column in self.columns if column.after is None]


@dataclass(frozen=True)
class Diff:
    """All that an edit changes."""

    edited: tuple[str, ...]
    drawn: Drawn
    tables: tuple[TableDiff, ...]
    lists: ListsDiff

    def as_record(self) -> dict[str, Any]:
        """The same for programs; it names no user."""
        return {
            "edited": list(self.edited),
            "sample": asdict(self.drawn),
            "tables": [asdict(table) for table in self.tables],
            "lists": asdict(self.lists),
        }


def diff(settings: Settings, sample: Sample, project: Path | None = None) -> Diff:
    """Compare the project as it is now with the one that built the newest partitions.

    Raises:
        NothingToDo: no query differs.
        PartitionMissing: no project has built anything yet.
        ForetasteError: the edited project does not compile, or does not run.
    """
    before = built_project(settings)
    if before is None:
        raise PartitionMissing(
            "no project has built this lake yet, so there is nothing to compare with. Build a day: foretaste run --day DAY"
        )
    after = compile_project(settings, project, variables=before.variables)
    edited = edited_since(before, after)
    if not edited:
        raise NothingToDo("no query differs from those that built the newest partitions")
    with open_own(None, settings) as connection:
        connection.execute("attach ':memory:' as built; attach ':memory:' as edited; use built")
        drawn = draw(connection, settings, sample)
        build(connection, before)
        for schema, name in _landed(connection):
            connection.execute(f"create schema if not exists edited.{schema}")
            connection.execute(f"create table edited.{schema}.{name} as from built.{schema}.{name}")
        connection.execute("use edited")
        build(connection, after)
        names_of_both = [*after.models, *(name for name in before.models if name not in after.models)]
        tables = tuple(
            _table(connection, before.models.get(name), after.models.get(name))
            for name in names_of_both
            if _hash(before.models.get(name)) != _hash(after.models.get(name))
        )
        # What was built besides by an edit of comments or casts is no other table.
        differing = {table.name for table in tables if not table.is_same}
        lists = diff_lists(
            settings, connection, drawn, differing, {table.name: table.new for table in tables}
        )
    return Diff(edited, drawn, tables, lists)


def _hash(model: Model | None) -> str | None:
    return model.hash if model else None


def _landed(connection: duckdb.DuckDBPyConnection) -> list[tuple[str, str]]:
    return connection.execute(
        "select table_schema, table_name from information_schema.tables "
        "where table_catalog = 'built' and table_schema in ('raw', 'ops') order by all"
    ).fetchall()


def _table(connection: duckdb.DuckDBPyConnection, before: Model | None, after: Model | None) -> TableDiff:
    model = after or before
    assert model is not None
    num_before, num_after = (
        _one(connection, f"select count(*) from {side}.{each.relation}")[0] if each else 0
        for side, each in (("built", before), ("edited", after))
    )
    if before is None or after is None:
        note = "a new table" if before is None else "the table is gone"
        return TableDiff(model.name, num_before, num_after, num_after, num_before, 0, (), note)
    if before.key != after.key or not after.key:
        note = f"its key is another one ({', '.join(before.key)} before, {', '.join(after.key)} now): rows cannot be told apart"
        return TableDiff(model.name, num_before, num_after, num_after, num_before, 0, (), note)
    both = [name for name in after.columns if name in before.columns and name not in after.key]
    joined = (
        f"(select *, true as is_there from built.{before.relation}) as before full join "
        f"(select *, true as is_there from edited.{after.relation}) as after on "
        + " and ".join(f'before."{name}" = after."{name}"' for name in after.key)
    )
    differs = [f'before."{name}" is distinct from after."{name}"' for name in both]
    is_both = "before.is_there and after.is_there"
    added, removed, changed, *each = _one(
        connection,
        "select "
        + ", ".join(
            f"count(*) filter ({condition})"
            for condition in (
                "before.is_there is null",
                "after.is_there is null",
                f"{is_both} and ({' or '.join(differs) or 'false'})",
                *(f"{is_both} and {condition}" for condition in differs),
            )
        )
        + f" from {joined}",
    )
    by_column = dict(zip(both, each, strict=True))
    columns = [
        _column(connection, before, after, name, by_column.get(name, 0))
        for name in [*after.columns, *(name for name in before.columns if name not in after.columns)]
        if name not in after.key
    ]
    return TableDiff(model.name, num_before, num_after, added, removed, changed, tuple(columns))


def _column(
    connection: duckdb.DuckDBPyConnection, before: Model, after: Model, name: str, changed: int
) -> ColumnDiff:
    kind = (after if name in after.columns else before).columns[name]
    sides = [
        _side(connection, f"{catalog}.{model.relation}", name, model.columns[name])
        if name in model.columns
        else None
        for catalog, model in (("built", before), ("edited", after))
    ]
    distance = None
    if all(sides) and before.columns[name] == kind:
        distance = _distance(connection, before.relation, after.relation, name, kind)
    return ColumnDiff(name, kind, sides[0], sides[1], changed, distance)


def _side(connection: duckdb.DuckDBPyConnection, relation: str, name: str, kind: str) -> Side:
    column = f'"{name}"'
    numbers = (
        f", avg({column}), quantile_disc({column}, 0.1), quantile_disc({column}, 0.5), quantile_disc({column}, 0.9)"
        if kind in _NUMBERS
        else ", null, null, null, null"
    )
    nulls, distinct, *told = _one(
        connection,
        f"select coalesce(avg(({column} is null)::int), 0), count(distinct {column}){numbers} from {relation}",
    )
    return Side(
        round(nulls, 6), distinct, *(None if value is None else round(float(value), 6) for value in told)
    )


def _distance(
    connection: duckdb.DuckDBPyConnection, before: str, after: str, name: str, kind: str
) -> float | None:
    """Between two distributions, from 0 (the same) to 1 (nothing in common), nulls left out; None where one has no value."""
    counted = f"""
        select value, count(*) filter (is_before) as before, count(*) filter (not is_before) as after
        from (
            select "{name}" as value, true as is_before from built.{before}
            union all select "{name}", false from edited.{after}
        ) where value is not null group by value
    """
    measure = (
        "max(abs(before_until / num_before - after_until / num_after))"
        if kind in _NUMBERS
        else "sum(abs(before / num_before - after / num_after)) / 2"
    )
    (distance,) = _one(
        connection,
        f"""
        with counted as ({counted}), totals as (
            select *, sum(before) over () as num_before, sum(after) over () as num_after,
                sum(before) over (order by value) as before_until, sum(after) over (order by value) as after_until
            from counted
        )
        select {measure} from totals where num_before > 0 and num_after > 0
        """,
    )
    return None if distance is None else round(float(distance), 6)


def _one(connection: duckdb.DuckDBPyConnection, sql: str) -> tuple[Any, ...]:
    row = connection.execute(sql).fetchone()
    assert row is not None
    return row
