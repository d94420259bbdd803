"""The dbt project's queries, compiled once and run on DuckDB in memory: a shop's days in a fraction of a second."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from graphlib import TopologicalSorter
from typing import Any, Self

import duckdb
import pyarrow as pa

from contracts import names
from contracts.settings import Settings
from contracts.tables import (
    RAW_CONSENTS,
    RAW_DECISIONS,
    RAW_EVENTS,
    RAW_IDENTITIES,
    RAW_ITEMS,
    RAW_USERS,
    Table,
)
from jobs import transform
from jobs.features import build, tasks
from jobs.io import dbt
from jobs.io import spark as spark_of
from jobs.io.lake import Lake
from jobs.io.schemas import arrow_schema
from jobs.io.state import State
from jobs.io.warehouse import _DuckDB
from jobs.runs import StepContext

Rows = list[dict[str, Any]]


@dataclass(frozen=True, repr=False)  # a failing example shows what landed, not all queries
class Project:
    """Queries by the name of their model, in the order of their dependencies; data tests by their name."""

    database: str
    relations: dict[str, str]
    models: dict[str, str]
    checks: dict[str, str]

    @classmethod
    def compiled(cls, settings: Settings) -> Self:
        results = dbt.invoke(settings, ["compile"]).result.results
        nodes = {result.node.unique_id: result.node for result in results}
        models = {name: node for name, node in nodes.items() if node.resource_type == "model"}
        order = TopologicalSorter(
            {name: set(node.depends_on.nodes) & models.keys() for name, node in models.items()}
        )
        ordered = [models[name] for name in order.static_order()]
        return cls(
            ordered[0].database,
            {node.name: node.relation_name for node in ordered},
            {node.name: node.compiled_code for node in ordered},
            {node.name: node.compiled_code for node in nodes.values() if node.resource_type == "test"},
        )

    def sabotaged(self, model: str, old: str, new: str) -> Self:
        """The project with one thing done otherwise in one of its queries."""
        assert old in self.models[model], f"{model} has no {old!r} any more: sabotage what it says now"
        return replace(self, models=self.models | {model: self.models[model].replace(old, new)})

    @contextmanager
    def built(
        self, events: Rows, items: Rows, users: Rows, event_days: Iterable[date], feature_days: Iterable[date]
    ) -> Any:
        """Everything that the project makes of what has landed."""
        connection = duckdb.connect(":memory:", config={"threads": 1})
        connection.execute(f"attach ':memory:' as \"{self.database}\"")
        connection.execute(f'use "{self.database}"')
        for schema in ("raw", "ops", "seeds", "staging", "intermediate", "marts", "features"):
            connection.execute(f"create schema if not exists {schema}")
        landed = {"raw.events": table_of(RAW_EVENTS, events), "raw.items": table_of(RAW_ITEMS, items)}
        landed |= {"raw.users": table_of(RAW_USERS, users)}
        landed |= {
            "raw.decisions": table_of(RAW_DECISIONS, []),
            "raw.consents": table_of(RAW_CONSENTS, []),
            "raw.identities": table_of(RAW_IDENTITIES, []),
        }
        landed |= {
            f"ops.{name}s": pa.table({name.replace("day", "date"): pa.array(sorted(days), pa.date32())})
            for name, days in (("event_day", event_days), ("feature_day", feature_days))
        }
        for name, rows in landed.items():
            connection.register("given", rows)
            connection.execute(f"create table {name} as select * from given")
        seed = dbt.PROJECT / "seeds" / "event_weights.csv"
        connection.execute(f"create table seeds.event_weights as select * from read_csv('{seed}')")
        for name, query in self.models.items():
            connection.execute(f"create table {self.relations[name]} as {query}")
        try:
            yield connection
        finally:
            connection.close()

    def refusals(self, connection: duckdb.DuckDBPyConnection) -> set[str]:
        """The data tests that find rows that must not be."""
        return {
            name for name, query in self.checks.items() if connection.execute(query).fetchone() is not None
        }


def table_of(table: Table, rows: Rows) -> pa.Table:
    return pa.Table.from_pylist(
        [dict.fromkeys(table.columns) | row for row in rows], schema=arrow_schema(table)
    )


def export(lake: Lake, connection: duckdb.DuckDBPyConnection, by_day: Mapping[str, Sequence[date]]) -> None:
    """Export tables for some days of each, as the transform does."""
    for name, days in by_day.items():
        by = "event_date" if name in names.BY_EVENT_DAY else "feature_date"
        transform._export(
            _DuckDB(connection), lake, name, by, {day: ["compiled"] for day in days}, "compiled"
        )


@contextmanager
def writing(settings: Settings) -> Any:
    with State.of(settings).lease("test", "build", 600, is_last=True) as lease:
        yield StepContext.of(settings, lease)


def without_spark(patch: Any) -> None:
    """Spark's tasks one after the other in this process: what they compute is the same, and there is no JVM to wait for."""

    @contextmanager
    def nothing(*arguments: Any, **options: Any) -> Any:
        yield None

    def one_by_one(_: Any, given: Sequence[tasks.Task]) -> None:
        for task in given:
            task.run()

    patch.setattr(spark_of, "spark_context", nothing)
    patch.setattr(tasks, "run_on_spark", one_by_one)


def look_back(context: StepContext, day: date, kind: str = names.DAILY) -> dict[str, Any]:
    return build.run(day, context, kind=kind)
