"""A day's run that is killed anywhere and run again gives what an undisturbed one gives: tables, lists, digest."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import sys
import time
from collections import Counter
from datetime import date, timedelta
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from contracts import names
from contracts.feed import days_between
from contracts.settings import Settings, load_settings
from contracts.tables import TABLES
from jobs.io.lake import Lake
from jobs.io.state import PROMOTIONS, RUNS, State
from simulator.shop import Shop, ShopConfig
from tests.publishing import everything_stored, fresh_home, live, reset_stores

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]

FIRST = date(2026, 1, 5)
CHAMPION_DAY = FIRST + timedelta(days=3)
DAY = FIRST + timedelta(days=4)
SETTINGS = {"list_length": 20, "num_candidates": 30, "lease_seconds": 5}

#: Where a run of a day may end: every boundary that each step crosses.
CROSSED = {
    "land": (
        "lake:staged", "lake:moved", "lake:committed", "lake:collected", "warehouse:replaced",
        "warehouse:committed", "state:recorded",
    ),
    # At its end each step notes how long it took.
    "transform": ("lake:staged", "lake:moved", "lake:committed", "lake:collected", "state:recorded"),
    "build": ("lake:staged", "lake:moved", "lake:committed", "lake:collected", "state:recorded"),
    "score": ("lake:staged", "lake:moved", "lake:committed", "lake:collected", "state:recorded"),
    "publish": (
        "state:recorded", "online:written", "online:verified", "objects:data_written",
        "objects:manifest_written", "online:flipped", "objects:pointer_written", "online:collected",
    ),
}  # fmt: skip
#: A step crosses a boundary once for each partition: the first and the last time are tried.
CASES = [(step, name, place) for step, crossed in CROSSED.items() for name in crossed for place in (0, -1)]
#: The one of each step that is most likely to leave a mess, for a run that is killed again and again.
IN_TURN = (
    ("land", "warehouse:replaced"), ("transform", "lake:moved"), ("build", "lake:committed"), ("score", "lake:moved"),
    ("publish", "online:flipped"),
)  # fmt: skip


def run_it(home: Path, day: date, told: Path, kill_at: tuple[str, str, int] | None) -> None:
    """Run a day in this process, killed by SIGKILL at the n-th time that a step crosses a boundary.

    Writes to ``told`` which boundaries each step has crossed.
    """
    _have_a_main_file()
    from jobs.io import commit
    from jobs.run import run_day
    from jobs.steps import DAILY_STEPS

    done: list[str] = []
    crossed: dict[str, list[str]] = {step.name: [] for step in DAILY_STEPS}

    def cross(name: str) -> None:
        step = DAILY_STEPS[len(done)].name
        crossed[step].append(name)
        if kill_at == (step, name, crossed[step].count(name)):
            os.kill(os.getpid(), signal.SIGKILL)

    commit.boundary = cross
    settings = load_settings(home=home)
    run_day(settings, day, run_id="run", listener=lambda name, *_: done.append(name))
    told.write_text(json.dumps(crossed))


def _have_a_main_file() -> None:
    """PySpark takes a process whose main module has no file, as a fork server's, for its own doctests and ends it."""
    sys.modules["__main__"].__file__ = __file__


def load_it(home: Path) -> None:
    """Load the history in this process."""
    _have_a_main_file()
    from jobs.run import load_history

    load_history(load_settings(home=home), FIRST, CHAMPION_DAY, run_id="load", listener=lambda *_: None)


def promote_by_hand(settings: Settings) -> None:
    """A champion of random weights over the catalogue: how good it is does not matter here."""
    from jobs.io.model_files import save_model
    from jobs.ranking.next_item import FEATURES, NextItemModel
    from jobs.ranking.preparation import Preparation
    from models.mlp_ranker import MLPRanker, MLPRankerConfig
    from models.sasrec import SASRec, SASRecConfig

    rng = np.random.default_rng(7)
    rows = Lake.of(settings).read(names.DIM_ITEMS, CHAMPION_DAY, ["item_id"])
    item_ids = np.array(sorted(rows.column("item_id").to_pylist()), dtype=object)
    sasrec = SASRec(SASRecConfig(num_items=len(item_ids), width=8, blocks=1, heads=1, max_length=50), seed=1)
    columns = tuple(name for name in FEATURES if name not in ("item.category", "item.brand"))  # numbers alone
    features = rng.normal(size=(200, len(columns))).astype(np.float32)
    labels = features.sum(axis=1) > 4
    ranker, _ = MLPRanker.fit(
        MLPRankerConfig(widths=(8,), epochs=2), columns, features, np.arange(0, 201, 20), labels
    )
    model = NextItemModel(item_ids, sasrec, ranker, Preparation.as_they_are(columns))
    _, digest = save_model(model, {}, settings.home / "models")
    State.of(settings).put(PROMOTIONS, "1", {"day": str(CHAMPION_DAY), "sha256": digest})


class Runs:
    """Homes that begin alike, and processes that have imported everything before they are asked."""

    def __init__(self, begun: Path, stores: Settings, processes: ForkServerContext) -> None:
        self._begun = begun
        self._stores = stores
        self._processes = processes

    def home(self, folder: Path) -> Settings:
        """A home with the history and the champion, and the stores emptied for it."""
        reset_stores(self._stores)
        shutil.copytree(self._begun, folder)
        return load_settings(home=folder)

    def start(self, settings: Settings, kill_at: tuple[str, str, int] | None = None) -> Any:
        process = self._processes.Process(
            target=run_it, args=(settings.home, DAY, settings.home / "crossed.json", kill_at)
        )
        process.start()
        return process

    def run(self, settings: Settings, kill_at: tuple[str, str, int] | None = None) -> int | None:
        """How the process ended."""
        process = self.start(settings, kill_at)
        process.join(timeout=200)
        return process.exitcode  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def runs(stores: Settings, tmp_path_factory: pytest.TempPathFactory) -> Runs:
    processes = multiprocessing.get_context("forkserver")
    heavy = ["dbt.cli.main", "dbt.adapters.duckdb", "pyspark", "boto3", "redis"]
    processes.set_forkserver_preload([*heavy, "jobs.run", "jobs.score", "jobs.publish"])
    settings = fresh_home(stores, tmp_path_factory.mktemp("begun") / "home", **SETTINGS)
    shop = Shop(ShopConfig(seed=11, num_users=300, num_items=96, start=FIRST))
    for day in days_between(FIRST, DAY):
        shop.deliver(settings.home / "feed", day)
    loading = processes.Process(target=load_it, args=(settings.home,))
    loading.start()
    loading.join(timeout=200)
    assert loading.exitcode == 0
    promote_by_hand(settings)
    return Runs(settings.home, stores, processes)


@pytest.fixture(scope="module")
def undisturbed(runs: Runs, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a run that nobody disturbs gives, and the boundaries that its steps cross."""
    settings = runs.home(tmp_path_factory.mktemp("undisturbed") / "home")
    assert runs.run(settings) == 0
    crossed = json.loads((settings.home / "crossed.json").read_text())
    return {"outcome": outcome(settings), "crossed": crossed}


def outcome(settings: Settings) -> dict[str, Any]:
    """Every partition's content, the run's digest, and what readers get."""
    lake = Lake.of(settings)
    partitions = {
        f"{table}/{day}": lake.verify(table, day).digest for table in TABLES for day in lake.days(table)
    }
    run = State.of(settings).get(RUNS, f"daily/{DAY}")
    assert run is not None
    pointer = live(settings)
    assert pointer.day == str(DAY)
    assert pointer.sha256 == run["digest"]
    staged = sorted(path.name for path in (settings.lake_path / "_staging").glob("*"))
    return {"lake": partitions, "staged": staged, "run": run, "published": everything_stored(settings)}


def test_the_cases_are_the_boundaries_that_a_run_crosses(undisturbed: dict[str, Any]) -> None:
    crossed = {step: set(found) for step, found in undisturbed["crossed"].items() if step in CROSSED}
    assert crossed == {step: set(wanted) for step, wanted in CROSSED.items()}
    assert undisturbed["outcome"]["run"]["manifest"]["champion"] == "1"
    assert undisturbed["outcome"]["staged"] == []


def test_a_run_that_is_killed_in_every_step_in_turn_is_undisturbed_in_the_end(
    runs: Runs, undisturbed: dict[str, Any], tmp_path: Path
) -> None:
    settings = runs.home(tmp_path / "home")
    for step, boundary in IN_TURN:
        assert runs.run(settings, (step, boundary, 1)) == -signal.SIGKILL
    assert runs.run(settings) == 0
    assert outcome(settings) == undisturbed["outcome"]


@pytest.mark.slow
@pytest.mark.parametrize(("step", "boundary", "place"), CASES)
def test_a_run_killed_at_a_boundary_and_run_again_is_undisturbed(
    runs: Runs, undisturbed: dict[str, Any], tmp_path: Path, step: str, boundary: str, place: int
) -> None:
    times = Counter(undisturbed["crossed"][step])[boundary]
    settings = runs.home(tmp_path / "home")
    assert runs.run(settings, (step, boundary, 1 if place == 0 else times)) == -signal.SIGKILL
    assert runs.run(settings) == 0
    assert outcome(settings) == undisturbed["outcome"]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(12))
def test_a_run_killed_at_any_time_and_run_again_is_undisturbed(
    runs: Runs, undisturbed: dict[str, Any], tmp_path: Path, seed: int
) -> None:
    settings = runs.home(tmp_path / "home")
    process = runs.start(settings)
    time.sleep(float(np.random.default_rng(seed).uniform(0.2, 20)))
    process.kill()
    process.join(timeout=30)
    assert runs.run(settings) == 0
    assert outcome(settings) == undisturbed["outcome"]
