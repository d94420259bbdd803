"""How long a day takes under Airflow's scheduler, with a champion, from a complete delivery to the verdict.

``loop.day_seconds``: a normal day of 200,000 events; ``loop.large_day_seconds``: one of two million. Each on
top of eight days of history of the same size, which is what the drift monitor needs to judge the day. The
reference is the next day, of the same size, run by ``foretaste run`` without a scheduler: what Airflow costs is
what lies between.

``loop.alarm_to_published``: from the start of the drift monitor's task to the end of the one that publishes the new
champion's lists, with the settings that Foretaste has by default, on 200,000 events and more of twenty days; the reference is
the same day retrained by ``foretaste retrain``. ``loop.monitor_seconds``: how much of it the monitor takes; its
reference is the whole. ``loop.large_alarm_to_published``: the same where each day has as many.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

from benchmarks.figure import Figure, figure
from contracts.feed import days_between
from contracts.settings import load_settings
from jobs.io.state import VERDICTS, State
from simulator.airflow_runs import AirflowRuns
from simulator.incidents import TasteShift
from simulator.shop import Shop, ShopConfig

REPOSITORY = Path(__file__).resolve().parent.parent
FIRST = date(2026, 1, 5)
HISTORY = 8
_TIMEOUT = 1800


def day_seconds(folder: Path) -> Iterator[Figure]:
    """A normal day: 200,000 events, by 48,000 people over 5,000 items."""
    yield _measure(folder, "loop.day_seconds", num_users=48_000, num_items=5_000)


def large_day_seconds(folder: Path) -> Iterator[Figure]:
    """A large day: two million events, by 480,000 people over 5,000 items."""
    yield _measure(folder, "loop.large_day_seconds", num_users=480_000, num_items=5_000)


def alarm_to_published(folder: Path) -> Iterator[Figure]:
    """At least 200,000 events in all, by 2,400 people over 1,000 items."""
    yield from _alarm(folder, "loop.", num_users=2_400, num_items=1_000)


def large_alarm_to_published(folder: Path) -> Iterator[Figure]:
    """At least 200,000 events a day, by 48,000 people over 5,000 items: long on two processors."""
    yield from _alarm(folder, "loop.large_", num_users=48_000, num_items=5_000)


def _alarm(folder: Path, prefix: str, *, num_users: int, num_items: int) -> Iterator[Figure]:
    """A shift of taste on the 19th of 20 days; the monitor of the 20th rings, and Airflow retrains."""
    trained, shifted, live = (FIRST + timedelta(days=number) for number in (16, 18, 19))
    shop = Shop(_config(num_users, num_items, TasteShift(shifted, share=0.9)))
    settings = {"SCHEDULE_START": str(live), "SCHEDULE_END": str(live), "DELIVERY_POLL_SECONDS": "5"}
    _begin(folder, settings)
    before = days_between(FIRST, live - timedelta(days=1))
    events = sum(shop.deliver(folder / "feed", day)["events"] for day in before)
    try:
        _foretaste(folder, "load", "--day", str(FIRST), "--to", str(trained))
        _foretaste(folder, "up")
        _foretaste(folder, "retrain", "--day", str(trained))
        _foretaste(folder, "load", "--day", str(trained + timedelta(days=1)), "--to", str(shifted))
        events += shop.deliver(folder / "feed", live)["events"]
        runs = AirflowRuns(load_settings(home=folder))
        _wait_for(runs, "foretaste_daily")
        verdict = State.of(load_settings(home=folder)).get(VERDICTS, live.isoformat()) or {}
        if not verdict.get("rings"):
            raise RuntimeError(
                f"the alarm of {live} did not ring: {verdict.get('verdict')}, {verdict.get('reasons')}"
            )
        _wait_for(runs, "foretaste_retrain")
        ends = ("foretaste_daily", "monitor"), ("foretaste_retrain", "publish_challenger")
        seconds, monitoring = runs.seconds_between(*ends), runs.seconds_between(ends[0], ends[0])
        begun = time.perf_counter()
        _foretaste(folder, "retrain", "--day", str(live))
        reference = time.perf_counter() - begun
    finally:
        _foretaste(folder, "down")
    unit = f"s ({events:,} events)"
    yield figure(
        f"{prefix}alarm_to_published", seconds, unit, reference,
        "the same retraining by `foretaste retrain`, without a scheduler",
    )  # fmt: skip
    yield figure(f"{prefix}monitor_seconds", monitoring, unit, seconds, "alarm to published")


def _config(num_users: int, num_items: int, *incidents: TasteShift) -> ShopConfig:
    return ShopConfig(
        seed=7,
        num_users=num_users,
        num_items=num_items,
        sessions_per_user=0.65,
        start=FIRST,
        incidents=incidents,
    )


def _begin(folder: Path, settings: dict[str, str]) -> None:
    folder.mkdir(parents=True)
    (folder / "settings.env").write_text(
        "".join(f"FORETASTE_{key}={value}\n" for key, value in {**settings, "THREADS": "2"}.items())
    )


def _measure(folder: Path, name: str, *, num_users: int, num_items: int) -> Figure:
    last = FIRST + timedelta(days=HISTORY - 1)
    live, after = last + timedelta(days=1), last + timedelta(days=2)
    settings = {
        "SCHEDULE_START": str(live), "SCHEDULE_END": str(live), "DELIVERY_POLL_SECONDS": "5", "JUDGE_DAYS": "2",
        "SASREC_EPOCHS": "1",
    }  # fmt: skip
    _begin(folder, settings)
    shop = Shop(_config(num_users, num_items))
    for day in days_between(FIRST, last):
        shop.deliver(folder / "feed", day)
    try:
        _foretaste(folder, "load", "--day", str(FIRST), "--to", str(last))
        _foretaste(folder, "up")
        _foretaste(folder, "retrain", "--day", str(last))
        events = shop.deliver(folder / "feed", live)["events"]
        runs = AirflowRuns(load_settings(home=folder))
        _wait_for(runs, "foretaste_daily")
        seconds = runs.seconds_after("foretaste_daily", "wait_for_delivery")
        shop.deliver(folder / "feed", after)
        begun = time.perf_counter()
        _foretaste(folder, "run", "--day", str(after))
        reference = time.perf_counter() - begun
    finally:
        _foretaste(folder, "down")
    return figure(
        name,
        seconds,
        f"s ({events:,} events)",
        reference,
        "the next day by `foretaste run`, without a scheduler",
    )


def _wait_for(runs: AirflowRuns, dag_id: str) -> None:
    """Wait until the Dag has had a run that ended well."""
    for _ in range(_TIMEOUT):
        states = set(runs.states(dag_id).values())
        if states & {"success", "failed"}:
            assert states == {"success"}, f"{dag_id}: the run failed; its log is under HOME/airflow/logs"
            return
        time.sleep(1)
    raise TimeoutError(f"{dag_id} did not end within {_TIMEOUT} s")


def _foretaste(folder: Path, *arguments: str) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FORETASTE_")}
    done = subprocess.run(
        [sys.executable, "-m", "jobs.cli", *arguments],
        cwd=REPOSITORY,
        env={**environment, "FORETASTE_HOME": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"foretaste {' '.join(arguments)}: {done.stdout[-1000:]}{done.stderr[-2000:]}")
