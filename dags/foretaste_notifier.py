"""Tells people of alarms: one notifier for failures, refusals and what a step's result says has rung.

``foretaste notify`` keeps the cool-down and does the log and the webhook; the e-mail goes through Airflow's own
notifier and its connection.
"""

from __future__ import annotations

import html
import json
import subprocess
import sys
from typing import Any

from airflow.providers.smtp.notifications.smtp import SmtpNotifier
from airflow.sdk import BaseNotifier, Context
from airflow.sdk.exceptions import AirflowException, AirflowSensorTimeout
from dag_kit import REPOSITORY, SETTINGS, WHY, StepRefused, day_of

from contracts import alarms
from contracts.errors import EXIT_NOTHING_TO_DO

_SECONDS = 60


class AlarmNotifier(BaseNotifier):
    """Tells an alarm of its kind; without one, of what the task's failure or its result says."""

    def __init__(self, kind: str = "") -> None:
        super().__init__()
        self.kind = kind

    def notify(self, context: Context) -> None:
        """Tell each alarm of the task that has just ended, or is about to wait."""
        for rung in self._rung(context):
            self._tell(context, rung)

    def _rung(self, context: Context) -> list[dict[str, str]]:
        result = _left_by(context, "return_value")
        result = result if isinstance(result, dict) else {}
        if self.kind:
            why = _left_by(context, WHY) or result.get("why") or alarms.TITLES[self.kind]
            return [{"kind": self.kind, "why": str(why)}]
        error = context.get("exception")
        if error is not None:
            why = _left_by(context, WHY) or str(error) or type(error).__name__
            return [{"kind": kind_of(context["ti"].task_id, error), "why": str(why)}]
        demotion = result.get("demotion")
        demoted = [{"kind": alarms.ROLLBACK, "why": str(demotion)}] if demotion else []
        return [*result.get("alarms", []), *demoted]

    def _tell(self, context: Context, rung: dict[str, str]) -> None:
        page = (
            rung.get("page_url")
            or (_left_by(context, "return_value") or {}).get("page_url")
            or _log_of(context)
        )
        source = (
            f"{context['ti'].dag_id}.{context['ti'].task_id}"
            if rung["kind"] in _BY_TASK
            else context["ti"].dag_id
        )
        told = subprocess.run(
            [
                *(sys.executable, "-m", "jobs.cli", "notify", rung["kind"], "--source", source),
                *("--why", rung["why"], "--page", page, *_day(context)),
            ],
            cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=_SECONDS,
        )  # fmt: skip
        self.log.warning("%s", told.stderr.strip())
        if told.returncode == EXIT_NOTHING_TO_DO:
            return
        if told.returncode != 0:
            raise AirflowException(f"the alarm {rung['kind']} could not be told (exit {told.returncode})")
        message: dict[str, Any] = json.loads(told.stdout.strip().splitlines()[-1])
        if "email" in message["channels"]:
            # Not called but asked to notify: what stands in a message is data and never a template.
            email_of(message).notify(context)


#: Kinds that may ring in several tasks of a run: each task's is an alarm of its own.
_BY_TASK = (alarms.GATE_REFUSED, alarms.STEP_FAILED)


def kind_of(task_id: str, error: Any) -> str:
    """The alarm that a task's failure is."""
    if task_id == "wait_for_delivery":
        return alarms.DELIVERY_MISSING if isinstance(error, AirflowSensorTimeout) else alarms.LANDING_REFUSED
    if task_id.startswith("publish"):
        return alarms.PUBLISH_FAILED
    if isinstance(error, StepRefused):
        return alarms.LANDING_REFUSED if task_id == "land" else alarms.GATE_REFUSED
    return alarms.STEP_FAILED


def email_of(message: dict[str, Any]) -> SmtpNotifier:
    """The message as an e-mail, to those whom the settings name."""
    lines = [html.escape(line) for line in message["text"].splitlines()]
    return SmtpNotifier(
        to=[address.strip() for address in SETTINGS.notify_email_to.split(",")],
        subject=message["subject"],
        html_content="<br>\n".join(lines),
    )


def _left_by(context: Context, key: str) -> Any:
    return context["ti"].xcom_pull(task_ids=context["ti"].task_id, key=key)


def _log_of(context: Context) -> str:
    return str(getattr(context["ti"], "log_url", "") or "")


def _day(context: Context) -> list[str]:
    try:
        return ["--day", str(day_of(context))]
    except (AirflowException, KeyError):  # a run without a day has failed because of that
        return []
