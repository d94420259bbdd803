"""The Dags parse fast, read like the steps of the CLI, and nothing in them is an orphan."""

from __future__ import annotations

import importlib
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from contracts.alarms import TITLES
from contracts.tables import TABLES
from jobs.steps import DAILY_STEPS, REQUEST_APPROVAL, RETRAIN_STEPS, STEPS

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
    return parsed(monkeypatch)


@pytest.fixture
def approved_by_a_person(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("FORETASTE_HOME", str(tmp_path))
    monkeypatch.setenv("FORETASTE_APPROVAL", "person")
    monkeypatch.setenv("FORETASTE_APPROVAL_HOURS", "2")
    return parsed(monkeypatch)["foretaste_retrain"]


def parsed(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.syspath_prepend(str(DAGS))
    for path in DAGS.glob("*.py"):
        sys.modules.pop(path.stem, None)
    modules = [importlib.import_module(name) for name in ("foretaste_daily", "foretaste_retrain")]
    # The decorated function is called at the end of each file; calling it again gives the same Dag.
    return {dag.dag_id: dag for dag in (getattr(module, module.__name__)() for module in modules)}


def step_tasks(dag: Any) -> list[str]:
    return [task.step for task in dag.topological_sort() if hasattr(task, "step")]


def test_every_step_is_a_task_in_the_order_of_the_cli(dags: dict[str, Any]) -> None:
    assert step_tasks(dags["foretaste_daily"]) == [step.name for step in DAILY_STEPS]
    assert step_tasks(dags["foretaste_retrain"]) == [step.name for step in RETRAIN_STEPS]


def test_a_person_is_asked_between_training_and_promotion(approved_by_a_person: Any) -> None:
    names = [step.name for step in RETRAIN_STEPS]
    names.insert(names.index("promote"), REQUEST_APPROVAL.name)
    assert step_tasks(approved_by_a_person) == names
    ask = approved_by_a_person.get_task("request_approval")
    assert ask.options == ["Approve", "Decline"]
    assert ask.defaults == ["Decline"]  # what no answer means
    assert ask.response_timeout.total_seconds() == 2 * 3600
    assert list(ask.params) == ["note"]
    assert ask.upstream_task_ids == {"train"}
    assert ask.downstream_task_ids == {"promote"}


class Asked:
    """What a task of the approval finds, and what it leaves."""

    def __init__(self) -> None:
        self.left: dict[str, Any] = {}
        self.dag_id, self.task_id = "foretaste_retrain", "request_approval"

    def xcom_push(self, *, key: str, value: Any) -> None:
        self.left[key] = value

    def xcom_pull(self, *, task_ids: str, key: str) -> Any:
        return self.left.get(key)


@pytest.mark.parametrize(
    ("option", "user", "note", "told"),
    [
        ("Approve", "ada", "good figures", "--note, good figures, --by, ada"),
        ("Decline", "ada", None, "--note, , --decline, --by, ada"),
        ("Decline", None, "x", "--note, , --unanswered, --by, nobody"),
    ],
)
def test_an_answer_is_recorded_with_whose_it_is(
    approved_by_a_person: Any,
    monkeypatch: pytest.MonkeyPatch,
    option: str,
    user: str | None,
    note: str,
    told: str,
) -> None:
    ask, called = approved_by_a_person.get_task("request_approval"), []

    def run(command: list[str], **options: Any) -> Any:
        called.append(command)
        return subprocess.CompletedProcess(command, 0, '{"answer": "a", "told": "in words"}\n', "")

    monkeypatch.setattr(subprocess, "run", run)
    event = {
        "chosen_options": [option],
        "params_input": {"note": note},
        "responded_at": datetime(2026, 1, 21, tzinfo=UTC),
        "responded_by_user": user and {"id": "1", "name": user},
        "timedout": user is None,
    }
    context = {"ti": Asked(), "params": {"day": "2026-01-20"}}
    assert ask.execute_complete(context, event)["why"] == "in words"
    assert ", ".join(called[0][3:]) == f"approve, --answer-only, --day, 2026-01-20, {told}"


def test_nobody_is_waited_for_about_a_challenger_that_asks_nobody(
    approved_by_a_person: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = approved_by_a_person.get_task("request_approval")
    monkeypatch.setattr(ask, "_run", lambda command: {"asks": False, "why": "refused"})
    context = {"ti": Asked(), "params": {"day": "2026-01-20"}, "dag_run": SimpleNamespace(run_id="r")}
    assert ask.execute(context) == {"asks": False, "why": "refused"}


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


def test_every_param_has_a_type_a_title_and_bounds_that_refuse_what_is_wrong(dags: dict[str, Any]) -> None:
    from airflow.sdk.exceptions import ParamValidationError

    wrong = {"day": "tomorrow", "accept_reason": "x", "reason": ""}
    for dag in dags.values():
        for name in dag.params:
            param = dag.params.get_param(name)
            assert param.schema["type"]
            assert param.schema["title"]
            assert not param.schema["title"].islower()
            param.resolve()  # what stands there by default is right
            with pytest.raises(ParamValidationError):
                param.resolve(wrong[name])


def test_every_alarm_is_told_of_on_the_page_of_a_dag_and_leads_to_its_runbook(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORETASTE_HOME", str(tmp_path))
    monkeypatch.setenv("FORETASTE_REPORTS_URL", "http://reports")
    told = "".join(dag.doc_md for dag in parsed(monkeypatch).values())
    assert [kind for kind in TITLES if f"(http://reports/runbook/{kind}.html)" not in told] == []


def test_every_failure_is_told_and_so_is_what_needs_somebody(dags: dict[str, Any]) -> None:
    for dag in dags.values():
        for task in dag.tasks:
            assert [type(callback).__name__ for callback in task.on_failure_callback] == ["AlarmNotifier"]
    [refused] = dags["foretaste_retrain"].get_task("promote").on_skipped_callback
    assert refused.kind == "challenger-refused"
    for task_id in ("monitor", "score"):
        assert len(dags["foretaste_daily"].get_task(task_id).on_success_callback) == 1


def test_the_asset_graph_shows_for_every_asset_who_makes_it_and_who_reads_it(dags: dict[str, Any]) -> None:
    tasks = [task for dag in dags.values() for task in dag.tasks]
    made = {outlet.uri: outlet for task in tasks for outlet in task.outlets}
    read = {inlet.uri for task in tasks for inlet in task.inlets} | {"foretaste://loop/drift_alarm"}
    assert set(made) == read
    assert {asset.group for asset in made.values()} == {
        "raw",
        "features",
        "training",
        "recommendations",
        "loop",
    }


@pytest.mark.parametrize(
    ("run_id", "alarms", "asked"),
    [
        ("asset_triggered__1", [{"day": "2026-01-20", "reasons": ["moved"]}], ("drift alarm of 2026-01-20: moved", "alarm")),
        ("scheduled__1", [], ("weekly", "schedule")),
        ("manual__1", [], ("I want to", "person")),
    ],
)  # fmt: skip
def test_a_retraining_carries_its_reason_and_who_asked_for_it(
    dags: dict[str, Any], run_id: str, alarms: list[dict[str, Any]], asked: tuple[str, str]
) -> None:
    import dag_kit

    events = {"alarm": [SimpleNamespace(extra=extra) for extra in alarms]}
    context = {
        "triggering_asset_events": events,
        "dag_run": SimpleNamespace(run_id=run_id),
        "params": {"reason": "I want to"},
    }
    assert dag_kit._why(context) == asked


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
