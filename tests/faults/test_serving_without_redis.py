"""Redis killed, stalled and restarted under the API: every answer comes in time, says where it comes from, and it recovers."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from contracts.settings import Settings
from jobs.services import status, up
from tests.publishing import DAY, ITEMS, embedded_stores, fresh_home, publish_new
from tests.serving_process import Caller, running_api, wait_for

pytestmark = [pytest.mark.faults, pytest.mark.alone, pytest.mark.timeout(180)]

#: Seconds: no answer takes longer, whatever Redis does; and it is personal again so soon after Redis is back.
PATIENCE, RECOVERY = 0.25, 2.0
READERS = 4


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Stores of its own: they are killed here."""
    with embedded_stores(tmp_path_factory.mktemp("stores")) as connected:
        yield connected


@pytest.fixture
def shop(stores: Settings, tmp_path: Path) -> Settings:
    settings = fresh_home(stores, tmp_path / "home")
    publish_new(settings, DAY)
    return settings


def pid_of(stores: Settings) -> int:
    [valkey] = [server for server in status(stores) if server.name == "valkey"]
    return valkey.pids[0]


@contextmanager
def readers(api: Caller) -> Iterator[list[dict[str, Any]]]:
    """Callers that never pause; every answer that they get."""
    answers: list[dict[str, Any]] = []
    failures: list[BaseException] = []
    is_over = threading.Event()

    def read(number: int) -> None:
        try:
            with api.another() as caller:
                while not is_over.is_set():
                    answers.append(caller.decide(f"u{number:04d}"))
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=read, args=(number,)) for number in range(READERS)]
    for thread in threads:
        thread.start()
    try:
        yield answers
    finally:
        is_over.set()
        for thread in threads:
            thread.join()
    assert failures == []


def kill_and_restart(stores: Settings) -> Callable[[], None]:
    os.kill(pid_of(stores), signal.SIGKILL)
    return lambda: void(up(stores, only={"valkey", "seaweedfs"}))


def stall(stores: Settings) -> Callable[[], None]:
    pid = pid_of(stores)
    os.kill(pid, signal.SIGSTOP)
    return lambda: os.kill(pid, signal.SIGCONT)


def void(_: object) -> None:
    """Nothing."""


@pytest.mark.parametrize("harm", [kill_and_restart, stall])
def test_every_answer_comes_in_time_and_it_recovers(
    stores: Settings, shop: Settings, harm: Callable[[Settings], Callable[[], None]]
) -> None:
    late = late_answers(stores, shop, harm)
    # A machine that stands still for a moment makes an answer late once; a fault of ours does so each time.
    assert late == 0 or late_answers(stores, shop, harm) == 0


def late_answers(stores: Settings, shop: Settings, harm: Callable[[Settings], Callable[[], None]]) -> int:
    """How many answers came late while the store was harmed and mended under readers."""
    with running_api(shop) as api, readers(api) as answers:
        time.sleep(0.5)
        assert {answer["source"] for answer in answers} == {"personal"}
        mend = harm(stores)
        begun = time.monotonic()
        wait_for(lambda: api.decide("u0001")["source"] == "snapshot", 5)
        assert time.monotonic() - begun < PATIENCE
        assert "away" in api.health()["reasons"][0]
        time.sleep(1)
        harmed = api.decide("u0001", count=3)
        assert [item["item_id"] for item in harmed["items"]] == ITEMS[-3:][::-1]
        assert harmed["fallback"] == "store_away"
        mend()
        begun = time.monotonic()
        wait_for(lambda: api.decide("u0001")["source"] == "personal", 10)
        assert time.monotonic() - begun < RECOVERY
        assert not any("away" in reason for reason in api.health()["reasons"])
        time.sleep(0.3)
        num_in_time, num_answers = api.decisions_within(PATIENCE)
    assert num_answers > 100
    assert {answer["source"] for answer in answers} == {"personal", "snapshot"}
    return num_answers - num_in_time


def test_an_api_that_is_started_while_redis_is_dead_answers_from_its_disk_and_recovers(
    stores: Settings, shop: Settings
) -> None:
    with running_api(shop) as api:
        wait_for((shop.home / "serving" / "snapshot").exists, 5)
        assert api.decide("u0001")["source"] == "personal"
    mend = kill_and_restart(stores)
    try:
        with running_api(shop) as api:
            decision = api.decide("u0001", count=3)
            assert (decision["source"], decision["version"]) == ("snapshot", "v0001")
            assert [item["item_id"] for item in decision["items"]] == ITEMS[-3:][::-1]
            mend()
            assert wait_for(lambda: api.decide("u0001")["source"] == "personal", 10) < RECOVERY
    finally:
        mend()
