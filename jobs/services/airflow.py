"""Airflow's own components, each a process of ours: API server with UI, scheduler, Dag processor."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from contracts.settings import Settings
from jobs.io.commit import digest_of, write_durably
from jobs.services.keys import fernet_key, kept, key, password, secrets_path
from jobs.services.ports import LOOPBACK, Ports
from jobs.services.server import REPOSITORY, Process, Server, answers

OPERATOR = "operator"
DAGS = REPOSITORY / "dags"
PLUGINS = DAGS / "plugins"


def airflow(settings: Settings, ports: Ports, given: Mapping[str, str], dags: Path = DAGS) -> Server:
    """The embedded Airflow: two tasks at a time, one login, the pool that guards the warehouse.

    Args:
        given: settings that tasks have to see beside those in the files of the home folder.
    """
    port = ports.named("airflow_port")
    home = settings.home / "airflow"
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    secret = kept(settings, "airflow.password", password)
    write_durably(_passwords(settings), json.dumps({OPERATOR: secret}) + "\n", mode=0o600)
    environment = {**given, **configuration(settings, port, dags)}
    url = f"http://{LOOPBACK}:{port}"
    return Server(
        name="airflow",
        prepare=_preparation(settings, environment),
        processes=(
            _component(
                "api-server", environment, lambda: _serves(port), "--host", LOOPBACK, "--port", str(port)
            ),
            _component("scheduler", environment, lambda: _is_healthy(port, "scheduler"), "--skip-serve-logs"),
            _component("dag-processor", environment, lambda: _is_healthy(port, "dag_processor")),
        ),
        url=url,
        login=f"{OPERATOR} / {secret}",
        public_login=f"{OPERATOR}, password in {secrets_path(settings) / 'airflow.password'}",
        publishes={"airflow_url": url},
    )


def configuration(settings: Settings, port: int, dags: Path = DAGS) -> dict[str, str]:
    """Airflow's configuration as environment variables; secrets come from ``HOME/secrets``."""
    home = settings.home / "airflow"
    chosen: dict[str, dict[str, object]] = {
        "core": {
            "dags_folder": dags,
            "plugins_folder": PLUGINS,
            "executor": "LocalExecutor",
            "parallelism": 2,
            "load_examples": False,
            "dags_are_paused_at_creation": False,
            "fernet_key": kept(settings, "airflow.fernet_key", fernet_key),
            "simple_auth_manager_users": f"{OPERATOR}:admin",
            "simple_auth_manager_passwords_file": _passwords(settings),
            "execution_api_server_url": f"http://{LOOPBACK}:{port}/execution/",
            "hostname_callable": "socket.gethostname",  # a lookup of the full name can wait for a DNS server
        },
        "database": {"sql_alchemy_conn": _database(settings), "check_migrations": False},
        "logging": {"base_log_folder": home / "logs", "colored_console_log": False},
        "api": {
            "host": LOOPBACK,
            "port": port,
            "workers": 1,
            "base_url": f"http://{LOOPBACK}:{port}",
            "instance_name": "Foretaste",
            "secret_key": kept(settings, "airflow.api_key", key),
        },
        "api_auth": {"jwt_secret": kept(settings, "airflow.jwt_key", key)},
        # A short loop: the next task starts within a second of the one before.
        "scheduler": {
            "scheduler_heartbeat_sec": 1,
            "job_heartbeat_sec": 1,
            "scheduler_idle_sleep_time": 0.3,
            "task_instance_heartbeat_timeout": 60,
            "task_instance_heartbeat_timeout_detection_interval": 5,
            "orphaned_tasks_check_interval": 10,  # a task whose scheduler was killed is tried again within a minute
            "enable_health_check": False,
        },
        "workers": {
            # A worker that misses the end of its task looks again only after this long; the next task waits for it.
            "min_heartbeat_interval": 1,
            # A task that is due at once waits for an API server that is still starting, and does not fail.
            "execution_api_timeout": 30,
            "execution_api_retries": 20,
            "execution_api_retry_wait_max": 3,
        },
        "dag_processor": {"refresh_interval": 10, "parsing_processes": 1, "min_file_process_interval": 30},
    }
    variables = {
        f"AIRFLOW__{section.upper()}__{option.upper()}": str(value)
        for section, options in chosen.items()
        for option, value in options.items()
    }
    mail = settings.notify_smtp_url.get_secret_value()
    connections = {"AIRFLOW_CONN_SMTP_DEFAULT": mail} if mail else {}
    return {"AIRFLOW_HOME": str(home), **variables, **connections}


def _database(settings: Settings) -> str:
    return (
        settings.airflow_db_url.get_secret_value() or f"sqlite:///{settings.home / 'airflow' / 'airflow.db'}"
    )


def _passwords(settings: Settings) -> Path:
    return secrets_path(settings) / "airflow.users.json"


def _component(
    name: str, environment: Mapping[str, str], is_ready: Callable[[], bool], *arguments: str
) -> Process:
    return Process(
        name=f"airflow-{name}",
        command=(sys.executable, "-m", "airflow", name, *arguments),
        environment=environment,
        is_ready=is_ready,
        timeout=180,
        grace=3,
    )


def _preparation(settings: Settings, environment: Mapping[str, str]) -> Process | None:
    """Migrate the database and make the pool; left out when this version has done it to this SQLite file."""
    mark = settings.home / "airflow" / "prepared"
    wanted = digest_of([version("apache-airflow"), _database(settings)])
    is_own = not settings.airflow_db_url.get_secret_value()
    is_there = mark.exists() and (settings.home / "airflow" / "airflow.db").exists()
    if is_own and is_there and mark.read_text(encoding="utf-8") == wanted:
        return None
    return Process(
        name="airflow-prepare",
        command=(sys.executable, "-m", "jobs.services.airflow_database", str(mark), wanted),
        environment=environment,
        timeout=180,
    )


def _serves(port: int) -> bool:
    """Does the API answer people, and tasks? The first call from a task takes longer than a task waits: make it."""
    return _health(port) != {} and answers(port, "/execution/health")[0] == 200


def _health(port: int) -> dict[str, Any]:
    status, body = answers(port, "/api/v2/monitor/health")
    return dict(json.loads(body)) if status == 200 else {}


def _is_healthy(port: int, component: str) -> bool:
    return bool((_health(port).get(component) or {}).get("status") == "healthy")
