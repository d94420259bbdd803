"""dbt in this process: one invocation of the project on the warehouse that the settings name."""

from __future__ import annotations

import json
import logging
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contracts.errors import ForetasteError, GateRefused
from contracts.settings import Settings, environment_of_library
from jobs.io.commit import digest_of, sha256_of_file

if TYPE_CHECKING:
    from dbt.cli.main import dbtRunnerResult

PROJECT = Path(__file__).resolve().parents[2] / "dbt_project"


def project_digest(project: Path = PROJECT) -> str:
    """Of all that somebody may edit: queries, seeds, descriptions."""
    found = sorted(path for path in project.rglob("*") if path.suffix in (".sql", ".yml", ".csv", ".md"))
    return digest_of([[path.relative_to(project).as_posix(), sha256_of_file(path)] for path in found])


def build(settings: Settings, *, variables: Mapping[str, Any], rebuilt: Sequence[str]) -> dict[str, int]:
    """Seeds, models and data tests in one invocation; returns how many of each there were.

    Args:
        variables: those of the run, which need not be those of today's settings.
        rebuilt: incremental models whose table is made anew, because another query had made it.

    Raises:
        GateRefused: a data test found rows that must not be.
        ForetasteError: the project does not compile, or the warehouse refuses a query.
    """
    chosen = ["--vars", json.dumps({**variables, **({"rebuilt": list(rebuilt)} if rebuilt else {})})]
    result = invoke(settings, ["--no-write-json", "build", "--exclude-resource-type", "unit_test", *chosen])
    outcomes = result.result.results
    to_look = ["--vars", json.dumps(dict(variables))]
    _refuse(settings, [outcome for outcome in outcomes if outcome.status in ("error", "fail")], to_look)
    return {
        "models": sum(outcome.node.resource_type == "model" for outcome in outcomes),
        "tests": sum(outcome.node.resource_type == "test" for outcome in outcomes),
    }


def compile_models(settings: Settings, *, variables: Mapping[str, Any], project: Path = PROJECT) -> Any:
    """dbt's manifest with every model compiled for a DuckDB in memory: opens no warehouse.

    Raises:
        ForetasteError: the project does not compile.
    """
    chosen = ["--vars", json.dumps(dict(variables))]
    locations = [
        *("--project-dir", str(project), "--profiles-dir", str(project), "--target", "duckdb"),
        *("--target-path", str(settings.home / "dbt" / "compiled")),
        *("--log-path", str(settings.home / "dbt" / "compiled" / "logs")),
    ]
    environment = {"FORETASTE_DBT_DUCKDB_PATH": ":memory:", "FORETASTE_DBT_SPILL": str(settings.home / "tmp")}
    quiet = ["--no-write-json", "--no-populate-cache"]
    manifest = _invoke(settings, [*quiet, "parse", *chosen, *locations], environment).result
    result = _invoke(
        settings,
        [*quiet, "compile", "--select", "resource_type:model", *chosen, *locations],
        environment,
        manifest,
    )
    if not result.success:
        failed = [outcome for outcome in result.result.results if outcome.status == "error"]
        told = "; ".join(f"{outcome.node.name}: {_first_words(outcome.message)}" for outcome in failed[:3])
        raise ForetasteError(f"the dbt project does not compile: {told}")
    return manifest


def invoke(settings: Settings, arguments: Sequence[str]) -> dbtRunnerResult:
    """Call dbt on the warehouse; its logs and its state go to the home folder.

    Raises:
        ForetasteError: dbt could not begin: the project does not parse, or the warehouse does not answer.
    """
    return _invoke(settings, [*arguments, *_locations(settings)], _environment(settings))


def _invoke(
    settings: Settings, arguments: Sequence[str], environment: dict[str, str], manifest: Any = None
) -> dbtRunnerResult:
    from dbt.cli.main import dbtRunner

    from jobs.io.dbt_events import drop_unheard_events

    drop_unheard_events()
    home = settings.home / "dbt"
    home.mkdir(parents=True, exist_ok=True)
    with environment_of_library(environment):
        result = dbtRunner(manifest=manifest).invoke(
            ["--log-level", "none", "--log-level-file", "info", *arguments]
        )
    _close_log()
    _close_duckdb()
    stop = result.exception
    if isinstance(stop, KeyboardInterrupt | SystemExit):
        raise stop  # a polite end of the process, which dbt would swallow
    if stop is not None:
        raise ForetasteError(
            f"dbt could not begin: {_first_words(str(stop))} Its log: {log_of(settings)}"
        ) from stop
    return result


def log_of(settings: Settings) -> Path:
    return settings.home / "dbt" / "logs" / "dbt.log"


def _close_log() -> None:
    """dbt leaves its log open until the process ends, which may be a long one."""
    log = logging.getLogger("file_log")
    for handler in list(log.handlers):
        log.removeHandler(handler)
        handler.close()


def _close_duckdb() -> None:
    """dbt holds the DuckDB file open from one node to the next, and would do so until the process ends."""
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager

    DuckDBConnectionManager.close_all_connections()


def _locations(settings: Settings) -> list[str]:
    home = settings.home / "dbt"
    return [
        *("--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT)),
        *("--target-path", str(home / "target"), "--log-path", str(home / "logs")),
        *("--target", "duckdb" if settings.is_warehouse_embedded else "postgres"),
    ]


def _environment(settings: Settings) -> dict[str, str]:
    """What ``profiles.yml`` asks for."""
    if settings.is_warehouse_embedded:
        settings.duckdb_path.parent.mkdir(parents=True, exist_ok=True)
        return {
            "FORETASTE_DBT_DUCKDB_PATH": str(settings.duckdb_path),
            "FORETASTE_DBT_SPILL": str(settings.duckdb_path.parent / "spill"),
            "FORETASTE_DBT_THREADS": str(settings.threads),
        }
    from psycopg.conninfo import conninfo_to_dict

    parts = conninfo_to_dict(settings.warehouse_url.get_secret_value())
    return {
        "FORETASTE_DBT_HOST": str(parts.get("host", "localhost")),
        "FORETASTE_DBT_PORT": str(parts.get("port", 5432)),
        "FORETASTE_DBT_USER": str(parts.get("user", "")),
        "FORETASTE_DBT_DATABASE": str(parts.get("dbname", "")),
        "FORETASTE_DBT_SSLMODE": str(parts.get("sslmode", "prefer")),
        "DBT_ENV_SECRET_FORETASTE_PASSWORD": str(parts.get("password", "")),
    }


def _refuse(settings: Settings, failures: Sequence[Any], chosen: Sequence[str]) -> None:
    """Say what failed first: an error makes the tests that come after it meaningless."""
    errors = [outcome for outcome in failures if outcome.status == "error"]
    if errors:
        told = "; ".join(f"{outcome.node.name}: {_first_words(outcome.message)}" for outcome in errors[:3])
        raise ForetasteError(
            f"dbt could not build {len(errors)} of its nodes: {told} Its log: {log_of(settings)}"
        )
    if failures:
        told = "; ".join(f"{outcome.node.name} found {outcome.failures:,}" for outcome in failures[:3])
        raise GateRefused(
            f"a data test found rows that must not be: {told}. Nothing was exported. "
            f"Look: {_look(settings, failures[0].node, chosen)}"
        )


def _look(settings: Settings, node: Any, chosen: Sequence[str]) -> str:
    """The command that shows the rows a test has found."""
    if not settings.is_warehouse_embedded:
        return f'psql "$FORETASTE_WAREHOUSE_URL" -f {shlex.quote(str(node.compiled_path))}'
    variables = [f"{name}={shlex.quote(value)}" for name, value in _environment(settings).items()]
    command = [
        str(Path(sys.executable).with_name("dbt")),
        "show",
        "--select",
        node.name,
        *chosen,
        *_locations(settings),
    ]
    return " ".join([*variables, shlex.join(command)])


def _first_words(message: str) -> str:
    """A message on one line, short enough for a log's last one."""
    text = " ".join(message.split())
    return text if len(text) <= 400 else f"{text[:397]}..."
