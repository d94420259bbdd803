"""One run at a time, by our own lease, with a fence that only rises."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from contracts.errors import LeaseHeld
from jobs.io.state import State

pytestmark = pytest.mark.contract


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'state' / 'state.sqlite'}"


def test_a_second_run_is_refused_and_told_who_holds_the_lease(url: str) -> None:
    state = State(url)
    with (
        state.lease("daily-1", "score", 60, is_last=True),
        pytest.raises(LeaseHeld, match=rf"daily-1 is in step score \(process {os.getpid()}"),
        state.lease("retrain-1", "train", 60, is_last=True),
    ):
        pass


def test_a_run_keeps_the_lease_between_its_steps(url: str) -> None:
    state = State(url)
    with state.lease("daily-1", "land", 60, is_last=False):
        pass
    with (
        pytest.raises(LeaseHeld, match="between two steps, after land"),
        state.lease("other", "land", 60, is_last=True),
    ):
        pass
    with state.lease("daily-1", "transform", 60, is_last=True):
        pass
    with state.lease("other", "land", 60, is_last=True):
        pass


def test_a_failed_step_gives_the_lease_back(url: str) -> None:
    state = State(url)
    with pytest.raises(ZeroDivisionError), state.lease("daily-1", "land", 60, is_last=False):
        raise ZeroDivisionError
    with state.lease("other", "land", 60, is_last=True):
        pass


def test_the_lease_of_a_killed_process_is_free_at_once(url: str) -> None:
    program = (
        "import os, signal, sys; from jobs.io.state import State\n"
        "with State(sys.argv[1]).lease('killed', 'score', 600, is_last=False): os.kill(os.getpid(), signal.SIGKILL)"
    )
    killed = subprocess.run([sys.executable, "-c", program, url], check=False)
    assert killed.returncode == -9
    with State(url).lease("next", "score", 60, is_last=True) as lease:
        assert lease.fence == 2


def test_only_one_of_many_racers_wins(url: str) -> None:
    state = State(url)

    def race(number: int) -> bool:
        try:
            with state.lease(f"run-{number}", "step", 60, is_last=False):
                return True
        except LeaseHeld:
            return False

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(race, range(8))) == 1


def test_fences_only_rise(url: str) -> None:
    state = State(url)
    fences = []
    for number in range(3):
        with state.lease(f"run-{number}", "step", 60, is_last=True) as lease:
            fences.append(lease.fence)
        fences.append(state.next_fence())
    assert fences == sorted(set(fences))


def test_records_are_replaced_by_key(url: str) -> None:
    state = State(url)
    state.put("runs", "b", {"n": 1})
    state.put("runs", "a", {"n": 2})
    state.put("runs", "b", {"n": 3})
    assert state.get("runs", "b") == {"n": 3}
    assert list(state.all("runs")) == ["a", "b"]
    assert state.get("runs", "c") is None
