"""Run notes: each run of ours says in a sentence why it ran, and at its end what came of it.

A task cannot write a note (the API that tasks have does not know them), so Airflow's scheduler does, which hears of every
change of a run. We are guests in its transaction: nothing here begins, commits or rolls back, and the two statements
that write cannot collide with anybody's. A note that a person has written is left alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from airflow.listeners import hookimpl
from airflow.plugins_manager import AirflowPlugin
from airflow.sdk import timezone
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import object_session

from contracts.alarms import reason_of_alarms

DAILY, RETRAIN = "foretaste_daily", "foretaste_retrain"
_MOST_CHARACTERS = 1000  # that Airflow keeps


def why_it_ran(run_type: str, conf: Mapping[str, Any], alarms: list[Mapping[str, Any]]) -> str:
    """Why a run began."""
    if alarms:
        return reason_of_alarms(alarms)
    by_hand = str(conf.get("reason") or conf.get("accept_reason") or "by hand")
    return {"scheduled": "by schedule", "backfill": "backfill"}.get(run_type, by_hand)


def what_came_of_it(dag_id: str, left: Mapping[str, Mapping[str, Any]], failed: list[str]) -> str:
    """What a run has done, from what its tasks left: their results and the reasons why they stopped."""
    if failed:
        return "; ".join(
            f"{task} failed: {left.get(task, {}).get('why', 'its log says why')}" for task in failed
        )
    return _retraining(left) if dag_id == RETRAIN else _day(left)


def _day(left: Mapping[str, Mapping[str, Any]]) -> str:
    monitor = left.get("monitor", {}).get("return_value")
    reasons = "; ".join(monitor["reasons"]) if monitor and monitor["verdict"] != "ok" else ""
    verdict = f"{monitor['day']}: {monitor['verdict']}" if monitor else "not judged"
    told = verdict + (f" ({reasons})" if reasons else "") + f". {_published(left, 'publish')}"
    return told + (" The drift alarm rang." if monitor and monitor["rings"] else "")


def _retraining(left: Mapping[str, Mapping[str, Any]]) -> str:
    for task in ("prepare_retraining", "promote"):
        if why := left.get(task, {}).get("why"):
            return f"{_sentence(why)} {_published(left, 'publish_challenger')}"
    promoted = left.get("promote", {}).get("return_value")
    said = (
        f"Model {promoted['champion']} became the champion: {'; '.join(promoted['reasons'])}."
        if promoted
        else "Nothing was promoted."
    )
    return f"{said} {_published(left, 'publish_challenger')}"


def _published(left: Mapping[str, Mapping[str, Any]], task: str) -> str:
    result = left.get(task, {}).get("return_value")
    if result and result["published"]:
        return f"Published {result['version']} for {result['users']:,} users."
    return f"Nothing was published: {result['why']}." if result else "Nothing was published."


def _sentence(text: str) -> str:
    told = text.strip()
    return f"{told[:1].upper()}{told[1:]}" + ("" if told.endswith(".") else ".")


class RunNotes:
    """Hears of runs that begin and end, in the scheduler."""

    @hookimpl
    def on_dag_run_running(self, dag_run: Any, msg: str) -> None:
        if dag_run.dag_id in (DAILY, RETRAIN):
            _begin(object_session(dag_run), dag_run)

    @hookimpl
    def on_dag_run_success(self, dag_run: Any, msg: str) -> None:
        if dag_run.dag_id in (DAILY, RETRAIN):
            _end(object_session(dag_run), dag_run)

    @hookimpl
    def on_dag_run_failed(self, dag_run: Any, msg: str) -> None:
        if dag_run.dag_id in (DAILY, RETRAIN):
            _end(object_session(dag_run), dag_run)


def _begin(session: Any, dag_run: Any) -> None:
    from airflow.models.dagrun import DagRunNote

    insert = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}[session.get_bind().dialect.name]
    note = {"dag_run_id": dag_run.id, "content": _why(dag_run)[:_MOST_CHARACTERS]}
    now = timezone.utcnow()
    session.execute(
        insert(DagRunNote.__table__).values(**note, created_at=now, updated_at=now).on_conflict_do_nothing()
    )


def _end(session: Any, dag_run: Any) -> None:
    from airflow.models.dagrun import DagRunNote

    failed = [task.task_id for task in dag_run.get_task_instances(session=session) if task.state == "failed"]
    outcome = what_came_of_it(dag_run.dag_id, _left_by(session, dag_run), failed)
    table = DagRunNote.__table__
    session.execute(
        table.update()
        .where(table.c.dag_run_id == dag_run.id, table.c.user_id.is_(None))
        .values(content=f"{_why(dag_run)}\n\n{outcome}"[:_MOST_CHARACTERS], updated_at=timezone.utcnow())
    )


def _why(dag_run: Any) -> str:
    alarms = [event.extra for event in dag_run.consumed_asset_events]
    return f"Why: {why_it_ran(str(dag_run.run_type), dag_run.conf or {}, alarms)}"


def _left_by(session: Any, dag_run: Any) -> dict[str, dict[str, Any]]:
    """What the tasks of a run have left: their results, and the reasons why they stopped."""
    from airflow.models.xcom import XComModel

    rows = session.execute(
        sa.select(XComModel.task_id, XComModel.key, XComModel.value).where(
            XComModel.dag_run_id == dag_run.id, XComModel.key.in_(("return_value", "why"))
        )
    )
    left: dict[str, dict[str, Any]] = {}
    for row in rows:
        left.setdefault(row.task_id, {})[row.key] = XComModel.deserialize_value(row)
    return left


class ForetasteNotes(AirflowPlugin):
    """Airflow finds the listener by this."""

    name = "foretaste_notes"
    listeners = [RunNotes()]  # noqa: RUF012 - Airflow reads this very attribute
