"""What an operator does, done in a real browser: a storm of alarms asks one question, and the answer is obeyed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from contracts.settings import Settings, load_settings
from simulator.airflow_runs import AirflowRuns, TaskRun
from simulator.operator import announce, run_note, trigger
from simulator.shop import Shop, ShopConfig
from tests.browser import Page, browser
from tests.receivers import body_of, mail_server, webhook

pytestmark = [pytest.mark.loop, pytest.mark.slow, pytest.mark.timeout(900)]

REPOSITORY = Path(__file__).resolve().parents[2]
FIRST = date(2026, 1, 5)
DAY = FIRST + timedelta(days=14)
SETTINGS = {
    "APPROVAL": "person",
    "NOTIFY": "log,webhook,email",
    "NOTIFY_EMAIL_TO": "ada@shop.example",
    "JUDGE_DAYS": "3",
    "SASREC_EPOCHS": "4",
    "SASREC_WIDTH": "16",
    "LIST_LENGTH": "20",
    "PROMOTE_MIN_USERS": "20",
    "VOLUME_MIN_DAYS": "3",
    "SCHEDULE_END": str(DAY),  # no weekly retraining: what runs here was asked for
}


def foretaste(home: Path, *arguments: str) -> str:
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("FORETASTE_", "AIRFLOW"))
    }
    done = subprocess.run(
        [sys.executable, "-m", "jobs.cli", *arguments],
        cwd=REPOSITORY, env={**environment, "FORETASTE_HOME": str(home)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, (
        f"foretaste {' '.join(arguments)}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    )
    return done.stdout


@dataclass(frozen=True)
class Told:
    """What has reached people, in the order of its coming."""

    posted: list[dict[str, Any]]  # to the webhook
    mails: list[str]


@pytest.fixture
def told(tmp_path: Path) -> Iterator[Told]:
    with webhook() as (url, posted), mail_server() as (port, mails):
        (tmp_path / "home").mkdir()
        smtp = (
            f"smtp://127.0.0.1:{port}/?disable_ssl=true&disable_tls=true&from_email=foretaste%40shop.example"
        )
        chosen = {**SETTINGS, "NOTIFY_WEBHOOK_URL": url, "NOTIFY_SMTP_URL": smtp}
        (tmp_path / "home" / "settings.env").write_text(
            "".join(f"FORETASTE_{name}={value}\n" for name, value in chosen.items())
        )
        yield Told(posted, mails)


@pytest.fixture
def home(tmp_path: Path, told: Told) -> Iterator[Path]:
    home = tmp_path / "home"
    shop = Shop(ShopConfig(seed=11, num_users=400, num_items=96, start=FIRST))
    for offset in range((DAY - FIRST).days + 1):
        shop.deliver(home / "feed", FIRST + timedelta(days=offset), published=None, version=None)
    try:
        foretaste(home, "up")
        foretaste(home, "load", "--day", str(FIRST), "--to", str(DAY))
        yield home
    finally:
        foretaste(home, "down")


def wait_for(runs: AirflowRuns, task_id: str, *states: str, number: int = 0, seconds: int = 300) -> TaskRun:
    """Wait until this task of the retraining's run of this number is in one of these states."""
    for _ in range(seconds):
        tasks = [task for task in runs.tasks() if task.dag_id == "foretaste_retrain"]
        ids = list(dict.fromkeys(task.run_id for task in tasks))
        for task in tasks:
            if ids.index(task.run_id) == number and task.task_id == task_id and task.state in states:
                return task
        time.sleep(1)
    raise AssertionError([(task.run_id, task.task_id, task.state) for task in tasks])


def wait_until_over(runs: AirflowRuns, run_id: str) -> None:
    for _ in range(120):
        if runs.states("foretaste_retrain")[run_id] in ("success", "failed"):
            return
        time.sleep(1)
    raise AssertionError(f"{run_id} is not over")


def log_in(page: Page, settings: Settings) -> None:
    page.go(f"{settings.airflow_url}/auth/login")
    page.fill("input[name=username]", "operator")
    page.fill("input[name=password]", (settings.home / "secrets" / "airflow.password").read_text().strip())
    page.click("Sign in")
    assert page.says("Dags"), page.text()


def ring(settings: Settings) -> None:
    """Announce the alarm as the monitor does; Airflow on SQLite is too busy for a request now and then."""
    for attempt in range(5):
        try:
            announce(settings, "Drift alarm", {"day": str(DAY), "reasons": ["tastes lost 40%"]})
        except requests.HTTPError as error:
            if error.response.status_code < 500:
                raise
            time.sleep(attempt)
        else:
            return
    raise AssertionError("Airflow takes no alarm")


def test_a_storm_of_alarms_asks_one_question_that_a_person_answers_in_the_browser(
    home: Path, told: Told, tmp_path: Path
) -> None:
    settings = load_settings(home=home)
    runs = AirflowRuns(settings)
    with browser(tmp_path / "browser") as page:
        # The trigger form refuses what no run could use.
        for wrong in ({"day": "tomorrow"}, {"day": 5}, {"reason": "x"}):
            with pytest.raises(requests.HTTPError, match="400"):
                trigger(settings, "foretaste_retrain", wrong)

        for _ in range(20):
            ring(settings)
        waiting = wait_for(runs, "request_approval", "awaiting_input")
        assert waiting.run_type == "asset_triggered"
        assert (
            run_note(settings, "foretaste_retrain", waiting.run_id)
            == f"Why: drift alarm of {DAY}: tastes lost 40%"
        )
        status = json.loads(foretaste(home, "status", "--json"))
        assert status["champion"] is None
        assert status["retrainings"][-1]["approval"]["answer"] == "waiting"

        # From the message and the start page to the question, and to its evidence one click away.
        [message] = [message for message in told.posted if message["kind"] == "approval-waiting"]
        for link in (message["page_url"], message["runbook_url"]):
            assert requests.get(link, timeout=10).status_code == 200, link
        log_in(page, settings)
        page.go(message["runbook_url"].replace("runbook/approval-waiting", "start"))
        assert page.says("waits for a person"), page.text()
        page.click("Answer in Airflow")
        page.click("May challenger 1")
        assert page.says(f"Why it was trained: drift alarm of {DAY}: tastes lost 40%"), page.text()
        question = page.evaluate("location.href")
        page.go(page.links()["The retraining's page"])
        assert page.says("has passed its judgement and waits for a person"), page.text()

        page.go(question)
        page.fill("[name=element_note]", "the figures are good")
        page.click("Approve")
        assert page.says("response successful"), page.text()

    wait_until_over(runs, waiting.run_id)
    status = json.loads(foretaste(home, "status", "--json"))
    assert status["champion"]["version"] == "1"
    assert status["published"]["champion"] == "1"
    answer = status["retrainings"][-1]["approval"]
    assert (answer["answer"], answer["by"], answer["note"]) == (
        "approved",
        "operator",
        "the figures are good",
    )
    note = run_note(settings, "foretaste_retrain", waiting.run_id)
    assert "Model 1 became the champion" in note
    assert f"Published {status['published']['version']}" in note

    # The same message came by mail, through Airflow's connection.
    [mail] = [body_of(mail) for mail in told.mails if message["runbook_url"] in body_of(mail)]
    assert f"Why: {message['why']}" in mail
    assert message["page_url"] in mail

    # What was left of the storm starts nothing more.
    later = wait_for(runs, "prepare_retraining", "skipped", number=1)
    wait_until_over(runs, later.run_id)
    assert "has been begun already" in run_note(settings, "foretaste_retrain", later.run_id)
    assert len(json.loads(foretaste(home, "status", "--json"))["retrainings"]) == 1
