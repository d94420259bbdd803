"""A publication that is killed anywhere leaves readers a whole version, and the next run finishes it."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
import pytest
import redis
from conftest import Run

from contracts import names
from contracts.errors import FenceStale, GateRefused, StoreUnfit
from contracts.lists import Pointer, unpack
from contracts.settings import Settings
from contracts.tables import DIM_ITEMS, FEAT_ITEM_DAILY, LISTS
from jobs import publish
from jobs.io.lake import Lake
from jobs.io.objects import open_objects
from jobs.io.online import open_online_store
from jobs.io.schemas import arrow_schema
from jobs.io.state import PUBLICATIONS, RUNS, State
from jobs.recommend import recommend
from jobs.rollback import rollback
from jobs.runs import StepContext

pytestmark = pytest.mark.faults

DAY = date(2011, 3, 1)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
NUM_USERS, NUM_ITEMS, K = 300, 40, 10
BOUNDARIES = (
    "online:written", "online:verified", "objects:data_written", "objects:manifest_written", "online:flipped",
    "objects:pointer_written", "state:recorded", "online:collected",
)  # fmt: skip


@pytest.fixture
def home(stores: Settings) -> Settings:
    """The stores without anything published, and a state that remembers nothing."""
    client(stores).flushall()
    with open_objects(stores) as objects:
        objects._client.delete_object(Bucket=stores.s3_bucket, Key=names.PUBLISHED_POINTER)
    (stores.home / "state" / "state.sqlite").unlink(missing_ok=True)
    return stores


def client(settings: Settings) -> redis.Redis:
    return redis.Redis.from_url(settings.redis_url.get_secret_value())


def score(settings: Settings, day: date) -> None:
    """Lists of a day in the lake, which name the day: user u gets items that depend on both."""
    state = State.of(settings)
    with state.lease("score", "score", 60, is_last=True) as lease:
        lake = Lake.of(settings, lease)
        items = [f"i{number:03d}" for number in range(NUM_ITEMS)]
        catalogue = [
            {"item_id": item, "feature_date": day, "title": f"{item} of {day}", "category": "c", "brand": None,
             "price_cents": 100, "is_available": True}
            for item in items
        ]  # fmt: skip
        lake.replace(
            DIM_ITEMS.name, day, pa.Table.from_pylist(catalogue, schema=arrow_schema(DIM_ITEMS)), inputs="x"
        )
        features = [
            {
                **dict.fromkeys(FEAT_ITEM_DAILY.columns),
                "item_id": item,
                "feature_date": day,
                "popularity_7d": 5,
            }
            for item in items
        ]
        lake.replace(
            FEAT_ITEM_DAILY.name,
            day,
            pa.Table.from_pylist(features, schema=arrow_schema(FEAT_ITEM_DAILY)),
            inputs="x",
        )
        rows = [
            {
                "user_id": f"u{user:04d}", "source": "personal", "is_short": False,
                "item_ids": [items[(user + day.day + place) % NUM_ITEMS] for place in range(K)],
                "scores": [float(K - place) + day.day / 100 for place in range(K)],
            }
            for user in range(NUM_USERS)
        ]  # fmt: skip
        lake.replace(LISTS.name, day, pa.Table.from_pylist(rows, schema=arrow_schema(LISTS)), inputs="x")
        manifest = {"champion": "1", "settings": {"list_length": K}, "feed": {"repeats_allowed": True}}
        state.put(RUNS, f"daily/{day}", {"manifest": manifest})


def publish_day(settings: Settings, day: date) -> dict[str, object]:
    score(settings, day)
    with State.of(settings).lease("publish", "publish", 60, is_last=True) as lease:
        return publish.run(day, StepContext.of(settings, lease), now=NOW)


def whole_version(settings: Settings) -> tuple[Pointer, dict[str, list[str]]]:
    """What a reader gets who reads everything; fails when something is missing."""
    store = client(settings)
    live = store.get(names.LIVE_POINTER)
    assert isinstance(live, bytes)
    pointer = Pointer.from_json(live)
    items = {
        int(index): json.loads(item)["item_id"]
        for index, item in store.hgetall(names.items_key(pointer.version)).items()
    }
    lists = {}
    for bucket in range(pointer.num_buckets):
        for user, packed in store.hgetall(names.lists_key(pointer.version, bucket)).items():
            lists[user.decode()] = [items[index] for index in unpack(packed).indices]
    assert len(lists) == pointer.num_users
    return pointer, lists


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_killed_at_a_boundary_readers_see_a_whole_version_and_the_next_run_finishes(
    home: Settings, run: Run, boundary: str
) -> None:
    publish_day(home, DAY)
    before, lists_before = whole_version(home)
    score(home, DAY + timedelta(days=1))
    arguments = ("step", "publish", "--day", str(DAY + timedelta(days=1)))
    # The record of the run's digest is the first thing that the step writes to the state; the publication the second.
    killed = run(home, *arguments, kill_at=boundary, number=2 if boundary == "state:recorded" else 1)
    assert killed.returncode == -9, killed.stderr
    seen, lists = whole_version(home)
    assert (seen.version, lists) == (before.version, lists_before) or seen.day == str(DAY + timedelta(days=1))

    again = run(home, *arguments)
    assert again.returncode == 0, again.stderr
    after, lists = whole_version(home)
    assert after.day == str(DAY + timedelta(days=1))
    assert after.version == "v0002"
    assert lists != lists_before
    with open_objects(home) as objects:
        in_s3 = objects.pointer()
    assert in_s3 is not None
    assert (in_s3.version, in_s3.sha256) == (after.version, after.sha256)
    assert list(State.of(home).all(PUBLICATIONS)) == ["v0001", "v0002"]


def test_publishing_the_same_lists_again_changes_nothing(home: Settings) -> None:
    first = publish_day(home, DAY)
    again = publish_day(home, DAY)
    assert (first["published"], again["published"]) == (True, False)
    assert again["version"] == first["version"] == "v0001"


def test_a_backfill_records_its_digest_and_moves_nothing(home: Settings) -> None:
    publish_day(home, DAY)
    told = publish_day(home, DAY - timedelta(days=1))
    assert told["published"] is False
    assert whole_version(home)[0].day == str(DAY)
    record = State.of(home).get(RUNS, f"daily/{DAY - timedelta(days=1)}")
    assert record is not None
    assert record["digest"] == told["digest"]


def test_three_versions_are_kept_and_a_rollback_goes_to_any_of_them(home: Settings) -> None:
    for number in range(5):
        publish_day(home, DAY + timedelta(days=number))
    with open_online_store(home) as store:
        assert list(store.versions()) == ["v0003", "v0004", "v0005"]
    told = rollback(home, None, NOW)
    assert (told["version"], told["s3"]) == ("v0004", "moved")
    assert whole_version(home)[0].version == "v0004"
    assert rollback(home, "v0003", NOW)["version"] == "v0003"
    assert recommend(home, "u0001", 3)["version"] == "v0003"
    # The next day goes on from there.
    assert publish_day(home, DAY + timedelta(days=6))["version"] == "v0006"


def test_a_stranger_gets_popular_items_and_is_told_so(home: Settings) -> None:
    publish_day(home, DAY)
    answer = recommend(home, "nobody", 4)
    assert (answer["source"], answer["is_known"], len(answer["items"])) == ("popular", False, 4)
    assert answer["items"][0]["title"] == f"i000 of {DAY}"


def test_a_zombie_that_wakes_after_a_newer_publication_is_refused(home: Settings) -> None:
    publish_day(home, DAY)
    with open_online_store(home) as store:
        live = store.pointer()
        assert live is not None
        with pytest.raises(FenceStale, match="is stale"):
            store.flip(replace(live, version="v0009", fence=live.fence - 1), None)
    assert whole_version(home)[0].version == live.version


def test_a_store_that_evicts_is_refused_and_what_is_published_stays(home: Settings) -> None:
    publish_day(home, DAY)
    client(home).config_set("maxmemory-policy", "allkeys-lru")
    try:
        with pytest.raises(StoreUnfit, match="allkeys-lru"):
            publish_day(home, DAY + timedelta(days=1))
    finally:
        client(home).config_set("maxmemory-policy", "noeviction")
    assert whole_version(home)[0].day == str(DAY)


ROW = {"user_id": "u", "item_ids": ["a", "b"], "scores": [2.0, 1.0], "is_short": False}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"item_ids": ["a", "a"]}, "twice"),
        ({"item_ids": ["a", "z"]}, "not in the catalogue"),
        ({"scores": [2.0, float("nan")]}, "not finite"),
        ({"scores": [1.0, 2.0]}, "rise"),
        ({"item_ids": ["a"], "scores": [1.0]}, "holds 1 of 2"),
        ({"is_short": True}, "is_short=True"),
        ({"scores": [2.0]}, "one an item"),
    ],
)
def test_a_list_that_nobody_may_be_given_stops_the_publication(
    changes: dict[str, object], message: str
) -> None:
    publish.refuse_unreadable([ROW], {"a", "b"}, 2)
    with pytest.raises(GateRefused, match=message):
        publish.refuse_unreadable([ROW, {**ROW, **changes}], {"a", "b"}, 2)


def test_readers_see_no_mix_and_no_gap_during_ten_publications_and_a_rollback(home: Settings) -> None:
    publish_day(home, DAY)
    stop, problems, reads = threading.Event(), [], []

    def read() -> None:
        store = client(home)
        count = 0
        while not stop.is_set() or count < 1000:
            live = store.get(names.LIVE_POINTER)
            assert isinstance(live, bytes)
            pointer = Pointer.from_json(live)
            day = date.fromisoformat(pointer.day)
            for user in (count % NUM_USERS, (count * 7) % NUM_USERS):
                key = names.lists_key(pointer.version, names.bucket_of(f"u{user:04d}", pointer.num_buckets))
                packed = store.hget(key, f"u{user:04d}")
                expected = tuple((user + day.day + place) % NUM_ITEMS for place in range(K))
                if not isinstance(packed, bytes) or unpack(packed).indices != expected:
                    problems.append((pointer.version, user))
            count += 1
        reads.append(count)

    readers = [threading.Thread(target=read) for _ in range(4)]
    for reader in readers:
        reader.start()
    for number in range(1, 11):
        publish_day(home, DAY + timedelta(days=number))
    rollback(home, None, NOW)
    stop.set()
    for reader in readers:
        reader.join()
    assert problems == []
    assert sum(reads) >= 4000


def test_the_reader_above_would_notice_a_writer_that_overwrites_in_place(home: Settings) -> None:
    publish_day(home, DAY)
    pointer, _ = whole_version(home)
    store = client(home)
    key = names.lists_key(pointer.version, names.bucket_of("u0001", pointer.num_buckets))
    packed = store.hget(key, "u0001")
    assert isinstance(packed, bytes)
    store.hset(key, "u0001", packed[:1] + packed[3:5] + packed[1:3] + packed[5:])
    changed = store.hget(key, "u0001")
    assert isinstance(changed, bytes)
    assert unpack(changed).indices != tuple((1 + DAY.day + place) % NUM_ITEMS for place in range(K))
