"""The container files say what the rest of the repository says; no engine is needed to see that they do."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from contracts.settings import Settings

pytestmark = pytest.mark.contract

REPOSITORY = Path(__file__).resolve().parents[2]
DOCKER = REPOSITORY / "docker"
#: Programs of images that are not ours, and of the shell.
_FOREIGN = ("valkey-server", "server", "/bin/bash")


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    services: dict[str, Any] = yaml.safe_load((DOCKER / "compose.yml").read_text())["services"]
    return services


def variables_of(text: str) -> set[str]:
    """What compose fills in; two dollars are one for the shell inside."""
    return set(re.findall(r"(?<!\$)\$\{([A-Z_0-9]+)", text))


def test_every_variable_is_explained_and_every_explained_one_is_used() -> None:
    example = (DOCKER / ".env.example").read_text()
    told = set(re.findall(r"^([A-Z_0-9]+)=", example, flags=re.MULTILINE))
    assert variables_of((DOCKER / "compose.yml").read_text()) == told


def test_compose_refuses_to_start_without_a_value() -> None:
    text = (DOCKER / "compose.yml").read_text()
    assert {name for name in variables_of(text) if f"${{{name}:?" not in text} == set()


def test_what_containers_are_told_are_settings(services: dict[str, Any]) -> None:
    known = {f"FORETASTE_{name.upper()}" for name in Settings.model_fields}
    told = {
        name
        for service in services.values()
        for name in service.get("environment", {})
        if name.startswith("FORETASTE_")
    }
    assert {"FORETASTE_WAREHOUSE_URL", "FORETASTE_REDIS_URL", "FORETASTE_SPARK_MASTER"} <= told
    assert told - known == set()


def test_only_this_machine_reaches_a_port(services: dict[str, Any]) -> None:
    ports = [port for service in services.values() for port in service.get("ports", [])]
    assert len(ports) >= 3
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []


def test_every_program_that_a_container_starts_is_in_the_environment(services: dict[str, Any]) -> None:
    programs = {
        (service.get("entrypoint") or service.get("command") or ["foretaste"])[0]
        for service in services.values()
    }
    ours = programs - set(_FOREIGN)
    assert {"airflow", "mlflow", "spark-class"} <= ours
    folder = str(Path(sys.executable).parent)
    assert [program for program in ours if not shutil.which(program, path=folder)] == []


def test_every_service_that_is_waited_for_exists_and_can_be_waited_for(services: dict[str, Any]) -> None:
    for name, service in services.items():
        waited = service.get("depends_on", {})
        for other in waited:
            assert other in services, (name, other)
            condition = waited[other]["condition"] if isinstance(waited, dict) else "service_started"
            assert condition != "service_healthy" or "healthcheck" in services[other], (name, other)


def test_the_image_holds_the_rooms_that_are_shipped_and_nothing_of_the_outside_world() -> None:
    copied = set(re.findall(r"^COPY (\w+) \1$", (DOCKER / "Dockerfile").read_text(), flags=re.MULTILINE))
    project = (REPOSITORY / "pyproject.toml").read_text()
    packages = re.search(r"^packages = \[(.*)\]$", project, flags=re.MULTILINE)
    assert packages is not None
    rooms = set(re.findall(r'"(\w+)"', packages[1])) | {"dags", "dbt_project"}
    assert copied == rooms - {"simulator"}


def test_the_readme_names_every_variable_and_every_published_port(services: dict[str, Any]) -> None:
    text = (DOCKER / "README.md").read_text()
    for port in (port for service in services.values() for port in service.get("ports", [])):
        assert f"http://localhost:{port.split(':')[1]}" in text
    for name in variables_of((DOCKER / "compose.yml").read_text()):
        assert name in text or name.startswith("S3_"), name


def test_two_spark_workers_have_the_lake_and_foretaste_where_the_driver_has_them(
    services: dict[str, Any],
) -> None:
    """Tasks are given paths: docs/spark.md says that workers reach the lake through a shared mount."""
    driver, worker = services["airflow-scheduler"], services["spark-worker"]
    assert worker["deploy"]["replicas"] == 2
    for shared in ("image", "volumes"):
        assert worker[shared] == driver[shared], shared
    home = driver["environment"]["FORETASTE_HOME"]
    assert f"state:{home}" in worker["volumes"]
    assert "shared mount" in (REPOSITORY / "docs" / "spark.md").read_text()


def test_a_spark_worker_has_the_memory_that_an_executor_asks_for(services: dict[str, Any]) -> None:
    command = services["spark-worker"]["command"]
    given = command[command.index("--memory") + 1]
    told = services["airflow-scheduler"]["environment"].get("FORETASTE_SPARK_MEMORY")
    asked = told or Settings.model_fields["spark_memory"].default
    assert given[-1] == asked[-1] == "g"
    assert int(given[:-1]) >= int(asked[:-1])
