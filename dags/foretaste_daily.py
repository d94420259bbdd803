"""One day of events becomes that day's lists."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import CronDataIntervalTimetable, dag, task, task_group
from airflow.sdk.exceptions import AirflowSkipException
from dag_kit import (
    ACCEPT_PARAM,
    DAY_PARAM,
    RETRYING,
    SETTINGS,
    DeliverySensor,
    asset,
    midnight,
    runbook,
    step,
)
from foretaste_notifier import AlarmNotifier

from contracts import alarms, names

ALARM = asset(names.DRIFT_ALARM)


DOC = """### One day of events becomes that day's lists

**Waits** for the shop's delivery, ships what the decision API has taken and **lands** both, computes **features**, **scores** every user with the
champion, **publishes** a new version and **monitors** drift. Nobody reads a table before its gate has passed.

The run's **note** says the day's verdict and what was published.

**When a task is red**, its last log line says what, why, what is still served and the next command.
What has been published stays published: nothing is served from a run before its `publish`.

* `wait_for_delivery` timed out: the shop has not delivered. Ask the shop, then clear the task. To go on
  without it, trigger the day again with *Accept a refused delivery, because*.
* `land` failed because the feed `holds another delivery`: events come by the API and as files. A day has one of both
  (`FORETASTE_EVENTS_FROM`, docs/event-log.md).
* `land` refused: too many malformed rows or an odd volume. `foretaste quarantine --day DAY` shows the rows.
* a `validate_…` gate refused: its *Report* link shows which expectation failed. Never retried by itself.
* `publish` failed: readers still get the version before. Clear the task to try again.

**Backfill** as you like: a past day gives what it gave, and never moves what is live.
After an outage the missed days run in order; only the newest goes live.
""" + runbook(
    alarms.DELIVERY_MISSING,
    alarms.LANDING_REFUSED,
    alarms.GATE_REFUSED,
    alarms.DATA_INVALID,
    alarms.DRIFT,
    alarms.PUBLISH_FAILED,
    alarms.STALE_VERSION,
    alarms.ROLLBACK,
    alarms.STEP_FAILED,
)


@dag(
    doc_md=DOC,
    dag_display_name="Foretaste: one day",
    schedule=CronDataIntervalTimetable(SETTINGS.schedule, timezone="UTC")
    if SETTINGS.schedule_start
    else None,
    start_date=midnight(SETTINGS.schedule_start) if SETTINGS.schedule_start else None,
    end_date=midnight(SETTINGS.schedule_end) + timedelta(days=1) if SETTINGS.schedule_end else None,
    catchup=True,
    max_active_runs=1,
    params={"day": DAY_PARAM, "accept_reason": ACCEPT_PARAM},
    default_args={**RETRYING, "on_failure_callback": AlarmNotifier()},
    tags=["tier:1", "owner:foretaste", "data:personal"],
)
def foretaste_daily() -> None:
    """One day of events becomes that day's lists."""

    @task_group(
        group_id="data",
        group_display_name="Data",
        prefix_group_id=False,
        tooltip="From the delivery to validated features",
    )
    def data() -> Any:
        wait = DeliverySensor(task_id="wait_for_delivery")
        land = step("land", opens_warehouse=True)
        landed = step("validate-landed", writes=[names.RAW_EVENTS])
        transform = step("transform", reads=[names.RAW_EVENTS], opens_warehouse=True)
        features = step("validate-features", writes=[names.FEAT_USER_DAILY, names.FEAT_ITEM_DAILY])
        wait >> land >> landed >> transform >> step("build") >> features
        return features

    @task_group(
        group_id="lists",
        group_display_name="Lists",
        prefix_group_id=False,
        tooltip="From features to published lists",
    )
    def lists() -> Any:
        score = step(
            "score",
            reads=[names.FEAT_USER_DAILY, names.FEAT_ITEM_DAILY, names.CHAMPION_MODEL],
            on_success_callback=AlarmNotifier(),  # a champion may have been demoted
        )
        publish = step("publish", reads=[names.LISTS], writes=[names.PUBLISHED_LISTS])
        score >> step("validate-scores", writes=[names.LISTS]) >> publish
        return score, publish

    @task(outlets=[ALARM], retries=0)
    def ring_drift_alarm(verdict: dict[str, Any], *, outlet_events: Any) -> None:
        """Starts a retraining when the newest day has drifted; skipped when all is well."""
        if not verdict["rings"]:
            raise AirflowSkipException(f"{verdict['day']}: {verdict['verdict']}, no retraining is asked for")
        outlet_events[ALARM].extra = {"day": verdict["day"], "reasons": verdict["reasons"]}

    features = data()
    score, publish = lists()
    monitor = step(
        "monitor",
        reads=[names.PUBLISHED_LISTS, names.FEAT_USER_DAILY, names.FEAT_ITEM_DAILY],
        opens_warehouse=True,
        on_success_callback=AlarmNotifier(),
    )
    features >> score
    publish >> monitor
    ring_drift_alarm(monitor.output)


foretaste_daily()
