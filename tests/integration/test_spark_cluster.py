"""A standalone cluster of a master and two workers builds what this machine alone builds, and survives what befalls a worker."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
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
from jobs.io.spark import spark_context
from jobs.io.state import State
from jobs.runs import StepContext
from tests.spark_tasks import Told

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(1200)]

DAY = date(2026, 1, 31)
BEFORE = DAY - timedelta(days=1)
SHOP = BigShop(num_events=4_000, num_days=5, num_users=200, num_items=200, has_lists=False, last=DAY)


@pytest.fixture(scope="module", autouse=True)
def _many_tasks() -> Iterator[None]:
    """A day has several files, made by several tasks; so have users and items."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build, "_EVENTS_A_FILE", 100)
        patch.setattr(build, "_EVENTS_A_TASK", 400)
        patch.setattr(build, "_PAIRS_A_TASK", 2_000)
        patch.setattr(spark, "_SECONDS_TO_FIND_EXECUTORS", 300.0)  # a busy machine starts slowly
        yield


@dataclass(frozen=True)
class Alone:
    """What this machine builds without a cluster."""

    before: Path  # a home in which the day before has been built
    expected: dict[str, str]  # and the digests of the day after it


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Alone:
    folder = tmp_path_factory.mktemp("alone")
    settings = home(folder / "home", spark_master="local[2]")
    with spark_context(settings):
        run(settings, BEFORE)
        shutil.copytree(settings.home, folder / "before")
        run(settings)
    expected = digests(settings)
    assert {f"{names.HISTORIES} {DAY}", f"{names.SEQUENCES} {DAY}"} <= set(expected)
    return Alone(folder / "before", expected)


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


def home(folder: Path, *, is_new: bool = True, **chosen: Any) -> Settings:
    """A home whose lake has five days of interactions."""
    settings = load_settings(home=folder, history_length=10, judge_days=2, spark_memory="600m", **chosen)
    if is_new:
        with State.of(settings).lease("test", "transform", 60, is_last=True) as lease:
            SHOP.export(Lake.of(settings, lease))
    return settings


def home_with_the_day_before(alone: Alone, folder: Path, cluster: Cluster) -> Settings:
    shutil.copytree(alone.before, folder)
    return home(folder, is_new=False, spark_master=cluster.master)


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
        while len(list(folder.glob("begun-*"))) < 2:
            if is_over.wait(0.05):
                return
        act()

    is_over = threading.Event()
    acting = threading.Thread(target=wait_and_act)
    acting.start()
    try:
        yield
    finally:
        is_over.set()
        acting.join()


def processes(folder: Path) -> set[str]:
    return {path.name.split("-")[1] for path in folder.glob("ended-*")}


def test_two_workers_build_the_bytes_that_this_machine_builds_alone(
    alone: Alone, tmp_path: Path, cluster: Cluster, told: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two days and their retrainings' training sets, in a home whose path has a space in it."""
    shared = home(tmp_path / "a shared home", spark_master=cluster.master)
    slow_tasks(monkeypatch, told, seconds=0.1)
    with spark_context(shared):
        run(shared, BEFORE)
        run(shared)
    assert digests(shared) == alone.expected
    assert len(processes(told)) == 2, "one worker has done all of it"


def test_a_build_that_loses_a_worker_ends_with_the_other_one(
    alone: Alone, tmp_path: Path, cluster: Cluster, told: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = home_with_the_day_before(alone, tmp_path / "home", cluster)
    slow_tasks(monkeypatch, told, seconds=0.3)
    with when_tasks_have_begun(told, lambda: cluster.kill(0)):
        run(settings)
    assert len(list(told.glob("begun-*"))) > len(list(told.glob("ended-*"))), "no task was interrupted"
    assert digests(settings) == alone.expected


def test_a_build_that_loses_all_workers_says_so_and_leaves_what_was_committed(
    alone: Alone, tmp_path: Path, cluster: Cluster, told: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = home_with_the_day_before(alone, tmp_path / "home", cluster)
    before = digests(settings)
    monkeypatch.setattr(spark, "_SECONDS_WITHOUT_EXECUTORS", 3.0)
    slow_tasks(monkeypatch, told, seconds=2.0)

    def kill_all() -> None:
        for worker in range(len(cluster.workers)):
            cluster.kill(worker)

    with (
        when_tasks_have_begun(told, kill_all),
        pytest.raises(ServiceUnreachable, match=r"lost all executors .*start a worker"),
    ):
        run(settings)
    assert digests(settings) == before
