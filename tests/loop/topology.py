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

import pyspark

from contracts.settings import load_settings
from jobs.services import running
from tests.postgres import postgres


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
    """PostgreSQL for warehouse, state, Airflow and MLflow, a Redis with a password, an S3 with keys, a Spark cluster.

    Redis and S3 are servers of another home folder: what the loop is told of them is addresses and secrets.
    """
    with ExitStack() as stack:
        stores = stack.enter_context(
            running(load_settings(home=folder / "stores"), only={"valkey", "seaweedfs"}, airflow=False)
        )
        url = stack.enter_context(postgres("warehouse", "state", "airflow", "mlflow"))
        master = stack.enter_context(_spark(folder / "spark"))
        yield Topology(
            {
                "FORETASTE_WAREHOUSE_URL": _url(url, "postgresql", "warehouse"),
                "FORETASTE_STATE_URL": _url(url, "postgresql+psycopg", "state"),
                "FORETASTE_AIRFLOW_DB_URL": _url(url, "postgresql+psycopg2", "airflow"),
                "FORETASTE_MLFLOW_DB_URL": _url(url, "postgresql+psycopg2", "mlflow"),
                "FORETASTE_REDIS_URL": stores.redis_url.get_secret_value(),
                "FORETASTE_S3_ENDPOINT_URL": stores.s3_endpoint_url,
                "FORETASTE_S3_ACCESS_KEY": stores.s3_access_key.get_secret_value(),
                "FORETASTE_S3_SECRET_KEY": stores.s3_secret_key.get_secret_value(),
                "FORETASTE_SPARK_MASTER": master,
                "FORETASTE_SPARK_MEMORY": "1g",
            }
        )


def _url(url: str, driver: str, database: str) -> str:
    return url.replace("postgresql:", f"{driver}:", 1).replace("/postgres?", f"/{database}?", 1)


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
        "SPARK_LOCAL_DIRS": str(folder),
        "SPARK_LAUNCHER_OPTS": "-XX:-UsePerfData",  # would write to /tmp
        "SPARK_DAEMON_JAVA_OPTS": "-XX:-UsePerfData",
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
            with (folder / f"{program[0].rsplit('.', 1)[1]}.log").open("w") as log:
                command = [str(home / "bin" / "spark-class"), *program]
                processes.append(
                    subprocess.Popen(command, env=common, stdout=log, stderr=log, start_new_session=True)
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
