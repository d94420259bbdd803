"""A standalone cluster of a master and two workers builds what this machine alone builds, and survives what befalls a worker."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from benchmarks.big_shop import BigShop
from benchmarks.cluster import Cluster, standalone_cluster
from contracts import names
from contracts.errors import ServiceUnreachable
from contracts.settings import Settings, load_settings
from jobs.features import build, tasks
from jobs.io import spark
from jobs.io.lake import MANIFEST, Lake
from jobs.io.state import State
from jobs.runs import StepContext
from tests.spark_tasks import Told

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(1200)]

DAY = date(2026, 1, 31)
BEFORE = DAY - timedelta(days=1)
SHOP = BigShop(num_events=4_000, num_days=5, num_users=200, num_items=200, has_lists=False, last=DAY)


@pytest.fixture(autouse=True)
def _many_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A day has several files, made by several tasks; so have users and items."""
    monkeypatch.setattr(build, "_EVENTS_A_FILE", 100)
    monkeypatch.setattr(build, "_EVENTS_A_TASK", 400)
    monkeypatch.setattr(build, "_PAIRS_A_TASK", 2_000)
    monkeypatch.setattr(spark, "_SECONDS_TO_FIND_EXECUTORS", 300.0)  # a busy machine starts slowly


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with standalone_cluster(tmp_path / "cluster", num_workers=2, cores=1, memory="600m") as begun:
        yield begun


@pytest.fixture
def told(tmp_path: Path) -> Path:
    """Where tasks tell that they have begun and ended."""
    folder = tmp_path / "told"
    folder.mkdir()
    return folder


def home(folder: Path, **chosen: Any) -> Settings:
    """A home whose lake has five days of interactions."""
    settings = load_settings(home=folder, history_length=10, judge_days=2, spark_memory="600m", **chosen)
    with State.of(settings).lease("test", "transform", 60, is_last=True) as lease:
        SHOP.export(Lake.of(settings, lease))
    return settings


def run(settings: Settings, day: date = DAY, kind: str = names.RETRAIN) -> None:
    with State.of(settings).lease("test", "build", 60, is_last=True) as lease:
        build.run(day, StepContext.of(settings, lease), kind=kind)


def digests(settings: Settings) -> dict[str, str]:
    """Of every partition of the lake, the digest of its rows."""
    lake = Lake.of(settings)
    found = {}
    for path in lake.root.glob(f"*/*/day=*/{MANIFEST}"):
        table, day = "/".join(path.parts[-4:-2]), path.parts[-2].removeprefix("day=")
        found[f"{table} {day}"] = lake.verify(table, date.fromisoformat(day)).digest
    return found


def slow_tasks(monkeypatch: pytest.MonkeyPatch, folder: Path, seconds: float) -> None:
    hand_out = tasks.run_on_spark
    monkeypatch.setattr(
        tasks,
        "run_on_spark",
        lambda context, chosen: hand_out(context, [Told(task, folder, seconds) for task in chosen]),
    )


@contextmanager
def when_tasks_have_begun(folder: Path, act: Callable[[], None]) -> Iterator[None]:
    """Do something in the middle of the block: when two tasks are at work."""

    def wait_and_act() -> None:
        deadline = time.monotonic() + 400
        while len(list(folder.glob("begun-*"))) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        act()

    acting = threading.Thread(target=wait_and_act)
    acting.start()
    try:
        yield
    finally:
        acting.join()


def processes(folder: Path) -> set[str]:
    return {path.name.split("-")[1] for path in folder.glob("ended-*")}


def test_two_workers_build_the_bytes_that_this_machine_builds_alone(
    tmp_path: Path, cluster: Cluster, told: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A day and a retraining's training set; a home whose path has a space in it."""
    alone = home(tmp_path / "alone", spark_master="local[2]")
    run(alone)
    shared = home(tmp_path / "a shared home", spark_master=cluster.master)
    slow_tasks(monkeypatch, told, seconds=0.05)
    run(shared)
    expected = digests(alone)
    assert {f"{names.HISTORIES} {DAY}", f"{names.SEQUENCES} {DAY}"} <= set(expected)
    assert digests(shared) == expected
    assert len(processes(told)) == 2, "one worker has done all of it"


def test_a_build_that_loses_a_worker_ends_with_the_other_one(
    tmp_path: Path, cluster: Cluster, told: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = home(tmp_path / "alone", spark_master="local[2]")
    run(alone)
    settings = home(tmp_path / "home", spark_master=cluster.master)
    slow_tasks(monkeypatch, told, seconds=0.2)
    with when_tasks_have_begun(told, lambda: cluster.kill(0)):
        run(settings)
    assert len(list(told.glob("begun-*"))) > len(list(told.glob("ended-*"))), "no task was interrupted"
    assert digests(settings) == digests(alone)


def test_a_build_that_loses_all_workers_says_so_and_leaves_what_was_committed(
    tmp_path: Path, cluster: Cluster, told: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = home(tmp_path / "home", spark_master=cluster.master)
    run(settings, BEFORE)
    before = digests(settings)
    monkeypatch.setattr(spark, "_SECONDS_WITHOUT_EXECUTORS", 3.0)
    slow_tasks(monkeypatch, told, seconds=1.0)
    with (
        when_tasks_have_begun(told, lambda: [cluster.kill(worker) for worker in (0, 1)] and None),
        pytest.raises(ServiceUnreachable, match=r"lost all executors .*start a worker"),
    ):
        run(settings)
    assert digests(settings) == before
    alone = load_settings(home=settings.home, history_length=10, judge_days=2, spark_master="local[2]")
    run(alone)  # what it left behind is in nobody's way
    assert f"{names.HISTORIES} {DAY}" in digests(settings)
