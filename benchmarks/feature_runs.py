"""What the benchmarks of features measure, each in a process of its own whose memory can be watched.

``python -m benchmarks.feature_runs KIND HOME …`` does one run and writes what it has found to ``HOME/found.json``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from benchmarks.peak import Peak, of_tree
from contracts import names
from contracts.settings import Settings, load_settings

REPOSITORY = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Run:
    """What one run took, and what it told."""

    seconds: float  # of the work itself, the start of Python left out
    busy_seconds: float  # of its own processor time: whatever else ran on the machine
    peak_gb: float  # of its process and all that it has started, resident
    told: dict[str, Any]


def measured(kind: str, home: Path, *arguments: str, beside: tuple[int, ...] = ()) -> Run:
    """Do a run in a new process; its memory counts with that of the processes ``beside`` it.

    Raises:
        RuntimeError: it failed; the message holds the end of what it said.
    """
    home.mkdir(parents=True, exist_ok=True)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("FORETASTE_")}
    log = home / f"{kind}.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.feature_runs", kind, str(home), *arguments],
            cwd=REPOSITORY,
            env={**inherited, "PYTHONPATH": str(REPOSITORY), "PYTHONSAFEPATH": "1"},
            stdout=stream,
            stderr=stream,
        )
        try:
            with Peak(of_tree(process.pid, *beside)).watched() as peak:
                failed = process.wait()
        finally:
            process.kill()
    if failed:
        raise RuntimeError(f"the run {kind} of {home} failed: {log.read_text()[-2000:]}")
    told = json.loads((home / "found.json").read_text())
    return Run(told.pop("seconds"), told.pop("busy_seconds"), peak.bytes / 1e9, told)


class _Clock:
    """What has passed since it was made."""

    def __init__(self) -> None:
        self._begun = time.perf_counter(), time.process_time()

    def told(self) -> dict[str, Any]:
        seconds, busy = (
            now - then
            for now, then in zip((time.perf_counter(), time.process_time()), self._begun, strict=True)
        )
        return {"seconds": seconds, "busy_seconds": busy}


def ask_for(connection: Any, event_days: Sequence[date], feature_days: Sequence[date]) -> None:
    """Tell dbt what to build, as ``jobs/transform.py`` does."""
    for column, days in (("event_date", event_days), ("feature_date", feature_days)):
        listed = ", ".join(f"date '{day}'" for day in days)
        connection.execute(
            f"create or replace table {names.WAREHOUSE_OPS}.{column.replace('_date', '_days')} as "
            f"select unnest([{listed}]::date[]) as {column}"
        )


def full_refresh(settings: Settings) -> dict[str, Any]:
    """All that was asked for, through dbt, which knows the project from a run before; tells the queries in their order."""
    from jobs.io import dbt

    dbt.invoke(settings, ["--no-write-json", "parse", *_variables(settings)])
    clock = _Clock()
    outcomes = _through_dbt(settings, "--full-refresh")
    nodes = [_node(outcome) for outcome in outcomes if outcome.node.resource_type != "exposure"]
    return clock.told() | {"nodes": nodes}


def days(settings: Settings, day: str, repeats: str) -> dict[str, Any]:
    """A day through dbt and nothing through dbt, in turn, in this one process; the first run is not counted."""
    import duckdb

    clock = _Clock()
    took: dict[str, list[float]] = {"nothing": [], "day": []}
    for number in range(1 + 2 * int(repeats)):
        asked = [date.fromisoformat(day)] * (1 - number % 2)
        with duckdb.connect(str(settings.duckdb_path)) as connection:
            ask_for(connection, asked, asked)
        each = _Clock()
        _through_dbt(settings)
        if number:
            took["day" if asked else "nothing"].append(each.told()["busy_seconds"])
    return clock.told() | took


def _through_dbt(settings: Settings, *more: str) -> list[Any]:
    """What a day's transform asks dbt for."""
    from jobs.io import dbt

    build = ["--no-write-json", "build", "--exclude-resource-type", "unit_test", *_variables(settings)]
    outcomes = list(dbt.invoke(settings, [*build, *more]).result.results)
    if bad := [outcome.node.name for outcome in outcomes if outcome.status in ("error", "fail")]:
        raise RuntimeError(f"dbt: {', '.join(bad)}; {dbt.log_of(settings)}")
    return outcomes


def _variables(settings: Settings) -> list[str]:
    return ["--vars", json.dumps({"half_life_days": settings.half_life_days})]


def _node(outcome: Any) -> dict[str, Any]:
    node = outcome.node
    return {
        "name": node.name,
        "kind": str(node.resource_type),
        "relation": node.relation_name,
        "materialized": node.config.materialized,
        "sql": getattr(node, "compiled_code", None),
    }


def by_hand(settings: Settings, queries: str) -> dict[str, Any]:
    """The queries of a full refresh, which a file tells, in a plain DuckDB with as many threads."""
    import duckdb

    nodes = json.loads(Path(queries).read_text())
    seeds = REPOSITORY / "dbt_project" / "seeds"
    connection = duckdb.connect(
        str(settings.duckdb_path),
        config={"threads": settings.threads, "temp_directory": str(settings.duckdb_path.parent / "spill")},
    )
    for schema in ("seeds", "staging", "intermediate", "marts", "features"):
        connection.execute(f"create schema if not exists {schema}")
    clock = _Clock()
    for node in nodes:
        if node["kind"] == "seed":
            source = f"read_csv('{seeds / node['name']}.csv')"
            connection.execute(f"create table {node['relation']} as select * from {source}")
        elif node["kind"] == "test":
            if connection.execute(f"select count(*) from ({node['sql']})").fetchall() != [(0,)]:
                raise RuntimeError(f"{node['name']} found rows")
        else:
            what = "view" if node["materialized"] == "view" else "table"
            connection.execute(f"create {what} {node['relation']} as {node['sql']}")
    took = clock.told()
    connection.close()
    return took


def spark_build(settings: Settings, day: str, *how: str) -> dict[str, Any]:
    """A day's histories and co-visitation; ``plain`` has their tasks done here, one after another, without Spark."""
    from contextlib import nullcontext

    from jobs.features import build, tasks
    from jobs.io import spark
    from jobs.io.state import State
    from jobs.runs import StepContext

    if "plain" in how:
        spark.spark_context = lambda settings: nullcontext()  # type: ignore[assignment,return-value]
        tasks.run_on_spark = lambda spark, chosen: [task.run() for task in chosen]  # type: ignore[assignment]
    with State.of(settings).lease("bench", "build", 600, is_last=True) as lease:
        context = StepContext.of(settings, lease)
        clock = _Clock()
        result = build.run(date.fromisoformat(day), context)
        took = clock.told()
        digests = {
            name: context.lake.verify(name, date.fromisoformat(day)).digest
            for name in (names.HISTORIES, names.COVISITATION)
        }
    return took | {"digests": digests, "rows": result["rows"]}


KINDS: dict[str, Callable[..., dict[str, Any]]] = {
    "dbt": full_refresh,
    "days": days,
    "hand": by_hand,
    "spark": spark_build,
}


def main(kind: str, home: str, *arguments: str) -> None:
    found = KINDS[kind](load_settings(home=Path(home)), *arguments)
    (Path(home) / "found.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
