"""A challenger is trained, judged, and promoted or refused."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import AssetOrTimeSchedule, CronTriggerTimetable, TriggerRule, chain, dag, task_group
from dag_kit import DAY_PARAM, REASON_PARAM, RETRYING, SETTINGS, asset, midnight, runbook, step
from foretaste_approval import ApprovalOperator
from foretaste_notifier import AlarmNotifier

from contracts import alarms, names

DOC = """### A challenger is trained, judged, and promoted or refused

Runs weekly and when the drift alarm rings, at most once in a cool-down. The challenger is judged on the
last days against the champion given the same histories, and against recent popularity, EASE and ALS.
The run's **note** says why it ran and what came of it.

* `prepare_retraining` skipped: within the cool-down, or the day is not the newest.
* `request_approval` waits (with `FORETASTE_APPROVAL=person`): somebody has to answer, under *Required Actions*.
  It holds no worker, and the days go on meanwhile.
* `promote` skipped: the challenger was **refused**, by its judgement or by a person; its log and the *Report* say
  why. The champion stays.
* a gate refused: the training set is too small or broken; its *Report* link shows what failed.

What is published stays published until `publish_challenger`. `foretaste rollback` goes back in a second.
""" + runbook(
    alarms.APPROVAL_WAITING,
    alarms.CHALLENGER_REFUSED,
    alarms.GATE_REFUSED,
    alarms.PUBLISH_FAILED,
    alarms.STEP_FAILED,
)


@dag(
    doc_md=DOC,
    dag_display_name="Foretaste: retraining",
    schedule=AssetOrTimeSchedule(
        timetable=CronTriggerTimetable(SETTINGS.retrain_schedule, timezone="UTC"),
        assets=[asset(names.DRIFT_ALARM)],
    ),
    start_date=midnight(SETTINGS.schedule_start or "2000-01-01"),
    end_date=midnight(SETTINGS.schedule_end) + timedelta(days=1) if SETTINGS.schedule_end else None,
    catchup=False,
    max_active_runs=1,
    params={"day": DAY_PARAM, "reason": REASON_PARAM},
    default_args={**RETRYING, "on_failure_callback": AlarmNotifier()},
    tags=["tier:2", "owner:foretaste", "data:personal"],
)
def foretaste_retrain() -> None:
    """A challenger is trained, judged, and promoted or refused."""

    @task_group(
        group_id="training",
        group_display_name="Training",
        prefix_group_id=False,
        tooltip="From a training set to a judged challenger",
    )
    def training() -> Any:
        validated = step("validate-training", writes=[names.SEQUENCES])
        train = step("train", reads=[names.SEQUENCES])
        asked = [step("request-approval", operator=ApprovalOperator)] if SETTINGS.approval == "person" else []
        promote = step(
            "promote",
            writes=[names.CHAMPION_MODEL],
            on_skipped_callback=AlarmNotifier(alarms.CHALLENGER_REFUSED),
        )
        chain(
            step("prepare-retraining", opens_warehouse=True),
            step("build-training-set", reads=[names.RAW_EVENTS]),
            validated,
            train,
            *asked,
            promote,
        )
        return promote

    @task_group(
        group_id="lists",
        group_display_name="Lists",
        prefix_group_id=False,
        tooltip="The new champion's lists",
    )
    def lists() -> Any:
        score = step("score-challenger", reads=[names.CHAMPION_MODEL])
        publish = step("publish-challenger", writes=[names.PUBLISHED_LISTS])
        score >> step("validate-challenger-scores") >> publish
        return score, publish

    promote = training()
    score, publish = lists()
    promote >> score
    publish >> step("report", trigger_rule=TriggerRule.NONE_FAILED)


foretaste_retrain()
