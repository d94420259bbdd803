"""The journal under kill -9 and failing disks: acknowledged ⊆ stored ⊆ sent, and nothing twice."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from benchmarks.kills import event_of, killed_under_load, stored_ids
from contracts.errors import JournalUnavailable
from contracts.journal import EVENTS
from jobs.io.journal import Journal
from jobs.ship import ship
from serving.events import Events
from tests.event_log import DAY, decided, decision, event, ingested, noon, stored
from tests.faults.conftest import Run
from tests.faults.failing_disk import fail_every_fsync, let_no_file_grow_beyond
from tests.shop import Shop

pytestmark = pytest.mark.faults


@pytest.mark.parametrize("num_kills", [10, pytest.param(100, marks=pytest.mark.slow)])
def test_kills_under_load_lose_nothing_that_was_acknowledged_and_invent_nothing(
    tmp_path: Path, num_kills: int
) -> None:
    told = killed_under_load(tmp_path, num_kills)
    ids = stored_ids(tmp_path)
    assert len(ids) == len(set(ids))
    assert told.acked <= set(ids) <= told.sent
    assert len(told.acked) > 20 * num_kills
    assert all(each == event_of(each["event_id"]) for each in stored(tmp_path))
    # Who sends again what was not acknowledged loses nothing, and what was is known.
    again = sorted(each for each in told.sent if each.startswith("run"))
    batches = [
        {"events": [event_of(each) for each in again[begin : begin + 500]]}
        for begin in range(0, len(again), 500)
    ]
    answers = asyncio.run(ingested(tmp_path, batches))
    assert sum(each.accepted for each in answers) == len(set(again) - set(ids))
    assert {each["event_id"] for each in stored(tmp_path)} == set(again)


def in_a_child(work: Callable[[], None]) -> None:
    """Do something in a process of its own, which it may spoil."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0


def test_a_failing_fsync_is_an_error_and_never_an_acknowledgement(tmp_path: Path) -> None:
    asyncio.run(ingested(tmp_path, [event(number) for number in range(2)]))

    async def failing() -> None:
        events = Events(tmp_path)
        await events.ingest(event(2), noon())
        fail_every_fsync()
        for number in range(3, 6):
            with pytest.raises(JournalUnavailable, match="disk I/O error"):
                await events.ingest(event(number), noon())
        os._exit(0)

    in_a_child(lambda: asyncio.run(failing()))
    (answer,) = asyncio.run(ingested(tmp_path, [{"events": [event(number) for number in range(7)]}]))
    assert answer.accepted + answer.duplicates == 7
    assert answer.duplicates >= 3
    assert sorted(each["event_id"] for each in stored(tmp_path)) == [f"e{number}" for number in range(7)]


def test_a_full_disk_is_an_error_and_what_was_acknowledged_stays(tmp_path: Path) -> None:
    pipe_out, pipe_in = os.pipe()

    async def filling() -> None:
        let_no_file_grow_beyond(300_000)
        events, num_acked = Events(tmp_path), 0
        with suppress(JournalUnavailable):
            while num_acked < 10_000:
                await events.ingest(event(num_acked, session_id="s" * 100), noon())
                num_acked += 1
        os.write(pipe_in, str(num_acked).encode())
        os._exit(0)

    in_a_child(lambda: asyncio.run(filling()))
    num_acked = int(os.read(pipe_out, 100))
    ids = [each["event_id"] for each in stored(tmp_path)]
    assert 10 < num_acked < 10_000
    assert ids[:num_acked] == [f"e{number}" for number in range(num_acked)]
    assert len(ids) <= num_acked + 1
    (answer,) = asyncio.run(ingested(tmp_path, [event(20_000)]))
    assert answer.accepted == 1


@pytest.mark.parametrize(
    "boundary", ["journal:closed", "journal:delivered", "journal:shipped", "journal:removed"]
)
def test_shipping_that_is_killed_and_repeated_delivers_the_same_bytes(
    tmp_path: Path, run: Run, boundary: str
) -> None:
    shops = Shop(tmp_path / "killed"), Shop(tmp_path / "undisturbed")
    for each in shops:
        asyncio.run(decided(each.settings.home, [decision("v0001:a")]))
        asyncio.run(ingested(each.settings.home, [event(number) for number in range(5)]))
    killed, undisturbed = shops
    until = "2026-01-20"
    assert run(undisturbed.settings, "ship", "--day", until).returncode == 0
    assert run(killed.settings, "ship", "--day", until, kill_at=boundary).returncode == -signal.SIGKILL
    if boundary == "journal:closed":  # what arrives in between is the next day's
        asyncio.run(ingested(killed.settings.home, [event(99)]))
        assert [
            each["event_id"] for each in stored(killed.settings.home, datetime(2026, 1, 6, tzinfo=UTC).date())
        ] == ["e99"]
    again = run(killed.settings, "ship", "--day", str(DAY))
    assert again.returncode == 0, again.stderr
    files = [
        {path.name: path.read_bytes() for path in (each.feed / "events" / f"received={DAY}").iterdir()}
        for each in shops
    ]
    assert files[0] == files[1]
    assert run(killed.settings, "ship", "--day", until).returncode == 0
    assert not list(Journal(killed.settings.home).lines(EVENTS, DAY))
    assert ship(killed.settings, DAY) == []
