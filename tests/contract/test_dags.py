"""The Dags parse fast, read like the steps of the CLI, and nothing in them is an orphan."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from contracts.tables import TABLES
from jobs.steps import DAILY_STEPS, RETRAIN_STEPS, STEPS

pytestmark = [
    pytest.mark.contract,
    # Airflow's own modules warn about its own changes.
    pytest.mark.filterwarnings("ignore"),
]

DAGS = Path(__file__).resolve().parents[2] / "dags"


@pytest.fixture
def dags(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setenv("FORETASTE_HOME", str(tmp_path))
    monkeypatch.setenv("FORETASTE_SCHEDULE_START", "2011-03-01")
    monkeypatch.setenv("FORETASTE_SCHEDULE_END", "2011-03-02")
    monkeypatch.syspath_prepend(str(DAGS))
    for name in ("dag_kit", "foretaste_daily", "foretaste_retrain"):
        sys.modules.pop(name, None)
    modules = [importlib.import_module(name) for name in ("foretaste_daily", "foretaste_retrain")]
    # The decorated function is called at the end of each file; calling it again gives the same Dag.
    return {dag.dag_id: dag for dag in (getattr(module, module.__name__)() for module in modules)}


def step_tasks(dag: Any) -> list[str]:
    return [task.step for task in dag.topological_sort() if hasattr(task, "step")]


def test_every_step_is_a_task_in_the_order_of_the_cli(dags: dict[str, Any]) -> None:
    assert step_tasks(dags["foretaste_daily"]) == [step.name for step in DAILY_STEPS]
    assert step_tasks(dags["foretaste_retrain"]) == [step.name for step in RETRAIN_STEPS]


def test_a_task_is_named_as_its_step(dags: dict[str, Any]) -> None:
    for dag in dags.values():
        for task in dag.tasks:
            if hasattr(task, "step"):
                assert task.task_id == task.step.replace("-", "_")
                assert task.step in STEPS


def test_whoever_opens_the_duckdb_file_waits_in_its_pool(dags: dict[str, Any]) -> None:
    daily = dags["foretaste_daily"]
    pooled = {task.task_id for task in daily.tasks if task.pool == "warehouse"}
    assert pooled == {"land", "transform", "monitor"}


def test_every_dag_has_an_owner_tags_params_with_descriptions_and_a_page_for_the_person_on_call(
    dags: dict[str, Any],
) -> None:
    for dag in dags.values():
        assert {tag.split(":")[0] for tag in dag.tags} == {"tier", "owner", "data"}
        assert "on call" in dag.doc_md or "skipped" in dag.doc_md or "red" in dag.doc_md
        assert dag.max_active_runs == 1
        for name in dag.params:
            assert dag.params.get_param(name).description


def test_the_alarm_that_daily_rings_wakes_the_retraining(dags: dict[str, Any]) -> None:
    rung = {outlet.uri for task in dags["foretaste_daily"].tasks for outlet in task.outlets}
    waking = {asset.uri for asset in dags["foretaste_retrain"].timetable.asset_condition.objects}
    assert waking <= rung
    assert waking == {"foretaste://loop/drift_alarm"}


def test_only_gates_announce_tables(dags: dict[str, Any]) -> None:
    for dag in dags.values():
        for task in dag.tasks:
            for outlet in task.outlets:
                is_table = outlet.uri.removeprefix("foretaste://") in TABLES
                assert not is_table or task.task_id.startswith("validate_"), (task.task_id, outlet.uri)


def test_a_refusal_is_final_and_a_transient_error_is_not(dags: dict[str, Any]) -> None:
    from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException

    task = dags["foretaste_daily"].get_task("publish")
    assert task._result(0, '{"published": true}') == {"published": True}
    with pytest.raises(AirflowFailException, match="GateRefused"):
        task._result(3, "GateRefused: too many rows")
    with pytest.raises(AirflowSkipException):
        task._result(99, "nothing to do")
    for code in (75, -9, 143):
        with pytest.raises(AirflowException) as raised:
            task._result(code, "ServiceUnreachable: redis")
        assert not isinstance(raised.value, AirflowFailException)
    assert task.retries > 0
    assert task.retry_exponential_backoff


@pytest.mark.parametrize(
    ("code", "is_there"), [(0, True), (99, False), (75, False), (-9, False), (143, False)]
)
def test_a_look_for_the_delivery_says_yes_or_is_repeated(
    dags: dict[str, Any], monkeypatch: pytest.MonkeyPatch, code: int, is_there: bool
) -> None:
    assert look(dags, monkeypatch, code) is is_there


def test_a_feed_that_is_wrong_is_told_at_once(dags: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    with pytest.raises(AirflowFailException, match=r"FeedInvalid: feed\.json"):
        look(dags, monkeypatch, 1)


def test_looks_that_a_busy_scheduler_has_lost_are_repeated_as_soon_as_any(dags: dict[str, Any]) -> None:
    wait = dags["foretaste_daily"].get_task("wait_for_delivery")
    assert wait.mode == "reschedule"
    assert wait.retries >= 20
    assert wait.retry_delay.total_seconds() == wait.poke_interval
    assert not wait.retry_exponential_backoff


def look(dags: dict[str, Any], monkeypatch: pytest.MonkeyPatch, code: int) -> bool:
    wait = dags["foretaste_daily"].get_task("wait_for_delivery")
    done = subprocess.CompletedProcess(
        [], code, "", "FeedInvalid: feed.json has no shop" if code == 1 else ""
    )
    monkeypatch.setattr(subprocess, "run", lambda *arguments, **options: done)
    return bool(wait.poke({"params": {"day": "2011-03-01"}}))


def test_parsing_a_dag_imports_nothing_heavy(tmp_path: Path) -> None:
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); import foretaste_daily, foretaste_retrain\n"
        "print(*sorted({'torch', 'pandas', 'mlflow', 'pyspark', 'duckdb', 'evidently', 'dbt'} & set(sys.modules)))"
    )
    environment = {"FORETASTE_HOME": str(tmp_path), "AIRFLOW_HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    parsed = subprocess.run(
        [sys.executable, "-c", program, str(DAGS)],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    assert parsed.stdout.split() == []
