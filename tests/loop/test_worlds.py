"""Does the loop close on shops that nobody tuned on? Without Airflow, whose part the other loop test shows."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from contracts.settings import load_settings
from simulator.published import read_published
from simulator.worlds import SimulatedShop

pytestmark = [pytest.mark.loop, pytest.mark.slow, pytest.mark.timeout(1200)]

REPOSITORY = Path(__file__).resolve().parents[2]


class Home:
    """One home folder with the stores running, driven from outside."""

    def __init__(self, home: Path, world: SimulatedShop) -> None:
        home.mkdir()
        self.home = home
        self.world = world
        (home / "settings.env").write_text(
            "".join(f"FORETASTE_{name}={value}\n" for name, value in world.settings.items())
        )

    def foretaste(self, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "jobs.cli", *arguments],
            cwd=REPOSITORY, env={**os.environ, "FORETASTE_HOME": str(self.home)},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"foretaste {' '.join(arguments)}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def live_days(self) -> dict[str, Any]:
        """History, a first champion, weeks without retraining, two live days; returns the status at the end."""
        world = self.world
        history = [
            world.first + timedelta(days=number)
            for number in range((world.last_history - world.first).days + 1)
        ]
        world.deliver(history, None)
        self.foretaste("load", "--day", str(world.first), "--to", str(world.champion_day))
        self.foretaste("retrain", "--day", str(world.champion_day), "--reason", "first model")
        since = world.champion_day + timedelta(days=1)
        self.foretaste("load", "--day", str(since), "--to", str(world.last_history))
        has_retrained = False
        for day in world.live_days:
            world.deliver([day], read_published(load_settings(home=self.home)))
            self.foretaste("run", "--day", str(day))
            verdict = json.loads(self.foretaste("status", "--json"))["drift"]
            if verdict["verdict"] == "drift" and not has_retrained:
                self.foretaste("retrain", "--day", str(day), "--reason", "drift")
                has_retrained = True
        return json.loads(self.foretaste("status", "--json"))


def lived(tmp_path: Path, seed: int, *, has_shift: bool) -> dict[str, Any]:
    home = tmp_path / "home"
    told = Home(home, SimulatedShop(home / "feed", seed, has_shift=has_shift))
    told.foretaste("up", "--without-airflow")
    try:
        return told.live_days()
    finally:
        told.foretaste("down")


@pytest.mark.parametrize("seed", range(101, 111))
def test_a_shift_of_taste_rings_the_alarm_and_the_challenger_takes_over(tmp_path: Path, seed: int) -> None:
    status = lived(tmp_path, seed, has_shift=True)
    told = json.dumps({"verdicts": status["verdicts"], "retrainings": status["retrainings"]}, indent=1)
    assert "drift" in [verdict["verdict"] for verdict in status["verdicts"].values()], told
    first, *later = status["retrainings"]
    assert first["is_promoted"], told
    assert len(later) == 1, told
    assert later[0]["is_promoted"], told
    metrics = later[0]["metrics"]
    assert metrics["challenger"]["ndcg_at_10"] > metrics["champion"]["ndcg_at_10"], told
    assert later[0]["verdict"]["differences"]["popularity"]["low"] > 0, told
    assert status["champion"]["version"] == later[0]["challenger"], told


@pytest.mark.parametrize("seed", range(201, 204))
def test_nothing_rings_where_taste_stays_as_it_is(tmp_path: Path, seed: int) -> None:
    status = lived(tmp_path, seed, has_shift=False)
    told = json.dumps(status["verdicts"], indent=1)
    assert [verdict["verdict"] for verdict in status["verdicts"].values()] == ["ok", "ok"], told
    assert len(status["retrainings"]) == 1, told
