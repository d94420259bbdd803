"""Asks a person, in Airflow's UI, whether a challenger may become the champion."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import timedelta
from typing import Any

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import Context, Param
from airflow.sdk.exceptions import AirflowFailException
from dag_kit import REPOSITORY, SETTINGS, WHY, StepOperator, day_of
from foretaste_notifier import AlarmNotifier

from contracts import alarms

APPROVE, DECLINE = "Approve", "Decline"
NOTE_PARAM = Param(
    None,
    type=["null", "string"],
    maxLength=500,
    title="Note",
    description="Why; it is recorded with the retraining, beside your name.",
)


class ApprovalOperator(StepOperator, HITLOperator):
    """Runs the step that puts the question, waits for the answer without a worker, and records it.

    Whatever the answer, the task has done its work: ``promote`` reads what was recorded, and refuses by it.
    """

    def __init__(self, *, params: Any = None, **arguments: Any) -> None:
        # The Dag hands its own params down; those of the question are the form that a person fills in.
        super().__init__(
            subject="",  # the step's result says it
            options=[APPROVE, DECLINE],
            defaults=DECLINE,
            params={"note": NOTE_PARAM},
            response_timeout=timedelta(hours=SETTINGS.approval_hours),
            notifiers=AlarmNotifier(alarms.APPROVAL_WAITING),
            **arguments,
        )

    def execute(self, context: Context) -> dict[str, Any]:
        """Ask, unless nobody has to be asked."""
        question = StepOperator.execute(self, context)
        if not question["asks"]:
            return question
        context["ti"].xcom_push(key=WHY, value=question["why"])
        context["ti"].xcom_push(
            key="return_value", value=question
        )  # its links are there while the question is open
        self.subject, self.body = question["subject"], question["body"]
        return dict(HITLOperator.execute(self, context) or {})

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """Record the answer: what, by whom, when and why."""
        said = HITLOperator.execute_complete(self, context, event)
        who = said["responded_by_user"]
        verdict = [] if said["chosen_options"] == [APPROVE] else ["--decline"]
        answer = ["--unanswered", "--by", "nobody"] if who is None else [*verdict, "--by", who["name"]]
        note = str(said["params_input"].get("note") or "") if who is not None else ""
        command = ["approve", "--answer-only", "--day", str(day_of(context)), "--note", note, *answer]
        recorded = subprocess.run(
            [sys.executable, "-m", "jobs.cli", *command],
            cwd=REPOSITORY, capture_output=True, text=True, check=False,
        )  # fmt: skip
        self.log.info("%s", (recorded.stdout + recorded.stderr).strip())
        if recorded.returncode != 0:
            raise AirflowFailException(recorded.stderr.strip().splitlines()[-1])
        told: dict[str, Any] = json.loads(recorded.stdout.strip().splitlines()[-1])
        question = context["ti"].xcom_pull(task_ids=self.task_id, key="return_value") or {}
        return {**question, "answer": told["answer"], "why": told["told"]}
