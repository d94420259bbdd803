"""What the API has acknowledged is in its journal, once, whatever order and company it came in."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.errors import JournalUnavailable
from contracts.journal import DECISIONS, EVENTS, journal_folder, journal_path
from jobs.io.journal import Journal
from jobs.shown import Shipment
from serving.decision_log import LOGGED, UNLOGGED, DecisionLog
from serving.events import Events
from serving.group_commit import GroupCommit
from serving.journal import NEW, DecisionJournal, Record
from tests.event_log import DAY, NEXT, decided, decision, event, ingested, noon, stored

pytestmark = pytest.mark.contract

SENT = {f"e{number}": event(number, value=float(number)) for number in range(12)}


@st.composite
def requests(draw: st.DrawFn) -> list[Any]:
    """Every event at least once, some again, in any order, alone or in batches."""
    again = draw(st.lists(st.sampled_from(sorted(SENT)), max_size=12))
    order = draw(st.permutations([*SENT, *again]))
    cuts = sorted(draw(st.sets(st.integers(1, len(order) - 1))))
    batches = [order[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(order)], strict=True)]
    return [SENT[ids[0]] if len(ids) == 1 else {"events": [SENT[each] for each in ids]} for ids in batches]


@given(requests(), st.booleans())
@settings(max_examples=60, deadline=None)
def test_any_order_repetition_and_batching_gives_the_same_rows(sent: list[Any], is_interrupted: bool) -> None:
    home = Path(tempfile.mkdtemp())
    try:
        middle = len(sent) // 2 if is_interrupted else len(sent)
        answers = asyncio.run(ingested(home, sent[:middle])) + asyncio.run(ingested(home, sent[middle:]))
        assert sum(each.accepted for each in answers) == len(SENT)
        assert not any(each.conflicts or each.refused for each in answers)
        rows = sorted(map(str, Shipment(Journal(home), DAY).events()))
        assert rows == EXPECTED
    finally:
        shutil.rmtree(home)


EXPECTED = sorted(
    str([each["event_id"], each["user_id"], each["item_id"], "view", each["occurred_at"],
         None, None, None, each["value"], None, None, None, None, None, None])
    for each in SENT.values()
)  # fmt: skip


def test_another_event_under_a_known_id_is_a_conflict_and_the_first_counts(tmp_path: Path) -> None:
    first, other = event(1, value=1.0), event(1, value=2.0)
    answers = asyncio.run(ingested(tmp_path, [{"events": [first, other]}]))
    answers += asyncio.run(ingested(tmp_path, [other, first]))
    assert [(each.accepted, each.duplicates, len(each.conflicts)) for each in answers] == [
        (1, 0, 1),
        (0, 0, 1),
        (0, 1, 0),
    ]
    assert answers[1].conflicts[0].event_id == "e1"
    assert stored(tmp_path) == [first]


def test_an_event_is_known_on_the_next_day_and_lands_as_a_duplicate_later(tmp_path: Path) -> None:
    for offset, told in enumerate([(1, 0), (0, 1), (1, 0)]):
        (answer,) = asyncio.run(ingested(tmp_path, [event(1)], DAY + timedelta(days=offset)))
        assert (answer.accepted, answer.duplicates) == told


def test_two_processes_know_each_others_events(tmp_path: Path) -> None:
    async def interleaved() -> list[tuple[int, int]]:
        one, two = Events(tmp_path), Events(tmp_path)
        try:
            answers = [
                await each.ingest(event(number), noon())
                for number, each in [(1, one), (1, two), (2, two), (2, one), (1, one)]
            ]
        finally:
            await one.close()
            await two.close()
        return [(each.accepted, each.duplicates) for each in answers]

    assert asyncio.run(interleaved()) == [(1, 0), (0, 1), (1, 0), (0, 1), (0, 1)]


def test_what_arrives_after_a_day_was_closed_is_the_next_days(tmp_path: Path) -> None:
    async def around_the_close() -> None:
        events = Events(tmp_path)
        await events.ingest(event(1), noon())
        await asyncio.to_thread(Journal(tmp_path).close_day, DAY)
        await events.ingest({"events": [event(1), event(2)]}, noon())
        await events.close()

    asyncio.run(around_the_close())
    assert [each["event_id"] for each in stored(tmp_path)] == ["e1"]
    assert [each["event_id"] for each in stored(tmp_path, NEXT)] == ["e2"]


def test_many_who_wait_share_a_write(tmp_path: Path) -> None:
    async def at_once() -> None:
        events = Events(tmp_path)
        await asyncio.gather(*(events.ingest(event(number), noon()) for number in range(200)))
        await events.close()

    asyncio.run(at_once())
    assert len(stored(tmp_path)) == 200
    assert len(_groups(tmp_path)) < 100


def _groups(home: Path) -> list[bytes]:
    import sqlite3

    connection = sqlite3.connect(journal_path(home, EVENTS, DAY))
    try:
        return [lines for (lines,) in connection.execute("select lines from groups order by number")]
    finally:
        connection.close()


def test_a_torn_tail_is_cut_off_at_a_group_and_what_stands_before_it_is_whole(tmp_path: Path) -> None:
    async def killed_copy() -> None:
        """What lies on the disk while the API is still at work: the newest groups are in the write-ahead log alone."""
        events = Events(tmp_path / "running")
        for number in range(6):
            await events.ingest(event(number), noon())
        shutil.copytree(tmp_path / "running", tmp_path / "killed")
        await events.close()

    asyncio.run(killed_copy())
    log = journal_path(tmp_path / "killed", EVENTS, DAY)
    log = log.with_name(log.name + "-wal")
    whole = log.read_bytes()
    found = set()
    for kept in (*range(0, len(whole), 997), len(whole)):
        home = tmp_path / f"torn-{kept}"
        shutil.copytree(tmp_path / "killed", home)
        (home / log.relative_to(tmp_path / "killed")).write_bytes(whole[:kept])
        (home / "journal" / f"{log.name.removesuffix('-wal')}-shm").unlink()
        asyncio.run(ingested(home, [event(99)]))
        ids = [each["event_id"] for each in stored(home)]
        assert ids == [*(f"e{number}" for number in range(len(ids) - 1)), "e99"]
        found.add(len(ids))
    assert found == set(range(1, 8))


def test_a_folder_that_cannot_be_written_is_an_error_and_nothing_counts(tmp_path: Path) -> None:
    journal_folder(tmp_path).write_text("no folder")

    async def refused() -> None:
        events = Events(tmp_path)
        with pytest.raises(JournalUnavailable, match="Send it again"):
            await events.ingest(event(1), noon())
        journal_folder(tmp_path).unlink()
        assert (await events.ingest(event(1), noon())).accepted == 1
        await events.close()

    asyncio.run(refused())
    assert len(stored(tmp_path)) == 1


def test_what_waits_is_bounded_and_nobody_waits_long() -> None:
    async def stuck() -> None:
        is_free = asyncio.Event()
        loop = asyncio.get_running_loop()

        def commit(items: list[int]) -> list[int]:
            asyncio.run_coroutine_threadsafe(is_free.wait(), loop).result()
            return items

        commits = GroupCommit[int, int](commit, lambda: None, most_waiting=3, patience=0.05)
        first = asyncio.create_task(commits.add([1, 2]))
        await asyncio.sleep(0)
        with pytest.raises(JournalUnavailable, match="no more than 3"):
            await commits.add([3, 4])
        with pytest.raises(JournalUnavailable, match="within"):
            await first
        is_free.set()
        assert await commits.add([5]) == [5]
        await commits.close()
        with pytest.raises(JournalUnavailable, match="closed"):
            await commits.add([6])

    asyncio.run(stuck())


def test_what_is_written_lazily_reaches_the_disk_also_while_more_arrives(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("serving.group_commit._REST_SECONDS", 0.05)
    num_rests = 0

    def rest() -> None:
        nonlocal num_rests
        num_rests += 1

    async def steady() -> None:
        commits = GroupCommit[int, int](list, rest, most_waiting=9, patience=1)
        for number in range(30):
            await commits.add([number])
            await asyncio.sleep(0.01)
        await commits.close()

    asyncio.run(steady())
    assert 2 <= num_rests < 20


def test_nobody_waits_for_what_reaches_the_disk_lazily(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.group_commit._REST_SECONDS", 0.01)
    is_resting, is_free = threading.Event(), threading.Event()

    def rest() -> None:
        is_resting.set()
        is_free.wait(10)

    async def while_it_rests() -> list[int]:
        commits = GroupCommit[int, int](list, rest, most_waiting=9, patience=1)
        assert await asyncio.to_thread(is_resting.wait, 10)
        written = await commits.add([1])
        is_free.set()
        await commits.close()
        return list(written)

    assert asyncio.run(while_it_rests()) == [1]


def test_who_stops_waiting_takes_nothing_from_the_others() -> None:
    async def one_leaves() -> None:
        commits = GroupCommit[int, str](
            lambda items: [NEW] * len(items), lambda: None, most_waiting=9, patience=1
        )
        leaving, staying = (asyncio.create_task(commits.add([number])) for number in (1, 2))
        await asyncio.sleep(0)
        leaving.cancel()
        assert await staying == [NEW]
        await commits.close()

    asyncio.run(one_leaves())


def test_a_decision_is_logged_as_it_was_made(tmp_path: Path) -> None:
    assert asyncio.run(decided(tmp_path, [decision("v0001:a")])) == [LOGGED]
    (found,) = stored(tmp_path, kind=DECISIONS)
    assert found == {
        "decision_id": "v0001:a", "decided_at": "2026-01-05T12:00:00Z", "user_id": "u1", "surface": "home", "version": "v0001",
        "source": "personal", "fallback": None,
        "items": [{"item_id": "i1", "position": 1, "propensity": 0.5}, {"item_id": "i2", "position": 2, "propensity": 0.5}],
        "made_from": "personal", "is_short": False, "rules_applied": ["filter:no-wine"], "rules_dropped": ["pin:card"], "variant": None, "shadow": [],
    }  # fmt: skip


def test_what_is_decided_after_a_day_was_closed_is_the_next_days(tmp_path: Path) -> None:
    journal = DecisionJournal(tmp_path)
    journal.commit([Record(DAY, b'{"decision_id": "v0001:a"}')])
    Journal(tmp_path).close_day(DAY)
    journal.commit([Record(DAY, b'{"decision_id": "v0001:b"}')])
    journal.close()
    for day, decision_id in ((DAY, "v0001:a"), (NEXT, "v0001:b")):
        assert [each["decision_id"] for each in stored(tmp_path, day, kind=DECISIONS)] == [decision_id]


def test_a_decision_that_could_not_be_logged_is_told_and_counted(tmp_path: Path) -> None:
    journal_folder(tmp_path).write_text("no folder")

    async def unlogged() -> dict[str, int]:
        log = DecisionLog(tmp_path)
        assert await log.write(decision("v0001:a")) == UNLOGGED
        journal_folder(tmp_path).unlink()
        await log.prepare(DAY)  # a new file may take longer than a decision waits
        assert await log.write(decision("v0001:b")) == LOGGED
        await log.close()
        return dict(log.counts)

    assert asyncio.run(unlogged()) == {LOGGED: 1, UNLOGGED: 1}
    assert [each["decision_id"] for each in stored(tmp_path, kind=DECISIONS)] == ["v0001:b"]
