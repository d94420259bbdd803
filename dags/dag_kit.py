"""The whole vocabulary of our Dags: ``step(name)`` → a task, ``asset(table)`` → an Asset.

A task calls its step by name, in a fresh process of this environment, and hands the day over as an
argument. The step's exit code says what its failure means: a refusal is final, what is transient is
tried again.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import Asset, BaseOperator, BaseOperatorLink, BaseSensorOperator, Context, Param
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException
from airflow.sdk.execution_time.xcom import XCom

from contracts import alarms, names
from contracts.errors import EXIT_NOTHING_TO_DO, EXIT_REFUSED, EXIT_TRY_AGAIN
from contracts.settings import load_settings

REPOSITORY = Path(__file__).resolve().parent.parent
SETTINGS = load_settings()

WAREHOUSE_POOL = "warehouse"
_TIMEOUT = timedelta(hours=4)
#: Under this key a task that did not succeed leaves its reason.
WHY = "why"
#: Looks for a delivery that may get lost before the wait has failed.
_LOST_LOOKS = 50

RETRYING: dict[str, Any] = {
    "owner": "foretaste",
    "retries": SETTINGS.retries,
    "retry_delay": timedelta(seconds=SETTINGS.retry_seconds),
    "retry_exponential_backoff": 2.0,
    "max_retry_delay": timedelta(minutes=30),
    "execution_timeout": _TIMEOUT,
}

DAY_PARAM = Param(
    None,
    type=["null", "string"],
    format="date",
    title="Day",
    description="The UTC day to run, YYYY-MM-DD. Empty: the day of the run's data interval, or the alarm's.",
)
ACCEPT_PARAM = Param(
    None,
    type=["null", "string"],
    minLength=3,
    maxLength=500,
    title="Accept a refused delivery, because",
    description="Lets a missing, dirty or oddly sized delivery through this once. The reason is recorded with the day.",
)
REASON_PARAM = Param(
    "by hand",
    type="string",
    minLength=3,
    maxLength=500,
    title="Reason",
    description="Why this retraining is started by hand; it is recorded with the verdict.",
)

_TITLES = {
    names.RAW_EVENTS: "Landed events",
    names.FEAT_USER_DAILY: "User features",
    names.FEAT_ITEM_DAILY: "Item features",
    names.SEQUENCES: "Training set",
    names.LISTS: "Ranked lists",
    names.DRIFT_ALARM: "Drift alarm",
    names.CHAMPION_MODEL: "Champion model",
    names.PUBLISHED_LISTS: "Published lists",
}


def asset(table: str) -> Asset:
    """The asset of a table (or of the alarm, the champion, the live pointer), by its human name and in its layer."""
    uri = names.asset_uri(table)
    return Asset(name=_TITLES[table], uri=uri, group=uri.removeprefix("foretaste://").split("/")[0])


class _ResultLink(BaseOperatorLink):
    """A link to a page that the step named in its result."""

    name = "Result"
    result_key = ""

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        result = XCom.get_value(ti_key=ti_key, key="return_value") or {}
        return str(result.get(self.result_key, ""))


class RunLink(_ResultLink):
    """The MLflow run of a training."""

    name = "MLflow run"
    result_key = "mlflow_url"


class PageLink(_ResultLink):
    """The page of a validation, a day or a retraining."""

    name = "Report"
    result_key = "page_url"


class DriftLink(_ResultLink):
    """Evidently's full report of a day."""

    name = "Drift report"
    result_key = "drift_url"


def _is_transient(code: int) -> bool:
    """Is it worth another try? Killed, or ended by a signal (128 + its number): nobody knows why, so it is."""
    return code == EXIT_TRY_AGAIN or code < 0 or code >= 128


class StepRefused(AirflowFailException):
    """A gate said no: final, and an alarm of its own."""


class StepOperator(BaseOperator):
    """Runs one step of Foretaste in a process of its own, for the day that the run describes."""

    template_fields: Sequence[str] = ()
    operator_extra_links = (RunLink(), PageLink(), DriftLink())
    ui_color = "#e8f0e4"

    def __init__(self, *, step: str, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.step = step

    def execute(self, context: Context) -> dict[str, Any]:
        """Run the step; its last line of output is its result."""
        params = context["params"]
        command = ["step", self.step, "--day", str(day_of(context)), "--run-id", context["dag_run"].run_id]
        if self.step == "land" and params.get("accept_reason"):
            command += ["--accept", params["accept_reason"]]
        if self.step == "prepare-retraining":
            reason, trigger = _why(context)
            command += ["--reason", reason, "--trigger", trigger]
        try:
            return self._run(command)
        except AirflowException as error:
            # For the run's note and for the alarm: what and why, without what the line says is served and done next.
            context["ti"].xcom_push(key=WHY, value=str(error).removeprefix("nothing to do: ").split(" | ")[0])
            raise

    def _run(self, command: list[str]) -> dict[str, Any]:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "jobs.cli", *command],
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        last = ""
        try:
            assert self._process.stdout is not None
            for line in self._process.stdout:
                last = line.rstrip() or last
                self.log.info("%s", line.rstrip())
            code = self._process.wait()
        finally:
            self.on_kill()
        return self._result(code, last)

    def _result(self, code: int, last: str) -> dict[str, Any]:
        if code == 0:
            result: dict[str, Any] = json.loads(last)
            return result
        if code == EXIT_NOTHING_TO_DO:
            raise AirflowSkipException(last)
        if _is_transient(code):
            raise AirflowException(
                last if code > 0 else f"{self.step} was killed by signal {-code}; it is run again"
            )
        if code == EXIT_REFUSED:
            raise StepRefused(last)
        raise AirflowFailException(f"{last} (exit {code})")

    def on_kill(self) -> None:
        """End the step with its task: a zombie would go on writing until its fence stops it."""
        process = getattr(self, "_process", None)
        if process is not None and process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()


class DeliverySensor(BaseSensorOperator):
    """Waits for the day's delivery without holding a worker; an accepted day waits for nothing."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(
            mode="reschedule",
            poke_interval=SETTINGS.delivery_poll_seconds,
            timeout=SETTINGS.delivery_timeout_hours * 3600,
            # A look that Airflow has lost is no failure: the next one is as near as it would have been. (A scheduler
            # that is busy may queue the next look before it hears that the last has ended, and counts that as failed.)
            retries=_LOST_LOOKS,
            retry_delay=timedelta(seconds=SETTINGS.delivery_poll_seconds),
            retry_exponential_backoff=0,
            **arguments,
        )

    def poke(self, context: Context) -> bool:
        """Is the delivery complete, or none expected?"""
        if context["params"].get("accept_reason"):
            return True
        command = [sys.executable, "-m", "jobs.cli", "feed", "is-complete", "--day", str(day_of(context))]
        checked = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
        told, code = (checked.stdout + checked.stderr).strip(), checked.returncode
        if _is_transient(code):
            self.log.warning("%s (exit %d): the feed is looked at again", told, code)
            return False
        self.log.info("%s", told)
        if code not in (0, EXIT_NOTHING_TO_DO):
            raise AirflowFailException(checked.stderr.strip())
        return code == 0


def step(
    name: str,
    *,
    reads: Sequence[str] = (),
    writes: Sequence[str] = (),
    opens_warehouse: bool = False,
    operator: type[StepOperator] = StepOperator,
    **arguments: Any,
) -> StepOperator:
    """A task that runs the step ``name``; ``writes`` are the tables that are announced when it has passed, and ``reads``
    those that it stands on: the asset graph shows both."""
    pool = {"pool": WAREHOUSE_POOL} if opens_warehouse and SETTINGS.is_warehouse_embedded else {}
    return operator(
        task_id=name.replace("-", "_"),
        step=name,
        inlets=[asset(table) for table in reads],
        outlets=[asset(table) for table in writes],
        **pool,
        **arguments,
    )


def day_of(context: Context) -> date:
    """The day that a run describes: its param, else the alarm's, else the day its data interval ended on."""
    given = context["params"].get("day")
    if given:
        return date.fromisoformat(given)
    if rung := _alarms(context):
        return max(date.fromisoformat(alarm["day"]) for alarm in rung)
    end = context.get("data_interval_end")
    if end is None:
        raise AirflowFailException(
            "this run has no data interval: trigger it again with the param 'day' (YYYY-MM-DD)"
        )
    return end.date() - timedelta(days=1)


def _alarms(context: Context) -> list[dict[str, Any]]:
    """What the alarms that have started this run carry: their days and reasons."""
    events = (context.get("triggering_asset_events") or {}).values()
    return [event.extra for group in events for event in group]


def _why(context: Context) -> tuple[str, str]:
    """Why a retraining runs, and who asks for it: the alarm, the schedule or a person."""
    if rung := _alarms(context):
        return alarms.reason_of_alarms(rung), "alarm"
    if context["dag_run"].run_id.startswith("scheduled__"):
        return "weekly", "schedule"
    return str(context["params"]["reason"]), "person"


def runbook(*kinds: str) -> str:
    """A Dag's own alarms, each with a link to what to do about it; in Markdown, for the Dag's page."""
    pages = [
        f"* [{alarms.TITLES[kind]}]({SETTINGS.reports_url}/{alarms.runbook_page(kind)})"
        if SETTINGS.reports_url
        else f"* {alarms.TITLES[kind]}: `docs/runbook/{kind}.md`"
        for kind in kinds
    ]
    return "\n".join(["", "", "#### What to do when an alarm rings", "", *pages, ""])


def midnight(day: str) -> datetime:
    """A day of the settings as the UTC instant at which it begins."""
    return datetime.combine(date.fromisoformat(day), time(), UTC)
