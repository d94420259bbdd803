"""The notifier tells Airflow's failures, refusals and verdicts, and its e-mail goes through Airflow's own."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from contracts import alarms
from contracts.settings import load_settings
from jobs.io.state import ALARMS, State
from tests.receivers import body_of, mail_server

pytestmark = [pytest.mark.contract, pytest.mark.filterwarnings("ignore")]

DAGS = Path(__file__).resolve().parents[2] / "dags"


@pytest.fixture
def notifier(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("FORETASTE_HOME", str(tmp_path))
    monkeypatch.setenv("FORETASTE_NOTIFY", "log,email")
    monkeypatch.setenv("FORETASTE_NOTIFY_EMAIL_TO", "ada@shop.example, bob@shop.example")
    monkeypatch.syspath_prepend(str(DAGS))
    for name in ("dag_kit", "foretaste_notifier"):
        sys.modules.pop(name, None)
    return importlib.import_module("foretaste_notifier")


def context_of(task_id: str, error: BaseException | None = None, **left: Any) -> dict[str, Any]:
    task = SimpleNamespace(
        task_id=task_id,
        dag_id="foretaste_daily",
        log_url="http://airflow/log",
        xcom_pull=lambda *, task_ids, key: left.get(key),
    )
    return {"ti": task, "params": {"day": "2026-01-20"}, "exception": error}


def test_each_failure_is_the_alarm_that_its_runbook_is_about(notifier: Any) -> None:
    from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSensorTimeout
    from dag_kit import StepRefused

    for task_id, error, kind in (
        ("wait_for_delivery", AirflowSensorTimeout("late"), alarms.DELIVERY_MISSING),
        ("wait_for_delivery", AirflowFailException("FeedInvalid"), alarms.LANDING_REFUSED),
        ("land", StepRefused("DayRefused"), alarms.LANDING_REFUSED),
        ("land", AirflowException("ServiceUnreachable"), alarms.STEP_FAILED),
        ("validate_features", StepRefused("GateRefused"), alarms.GATE_REFUSED),
        ("train", StepRefused("GateRefused"), alarms.GATE_REFUSED),
        ("train", AirflowFailException("out of memory"), alarms.STEP_FAILED),
        ("publish", AirflowException("StoreUnfit"), alarms.PUBLISH_FAILED),
        ("publish_challenger", AirflowException("StoreUnfit"), alarms.PUBLISH_FAILED),
    ):
        assert notifier.kind_of(task_id, error) == kind, (task_id, error)


def test_an_alarm_of_a_step_reaches_people_by_mail_and_keeps_its_cool_down(
    notifier: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = {
        "alarms": [{"kind": "drift", "why": "moved {{ 7 * 6 }} <b>bits</b>"}],
        "page_url": "http://reports/d",
    }
    with mail_server() as (port, mails):
        monkeypatch.setenv(
            "AIRFLOW_CONN_SMTP_DEFAULT",
            f"smtp://127.0.0.1:{port}/?disable_ssl=true&disable_tls=true&from_email=foretaste%40shop.example",
        )
        for _ in range(2):
            notifier.AlarmNotifier().notify(context_of("monitor", return_value=result))
    [mail] = mails
    assert "To: ada@shop.example, bob@shop.example" in mail
    assert "From: foretaste@shop.example" in mail
    assert "drifted (2026-01-20)" in mail
    # Data is never rendered.
    assert "Why: moved {{ 7 * 6 }} &lt;b&gt;bits&lt;/b&gt;" in body_of(mail)
    held = State.of(load_settings(home=tmp_path)).get(ALARMS, "drift/foretaste_daily")
    assert held is not None
    assert held["held_back"] == 1


def test_a_mail_shows_what_data_says_and_runs_none_of_it(notifier: Any) -> None:
    mail = notifier.email_of({"subject": "s", "text": "Why: {{ 7 * 6 }} <b>x</b>"})
    assert mail.html_content == "Why: {{ 7 * 6 }} &lt;b&gt;x&lt;/b&gt;"
    assert mail.to == ["ada@shop.example", "bob@shop.example"]


def test_a_failure_carries_what_the_step_has_left(notifier: Any) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    failed = context_of(
        "train", AirflowFailException("x | still served: v1 | next: y"), why="PartitionMissing: x"
    )
    assert notifier.AlarmNotifier()._rung(failed) == [{"kind": "step-failed", "why": "PartitionMissing: x"}]
    refused = context_of("promote", None, why="challenger 2 is refused")
    assert notifier.AlarmNotifier(alarms.CHALLENGER_REFUSED)._rung(refused) == [
        {"kind": "challenger-refused", "why": "challenger 2 is refused"}
    ]
    assert notifier.AlarmNotifier()._rung(context_of("monitor", return_value={"alarms": []})) == []
    demoted = context_of("score", return_value={"demotion": "champion 3 is demoted, 2 takes over"})
    assert notifier.AlarmNotifier()._rung(demoted) == [
        {"kind": "rollback", "why": "champion 3 is demoted, 2 takes over"}
    ]
