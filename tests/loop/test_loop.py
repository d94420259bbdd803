"""The whole loop under the real Airflow scheduler, on embedded servers and on a server topology."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from contracts.settings import load_settings
from jobs.io.state import RUNS, State
from simulator.airflow_runs import AirflowRuns
from simulator.incidents import TasteShift
from simulator.operator import backfill
from simulator.published import read_published
from simulator.shop import Shop, ShopConfig
from tests.loop.topology import Topology, embedded, servers

pytestmark = [pytest.mark.loop, pytest.mark.timeout(900)]

REPOSITORY = Path(__file__).resolve().parents[2]
FIRST = date(2026, 1, 5)
CHAMPION_DAY = FIRST + timedelta(days=20)
SHIFT_DAY = FIRST + timedelta(days=22)
LIVE_DAY = FIRST + timedelta(days=23)  # the first one that lies outside of the first retraining's cool-down
NEXT_DAY = FIRST + timedelta(days=24)
SETTINGS = {
    "SCHEDULE_START": str(LIVE_DAY),
    "SCHEDULE_END": str(NEXT_DAY),
    "DELIVERY_POLL_SECONDS": "5",
    "JUDGE_USERS": "100",
    "SASREC_EPOCHS": "4",
    "SASREC_WIDTH": "32",
    "LIST_LENGTH": "20",
    "PROMOTE_MIN_USERS": "20",
    "VOLUME_MIN_DAYS": "3",
}


class Loop:
    """One home folder, driven from outside."""

    def __init__(self, home: Path, topology: Topology) -> None:
        self.home = home
        self.environment = {
            **{
                name: value
                for name, value in os.environ.items()
                if not name.startswith(("FORETASTE_", "AIRFLOW"))
            },
            **topology.environment,
            "FORETASTE_HOME": str(home),
        }
        shift = TasteShift(SHIFT_DAY, share=0.9)
        self.shop = Shop(
            ShopConfig(
                seed=11, num_users=800, num_items=144, sessions_per_user=0.33, start=FIRST, incidents=(shift,)
            )
        )

    def foretaste(self, *arguments: str, expect: int = 0) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "jobs.cli", *arguments],
            cwd=REPOSITORY, env=self.environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == expect, (
            f"foretaste {' '.join(arguments)}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
        )
        return done.stdout

    def deliver(self, first: date, last: date, published: Any = None) -> dict[str, Any]:
        """Deliver some days; returns what the world says of the last one."""
        delivered: dict[str, Any] = {}
        for offset in range((last - first).days + 1):
            delivered = self.shop.deliver(
                self.home / "feed",
                first + timedelta(days=offset),
                published=published.lists if published else None,
                version=published.version if published else None,
            )
        return delivered

    @property
    def settings(self) -> Any:
        return load_settings(home=self.home)

    def digest(self, kind: str, day: date) -> str:
        record = State.of(self.settings).get(RUNS, f"{kind}/{day}")
        assert record is not None
        return str(record["digest"])


@pytest.fixture(params=["embedded", pytest.param("servers", marks=pytest.mark.slow)])
def loop(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Loop]:
    home = tmp_path / "a home"  # with a space, as people's folders have
    home.mkdir()
    (home / "settings.env").write_text(
        "".join(f"FORETASTE_{name}={value}\n" for name, value in SETTINGS.items())
    )
    with {"embedded": embedded, "servers": servers}[request.param](tmp_path) as topology:
        for name, value in topology.environment.items():
            monkeypatch.setenv(name, value)
        loop = Loop(home, topology)
        try:
            loop.deliver(FIRST, CHAMPION_DAY)
            loop.foretaste("up")
            yield loop
        finally:
            loop.foretaste("down")


def wait_for(runs: AirflowRuns, dag_id: str, run_type: str, number: int = 1, seconds: int = 420) -> None:
    """Wait until so many of the Dag's runs of this type have ended well."""
    for _ in range(seconds):
        states = {
            task.run_id: task.run_state
            for task in runs.tasks()
            if (task.dag_id, task.run_type) == (dag_id, run_type)
        }
        over = [state for state in states.values() if state in ("success", "failed")]
        if len(over) >= number or "failed" in over:
            told = [(task.run_id, task.task_id, task.state) for task in runs.tasks() if task.dag_id == dag_id]
            assert set(over) == {"success"}, told
            return
        time.sleep(1)
    raise AssertionError(
        f"{dag_id}: no {run_type} run {number} is over after {seconds} s: {runs.states(dag_id)}"
    )


def test_a_shift_of_taste_is_noticed_and_mended_by_schedule(loop: Loop) -> None:
    loop.foretaste("load", "--day", str(FIRST), "--to", str(CHAMPION_DAY))
    loop.foretaste("retrain", "--day", str(CHAMPION_DAY), "--reason", "first model")
    since = CHAMPION_DAY + timedelta(days=1)
    loop.deliver(since, SHIFT_DAY)
    loop.foretaste("load", "--day", str(since), "--to", str(SHIFT_DAY))
    runs = AirflowRuns(loop.settings)
    first = read_published(loop.settings)
    before = loop.deliver(LIVE_DAY, LIVE_DAY, first)
    wait_for(runs, "foretaste_daily", "scheduled")

    status = json.loads(loop.foretaste("status", "--json"))
    assert status["published"]["day"] == str(LIVE_DAY)
    assert status["drift"]["day"] == str(LIVE_DAY)
    assert status["drift"]["verdict"] == "drift", status["drift"]

    # The alarm starts a retraining, its challenger is promoted, and everybody gets new lists.
    wait_for(runs, "foretaste_retrain", "asset_triggered")
    status = json.loads(loop.foretaste("status", "--json"))
    retrained = status["retrainings"][-1]
    assert (retrained["day"], retrained["trigger"]) == (str(LIVE_DAY), "alarm")
    assert retrained["reason"].startswith(f"drift alarm of {LIVE_DAY}: data: tastes lost")
    assert retrained["is_promoted"], retrained["verdict"]
    published = read_published(loop.settings)
    assert published is not None
    assert status["published"]["version"] == published.version
    assert status["published"]["champion"] == retrained["challenger"] == status["champion"]["version"]
    assert status["published"]["num_users"] == len(published.lists) > 50
    assert {len(items) for items in published.lists.values()} == {20}

    # What one person sees is what was published; a stranger gets popular items and is told so.
    user = next(iter(published.lists))
    answer = json.loads(loop.foretaste("recommend", user, "--json"))
    assert [item["item_id"] for item in answer["items"]] == published.lists[user][:10]
    assert json.loads(loop.foretaste("recommend", "nobody-knows-me", "--json"))["source"] == "popular"

    # People like what they see better than before, and the next day runs by itself.
    after = loop.deliver(NEXT_DAY, NEXT_DAY, published)
    clicks_a_visit = [day["expected_clicks"] / day["visits"] for day in (before, after)]
    assert clicks_a_visit[1] > 1.2 * clicks_a_visit[0], clicks_a_visit
    wait_for(runs, "foretaste_daily", "scheduled", number=2)

    # A backfill through Airflow gives the day's digest and moves nothing.
    live = json.loads(loop.foretaste("status", "--json"))["published"]["version"]
    digest = loop.digest("daily", LIVE_DAY)
    backfill(loop.settings, "foretaste_daily", LIVE_DAY)
    wait_for(runs, "foretaste_daily", "backfill")
    assert loop.digest("daily", LIVE_DAY) == digest
    assert json.loads(loop.foretaste("status", "--json"))["published"]["version"] == live
