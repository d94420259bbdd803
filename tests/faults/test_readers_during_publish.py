"""Readers that never pause, while versions come and go: no list of another version, no list missing."""

from __future__ import annotations

import json
import multiprocessing
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from contracts import names
from contracts.lists import Pointer, pack, unpack
from contracts.settings import Settings
from jobs.io.online import OnlineStore
from tests.faults.conftest import Run
from tests.publishing import (
    BUCKETS,
    DAY,
    ITEMS,
    NUM_USERS,
    everything_live,
    fresh_home,
    listed,
    live,
    publish_new,
    published_rows,
    redis_of,
)

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]

READERS, READS = 4, 5_000
Read = Callable[[Any, int], list[str]]  # a client and the number of the read → what is wrong
#: Users whose lists one reader wants to be of one version.
TOGETHER = 3


@pytest.fixture
def shop(stores: Settings, tmp_path: Path) -> Settings:
    settings = fresh_home(stores, tmp_path / "home")
    publish_new(settings, DAY)
    return settings


def read_by_hand(store: Any, number: int) -> list[str]:
    """Read several users' lists as the contract says, pinning the version once; returns what is wrong."""
    problems = []
    pointer = Pointer.from_json(store.get(names.LIVE_POINTER))
    for user in ((number * 7 + place * 101) % NUM_USERS for place in range(TOGETHER)):
        bucket = names.bucket_of(f"u{user:04d}", pointer.num_buckets)
        packed = store.hget(names.lists_key(pointer.version, bucket), f"u{user:04d}")
        if packed is None:
            problems.append(f"gap: {pointer.version} has no list of {user}")
            continue
        wanted = [str(index) for index in unpack(packed).indices]
        items = [item and json.loads(item) for item in store.hmget(names.items_key(pointer.version), wanted)]
        if None in items:
            problems.append(f"gap: {pointer.version} has not every item of {user}")
        elif [item["item_id"] for item in items] != listed(user, date.fromisoformat(pointer.day)):
            problems.append(f"mix: {pointer.version} shows {user} a list of another day than {pointer.day}")
        elif {item["title"] for item in items} != {f"{item['item_id']} of {pointer.day}" for item in items}:
            problems.append(f"mix: {pointer.version} shows {user} titles of another day than {pointer.day}")
    return problems


def read_by_ours(store: Any, number: int) -> list[str]:
    """The same through what `foretaste recommend` and `foretaste features` use."""
    user = number * 7 % NUM_USERS
    told = OnlineStore(store).read(f"u{user:04d}", 10)
    pointer, is_known = told.pointer, told.is_known
    shown = [json.loads(item) for item in told.items]
    expected = [
        {"item_id": item, "title": f"{item} of {pointer.day}"}
        for item in listed(user, date.fromisoformat(pointer.day))
    ]
    found = [{name: item[name] for name in ("item_id", "title")} for item in shown]
    problems = (
        [] if is_known and found == expected else [f"mix or gap: {pointer.version} shows {user} {found}"]
    )
    if number % 10 == 0:
        pointer, read = OnlineStore(store).read_features("user_id", f"u{user:04d}")
        wanted = features_of(f"u{user:04d}", pointer.day)
        if read is None or (read.catalogue.day, read.rows) != (pointer.day, [wanted]):
            problems.append(f"mix or gap: {pointer.version} of {pointer.day} shows other features of {user}")
    return problems


@cache
def _all_features(day: str) -> dict[str, Any]:
    return published_rows("user_id", [f"u{user:04d}" for user in range(NUM_USERS)], date.fromisoformat(day))


def features_of(user: str, day: str) -> Any:
    return _all_features(day)[user]


def _keep_reading(read: Read, settings: Settings, least: int, stop: Any, answers: Any) -> None:
    store, problems, versions = redis_of(settings), list[str](), set[str]()
    for number in count():
        if stop.is_set() and number >= least:
            break
        problems += read(store, number)
        if number % 20 == 0:
            versions.add(Pointer.from_json(store.get(names.LIVE_POINTER)).version)
    answers.put((number, sorted(versions), problems[:20], len(problems)))


@contextmanager
def readers(
    settings: Settings, least: int, *, of: tuple[Read, ...]
) -> Iterator[list[tuple[int, list[str], list[str], int]]]:
    """Processes that read for as long as the body runs and until each has read ``least`` times."""
    context = multiprocessing.get_context("fork")
    stop, queue = context.Event(), context.Queue()
    processes = [
        context.Process(target=_keep_reading, args=(read, settings, least, stop, queue)) for read in of
    ]
    answers: list[tuple[int, list[str], list[str], int]] = []
    for process in processes:
        process.start()
    try:
        yield answers
    finally:
        stop.set()
        answers += [queue.get(timeout=240) for _ in processes]
        for process in processes:
            process.join(timeout=30)


def test_ten_publications_and_two_rollbacks_mix_nothing_and_hide_nothing(shop: Settings, run: Run) -> None:
    of = (read_by_hand, read_by_hand, read_by_hand, read_by_ours)
    with readers(shop, READS, of=of) as answers:
        for number in range(1, 11):
            publish_new(shop, DAY + timedelta(days=number))
        assert run(shop, "rollback").returncode == 0
        assert run(shop, "rollback", "--version", "v0011").returncode == 0
    assert everything_live(shop)[0].version == "v0011"
    assert [problems for _, _, problems, _ in answers] == [[]] * READERS
    assert sum(num_reads for num_reads, _, _, _ in answers) >= READERS * READS
    assert len({version for _, versions, _, _ in answers for version in versions}) >= 5


def test_the_same_readers_catch_a_writer_that_overwrites_in_place(shop: Settings) -> None:
    store = redis_of(shop)
    pointer = live(shop)
    with readers(shop, 200, of=(read_by_hand, read_by_hand)) as answers:
        for number in range(1, 11):
            day = DAY + timedelta(days=number)
            pointer = Pointer(**{**vars(pointer), "day": str(day)})
            store.set(names.LIVE_POINTER, pointer.to_json())
            store.hset(
                names.items_key(pointer.version),
                mapping={
                    index: json.dumps({"item_id": item, "title": f"{item} of {day}"})
                    for index, item in enumerate(ITEMS)
                },
            )
            for user in range(NUM_USERS):
                key = names.lists_key(pointer.version, names.bucket_of(f"u{user:04d}", BUCKETS))
                indices = [ITEMS.index(item) for item in listed(user, day)]
                old = unpack(store.hget(key, f"u{user:04d}"))
                written = pack(indices, old.scores, old.source, old.is_short, len(ITEMS))
                store.hset(key, f"u{user:04d}", written)
    assert sum(num_problems for _, _, _, num_problems in answers) >= 1


def test_the_same_readers_catch_a_collector_that_deletes_at_once(shop: Settings) -> None:
    with readers(shop, 200, of=(read_by_hand, read_by_hand)) as answers:
        for number in range(1, 6):
            before = live(shop).version
            publish_new(shop, DAY + timedelta(days=number))
            store = redis_of(shop)
            store.delete(*store.keys(f"ft:{before}:*"))
            # A reader that is still at the version before is the very case: make sure that there is one.
            slow = Pointer(**{**vars(live(shop)), "version": before})
            live_now = store.get(names.LIVE_POINTER)
            store.set(names.LIVE_POINTER, slow.to_json())
            time.sleep(0.1)
            store.set(names.LIVE_POINTER, live_now)
    assert any(problem.startswith("gap") for _, _, problems, _ in answers for problem in problems)
