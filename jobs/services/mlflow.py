"""MLflow, the model registry: one worker, its artifacts served by itself, no job runner."""

from __future__ import annotations

import sys
from pathlib import Path

from contracts.settings import Settings
from jobs.services.ports import LOOPBACK, Ports
from jobs.services.server import Process, Server, answers


def mlflow(settings: Settings, ports: Ports) -> Server:
    """The embedded MLflow server, on SQLite in the home folder or on the database of ``mlflow_db_url``."""
    port = ports.named("mlflow_port")
    folder = settings.home / "mlflow"
    (folder / "artifacts").mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    hosts = ",".join(f"{host}:{port}" for host in (LOOPBACK, "localhost"))
    database = settings.mlflow_db_url.get_secret_value() or _sqlite(folder)
    process = Process(
        name="mlflow",
        # What `mlflow server` starts, without the parent that imports MLflow a second time and then waits.
        command=(
            *(sys.executable, "-m", "uvicorn", "mlflow.server.fastapi_app:app"),
            *("--host", LOOPBACK, "--port", str(port), "--workers", "1", "--no-access-log"),
        ),
        environment={
            # In the environment, as a command line shows its password to everybody.
            "_MLFLOW_SERVER_FILE_STORE": database,
            "_MLFLOW_SERVER_REGISTRY_STORE": database,
            "_MLFLOW_SERVER_ARTIFACT_ROOT": "mlflow-artifacts:/",
            "_MLFLOW_SERVER_ARTIFACT_DESTINATION": str(folder / "artifacts"),
            "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
            "_MLFLOW_SGI_NAME": "uvicorn",
            "MLFLOW_SERVER_ALLOWED_HOSTS": hosts,
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "MLFLOW_DISABLE_TELEMETRY": "true",  # nothing calls home
            "DO_NOT_TRACK": "true",
        },
        is_ready=lambda: _serves(port),
        timeout=120,
    )
    url = f"http://{LOOPBACK}:{port}"
    return Server(name="mlflow", processes=(process,), url=url, publishes={"mlflow_url": url})


def _serves(port: int) -> bool:
    """Does it answer from its database? The first call makes the tables, so it is made once and waited for."""
    if answers(port, "/health")[0] != 200:
        return False
    return answers(port, "/api/2.0/mlflow/experiments/get?experiment_id=0", seconds=60)[0] == 200


def _sqlite(folder: Path) -> str:
    return f"sqlite:///{folder / 'mlflow.db'}"
