"""A publication killed anywhere leaves readers a whole version; the next run completes it and cleans up."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest

from contracts.lists import list_digest
from contracts.settings import Settings
from jobs.io import commit
from jobs.io.commit import BOUNDARIES
from jobs.io.objects import open_objects
from jobs.io.state import PUBLICATIONS, RUNS, State
from tests.faults.conftest import REPOSITORY, Run
from tests.publishing import (
    DAY,
    NUM_KEYS,
    K,
    everything_live,
    fresh_home,
    keys_by_version,
    live,
    publish_day,
    publish_new,
    s3_versions,
    score,
)

pytestmark = [pytest.mark.faults, pytest.mark.timeout(120)]

NEXT = DAY + timedelta(days=1)
#: The step's first record in the state is the run's digest, its second the publication.
CROSSED = [(name, 1) for name in BOUNDARIES if name.startswith(("online:", "objects:"))]
CASES = [*CROSSED, ("state:recorded", 1), ("state:recorded", 2)]
#: Stops itself at a boundary, but not while its other thread renews the lease: a whole process that sleeps inside a
#: transaction keeps SQLite's file locked, for whoever comes.
_STOPPER = """
import contextlib, os, signal, sys, threading
from jobs import cli
from jobs.io import commit, state
wanted, sys.argv = sys.argv[1], ["foretaste", *sys.argv[2:]]
turn, write = threading.RLock(), state.State.write
@contextlib.contextmanager
def write_in_turn(self):
    with turn, write(self) as connection:
        yield connection
def stop(name):
    if name == wanted:
        with turn:
            os.kill(os.getpid(), signal.SIGSTOP)
state.State.write, commit.boundary = write_in_turn, stop
cli.main()
"""


@pytest.fixture
def shop(stores: Settings, tmp_path: Path) -> Settings:
    """One day is published, the next is scored; a silent attempt loses its lease after five seconds."""
    settings = fresh_home(stores, tmp_path / "home", lease_seconds=5)
    publish_new(settings, DAY)
    score(settings, NEXT)
    return settings


def digest(settings: Settings) -> str:
    record = State.of(settings).get(RUNS, f"daily/{NEXT}")
    assert record is not None
    return str(record["digest"])


def publish_and_die(settings: Settings, boundary: str, number: int) -> int:
    """Publish in a forked process that is killed when a boundary is crossed for the n-th time; how it ended."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    crossed = 0

    def kill(name: str) -> None:
        nonlocal crossed
        crossed += name == boundary
        if crossed == number:
            os.kill(os.getpid(), signal.SIGKILL)

    try:
        commit.boundary = kill
        publish_day(settings, NEXT)
    finally:
        os._exit(0)  # nothing of pytest's may go on in the child


@pytest.mark.parametrize(("boundary", "number"), CASES, ids=[f"{name}-{number}" for name, number in CASES])
def test_killed_at_a_boundary_readers_keep_a_whole_version_and_the_next_run_completes_the_other(
    shop: Settings, boundary: str, number: int
) -> None:
    assert publish_and_die(shop, boundary, number) == -signal.SIGKILL
    seen, _ = everything_live(shop)
    assert seen.day in (str(DAY), str(NEXT))

    publish_day(shop, NEXT)
    assert_next_is_published_and_nothing_else_is_left(shop)


def test_the_command_killed_before_its_flip_is_completed_by_running_it_again(
    shop: Settings, run: Run
) -> None:
    killed = run(shop, "step", "publish", "--day", str(NEXT), kill_at="objects:manifest_written")
    assert killed.returncode == -9, killed.stderr
    assert everything_live(shop)[0].day == str(DAY)
    again = run(shop, "step", "publish", "--day", str(NEXT))
    assert again.returncode == 0, again.stderr
    assert_next_is_published_and_nothing_else_is_left(shop)


def assert_next_is_published_and_nothing_else_is_left(shop: Settings) -> None:
    pointer, lists = everything_live(shop)
    assert pointer.day == str(NEXT)
    # An undisturbed run has this digest.
    scores = [float(K - place) for place in range(K)]
    assert (
        pointer.sha256 == digest(shop) == list_digest((user, lists[user], scores) for user in sorted(lists))
    )
    assert publish_day(shop, NEXT)["why"] == f"already published as {pointer.version}"
    both = {"v0001", pointer.version}
    assert keys_by_version(shop) == dict.fromkeys(both, NUM_KEYS)
    assert s3_versions(shop) == {version: ["manifest.json", "recs.parquet"] for version in both}
    assert set(State.of(shop).all(PUBLICATIONS)) == both
    with open_objects(shop) as objects:
        assert objects.pointer() == pointer


def test_an_attempt_that_wakes_after_a_newer_one_has_published_is_refused(shop: Settings, run: Run) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FORETASTE_")}
    zombie = subprocess.Popen(
        [sys.executable, "-c", _STOPPER, "objects:manifest_written", "step", "publish", "--day", str(NEXT)],
        cwd=REPOSITORY, env={**environment, "FORETASTE_HOME": str(shop.home)},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        os.waitpid(zombie.pid, os.WUNTRACED)
        # It is asleep on the brink of its flip. Its lease runs out, and another attempt goes on.
        held = run(shop, "step", "publish", "--day", str(NEXT))
        assert held.returncode == 75, held.stderr
        assert "is in step publish" in held.stderr
        for _ in range(20):
            newer = run(shop, "step", "publish", "--day", str(NEXT))
            if newer.returncode == 0:
                break
            time.sleep(1)
        assert newer.returncode == 0, newer.stderr
        published, _ = everything_live(shop)
        assert published.day == str(NEXT)
    finally:
        zombie.send_signal(signal.SIGCONT)
    _, stderr = zombie.communicate(timeout=60)
    assert zombie.returncode == 1, stderr
    assert "FenceStale" in stderr
    assert f"still served: {published.version} of {NEXT} for 300 users" in stderr
    assert everything_live(shop)[0] == published == live(shop)
    assert set(keys_by_version(shop)) == set(s3_versions(shop)) == {"v0001", published.version}
