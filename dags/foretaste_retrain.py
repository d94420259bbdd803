"""A challenger is trained, judged, and promoted or refused."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import AssetOrTimeSchedule, CronTriggerTimetable, TriggerRule, dag, task_group
from dag_kit import DAY_PARAM, REASON_PARAM, RETRYING, SETTINGS, asset, midnight, step

from contracts import names


@dag(
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
    default_args=RETRYING,
    tags=["tier:2", "owner:foretaste", "data:personal"],
)
def foretaste_retrain() -> None:
    """### A challenger is trained, judged, and promoted or refused

    Runs weekly and when the drift alarm rings, at most once in a cool-down. The challenger is judged on the
    last days against the champion given the same histories, and against recent popularity, EASE and ALS.

    * `prepare_retraining` skipped: within the cool-down, or the day is not the newest.
    * `promote` skipped: the challenger was **refused**; its log and the *Report* say why. The champion stays.
    * a gate refused: the training set is too small or broken; its *Report* link shows what failed.

    What is published stays published until `publish_challenger`. `foretaste rollback` goes back in a second.
    """

    @task_group(
        group_id="training", prefix_group_id=False, tooltip="From a training set to a judged challenger"
    )
    def training() -> Any:
        validated = step("validate-training", writes=[names.SEQUENCES])
        promote = step("promote", writes=[names.CHAMPION_MODEL])
        step("prepare-retraining") >> step("build-training-set") >> validated >> step("train") >> promote
        return promote

    @task_group(group_id="lists", prefix_group_id=False, tooltip="The new champion's lists")
    def lists() -> Any:
        score = step("score-challenger")
        publish = step("publish-challenger", writes=[names.PUBLISHED_LISTS])
        score >> step("validate-challenger-scores") >> publish
        return score, publish

    promote = training()
    score, publish = lists()
    promote >> score
    publish >> step("report", trigger_rule=TriggerRule.NONE_FAILED)


foretaste_retrain()
