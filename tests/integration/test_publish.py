"""Publishing to a real Valkey and a real S3: whole versions, one pointer each, and the way back."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from pydantic import SecretStr

from contracts import names
from contracts.errors import FenceStale, GateRefused, PartitionMissing, ServiceUnreachable, StoreUnfit
from contracts.lists import Pointer, list_digest
from contracts.settings import Settings, load_settings
from contracts.tables import FEAT_USER_DAILY
from jobs import publish, recommend, rollback, status
from jobs.io.lake import Lake
from jobs.io.objects import open_objects
from jobs.io.online import OnlineStore, open_online_store
from jobs.io.online_content import Content
from jobs.io.state import LANDINGS, PROMOTIONS, PUBLICATIONS, ROLLBACKS, RUNS, State
from jobs.published_features import published_features, render
from jobs.runs import StepContext
from simulator.published import read_published
from tests.publishing import (
    BUCKETS,
    DAY,
    ITEMS,
    NOW,
    NUM_KEYS,
    NUM_USERS,
    K,
    columns_of,
    everything_live,
    keys_by_version,
    listed,
    live,
    publish_day,
    publish_new,
    reasons,
    redis_of,
    s3_of,
    s3_versions,
    score,
)

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

REPOSITORY = Path(__file__).resolve().parents[2]
NEXT = DAY + timedelta(days=1)


def foretaste(settings: Settings, *arguments: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "jobs.cli", *arguments, "--json"],
        cwd=REPOSITORY, env={**os.environ, "FORETASTE_HOME": str(settings.home)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return dict(json.loads(done.stdout))


def s3_pointer(settings: Settings) -> tuple[str, int]:
    with open_objects(settings) as objects:
        found = objects.pointer()
    assert found is not None
    return found.version, found.fence


# What is published


def test_both_stores_hold_the_whole_version_and_point_at_it(shop: Settings) -> None:
    told = publish_new(shop, DAY)
    expected = list_digest(
        (f"u{user:04d}", listed(user, DAY), [float(K - place) for place in range(K)])
        for user in range(NUM_USERS)
    )
    assert (told["published"], told["version"], told["users"], told["digest"]) == (
        True,
        "v0001",
        NUM_USERS,
        expected,
    )
    pointer, lists = everything_live(shop)
    assert (pointer.day, pointer.kind, pointer.champion, pointer.sha256) == (str(DAY), "daily", "1", expected)
    assert (pointer.num_users, pointer.published_at, pointer.previous) == (
        NUM_USERS,
        "2026-01-01T00:00:00+00:00",
        None,
    )
    assert State.of(shop).get(PUBLICATIONS, "v0001") == json.loads(pointer.to_json())
    run = State.of(shop).get(RUNS, f"daily/{DAY}")
    assert run is not None
    assert run["digest"] == expected

    assert s3_pointer(shop) == ("v0001", pointer.fence)
    assert sorted(s3_versions(shop)["v0001"]) == ["manifest.json", "recs.parquet"]
    client = s3_of(shop)
    data = client.get_object(Bucket=shop.s3_bucket, Key="published/v0001/recs.parquet")["Body"].read()
    manifest = json.loads(
        client.get_object(Bucket=shop.s3_bucket, Key="published/v0001/manifest.json")["Body"].read()
    )
    assert manifest["files"] == [
        {"name": "recs.parquet", "sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    ]
    assert {name: manifest[name] for name in ("sha256", "day", "kind", "champion", "num_users")} == {
        "sha256": expected, "day": str(DAY), "kind": "daily", "champion": "1", "num_users": NUM_USERS,
    }  # fmt: skip
    rows = pq.read_table(io.BytesIO(data)).to_pylist()
    assert {row["user_id"]: row["item_ids"] for row in rows} == lists


def test_publishing_the_same_lists_again_changes_nothing(shop: Settings) -> None:
    publish_new(shop, DAY)
    before = live(shop)
    told = publish_day(shop, DAY)
    assert (told["published"], told["version"], told["why"]) == (False, "v0001", "already published as v0001")
    assert live(shop) == before
    assert keys_by_version(shop) == {"v0001": NUM_KEYS}


def test_a_backfill_records_its_digest_and_moves_nothing(shop: Settings) -> None:
    publish_new(shop, NEXT)
    before = live(shop)
    told = publish_new(shop, DAY)
    assert (told["published"], told["why"]) == (
        False,
        f"{DAY} is not the newest day: a backfill moves nothing",
    )
    assert live(shop) == before
    run = State.of(shop).get(RUNS, f"daily/{DAY}")
    assert run is not None
    assert run["digest"] == told["digest"] != before.sha256


def test_after_an_outage_only_the_newest_day_goes_live(shop: Settings) -> None:
    publish_new(shop, DAY)
    second, third = DAY + timedelta(days=1), DAY + timedelta(days=2)
    State.of(shop).put(LANDINGS, str(second), {"later_delivery": str(third)})
    caught_up = publish_new(shop, second)
    assert not caught_up["published"]
    assert "only the newest day goes live" in caught_up["why"]
    assert live(shop).day == str(DAY)
    State.of(shop).put(LANDINGS, str(third), {"later_delivery": None})
    assert publish_new(shop, third)["published"]
    assert live(shop).day == str(third)


def test_a_retraining_replaces_the_lists_of_its_day_and_the_daily_run_does_not_take_them_back(
    shop: Settings,
) -> None:
    State.of(shop).put(PROMOTIONS, "2", {"day": str(DAY)})
    publish_new(shop, DAY)
    score(shop, DAY, kind=names.RETRAIN, bonus=0.5)
    assert publish_day(shop, DAY, kind=names.RETRAIN)["version"] == "v0002"
    assert (live(shop).kind, live(shop).champion) == ("retrain", "2")
    assert publish_day(shop, DAY)["why"] == "already published as v0001"
    score(shop, DAY, bonus=0.25)
    told = publish_day(shop, DAY)
    assert (told["published"], told["why"]) == (
        False, f"v0002 is live: the lists of a newer champion for {DAY}",
    )  # fmt: skip
    assert live(shop).version == "v0002"


def test_the_newest_three_versions_are_kept_in_both_stores(shop: Settings) -> None:
    for number in range(5):
        publish_new(shop, DAY + timedelta(days=number))
    assert keys_by_version(shop) == {"v0003": NUM_KEYS, "v0004": NUM_KEYS, "v0005": NUM_KEYS}
    assert list(s3_versions(shop)) == ["v0003", "v0004", "v0005"]
    # What was let go can be read for a little longer, by whoever had begun to.
    store = redis_of(shop)
    assert 50 < store.ttl(names.items_key("v0002")) <= 60
    assert 50 < store.ttl(names.lists_key("v0002", names.bucket_of("u0001", BUCKETS))) <= 60
    assert list(State.of(shop).all(PUBLICATIONS)) == [f"v000{number}" for number in range(1, 6)]


# What is refused


def test_a_bad_list_is_refused_and_what_is_live_stays(shop: Settings) -> None:
    publish_new(shop, DAY)
    score(shop, NEXT)
    with State.of(shop).lease("spoil", "score", 60, is_last=True) as lease:
        lake = Lake.of(shop, lease)
        rows = lake.read(names.LISTS, NEXT)
        spoilt = rows.to_pylist()
        spoilt[-1]["item_ids"][1] = spoilt[-1]["item_ids"][0]
        lake.replace(names.LISTS, NEXT, type(rows).from_pylist(spoilt, schema=rows.schema), inputs="spoilt")
    with pytest.raises(GateRefused, match="'u0299' names an item twice"):
        publish_day(shop, NEXT)
    assert everything_live(shop)[0].version == "v0001"


def test_a_store_that_evicts_is_refused(shop: Settings) -> None:
    publish_new(shop, DAY)
    redis_of(shop).config_set("maxmemory-policy", "allkeys-lru")
    try:
        with pytest.raises(StoreUnfit, match="maxmemory-policy is allkeys-lru"):
            publish_new(shop, NEXT)
    finally:
        redis_of(shop).config_set("maxmemory-policy", "noeviction")
    assert everything_live(shop)[0].version == "v0001"


def test_a_store_without_room_is_refused_before_anything_is_written(shop: Settings) -> None:
    store = redis_of(shop)
    store.config_set("maxmemory", store.info("memory")["used_memory"] + 10_000)
    try:
        with pytest.raises(StoreUnfit, match="this version needs about 1"):
            publish_new(shop, DAY)
    finally:
        store.config_set("maxmemory", 0)
    assert not store.keys("ft:*")


class Spoiler(OnlineStore):
    """A store that loses or changes one list, the features of one user, what goes with one item or the rules while nobody looks."""

    def __init__(self, client: Any, spoil: str) -> None:
        super().__init__(client)
        self.spoil = spoil

    def write_version(self, version: str, content: Content) -> None:
        super().write_version(version, content)
        bucket = names.bucket_of("u0007", BUCKETS)
        what, where = self.spoil.split()
        if where == "rules":
            self._client.set(names.rules_key(version), "{}")
            return
        key, of = {
            "list": (names.lists_key(version, bucket), "u0007"),
            "features": (names.features_of_key(version, "user_id", bucket), "u0007"),
            "related": (names.related_key(version), "i008"),
            "catalogue": (names.features_key(version), ""),
        }[where]
        if what == "lost":
            self._client.hdel(key, of)
        elif what == "changed":
            packed = self._client.hget(key, of)
            self._client.hset(key, of, packed[:-1] + bytes([packed[-1] ^ 1]))
        else:
            self._client.delete(key)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        ("lost list", "does not hold the 300 lists"),
        ("changed list", "'u0007' reads back"),
        ("lost features", "or not the features"),
        ("lost related", "or not the related items"),
        ("changed related", "what is related to one"),
        ("changed features", "the features of user_id 'u0007' are"),
        ("no catalogue", "or not the features"),
        ("other rules", "or not the features or the rules"),
    ],
)
def test_what_reads_back_differently_never_becomes_live_and_leaves_nothing(
    shop: Settings, monkeypatch: pytest.MonkeyPatch, spoil: str, message: str
) -> None:
    publish_new(shop, DAY)
    monkeypatch.setattr("jobs.io.online.OnlineStore", lambda client: Spoiler(client, spoil))
    with pytest.raises(StoreUnfit, match=message):
        publish_new(shop, NEXT)
    assert everything_live(shop)[0].version == "v0001"
    assert keys_by_version(shop) == {"v0001": NUM_KEYS}
    assert list(s3_versions(shop)) == ["v0001"]


def test_without_s3_nothing_becomes_live_and_the_next_attempt_publishes(shop: Settings) -> None:
    publish_new(shop, DAY)
    with pytest.raises(ServiceUnreachable, match=r"S3 at http://127\.0\.0\.1:1, bucket"):
        publish_new(shop.model_copy(update={"s3_endpoint_url": "http://127.0.0.1:1"}), NEXT)
    assert everything_live(shop)[0].version == "v0001"
    publish_day(shop, NEXT)
    assert everything_live(shop)[0].day == str(NEXT)
    assert len(keys_by_version(shop)) == len(s3_versions(shop)) == 2


def test_an_attempt_that_has_lost_its_lease_is_refused_and_leaves_nothing(shop: Settings) -> None:
    publish_new(shop, DAY)
    score(shop, NEXT)
    clock = [time.time()]
    state = State(shop.resolved_state_url, clock=lambda: clock[0])
    with state.lease("slow", "publish", 60, is_last=True) as zombies:
        clock[0] += 3600  # it sleeps
        with state.lease("newer", "publish", 60, is_last=True) as lease:
            publish.run(NEXT, StepContext.of(shop, lease), now=NOW)
        newer = live(shop)
        score_again = StepContext.of(shop, zombies)
        State.of(shop).put(RUNS, f"daily/{NEXT}", {"manifest": {**_manifest(shop), "champion": "other"}})
        with pytest.raises(FenceStale, match="of run slow is stale: newer holds"):
            publish.run(NEXT, score_again, now=NOW)
    assert live(shop) == newer
    assert keys_by_version(shop) == {"v0001": NUM_KEYS, newer.version: NUM_KEYS}
    assert list(s3_versions(shop)) == ["v0001", newer.version]


def _manifest(settings: Settings) -> dict[str, Any]:
    run = State.of(settings).get(RUNS, f"daily/{NEXT}")
    assert run is not None
    return dict(run["manifest"])


# The way back


def test_a_rollback_goes_to_what_was_live_before_and_the_next_day_goes_on_from_there(shop: Settings) -> None:
    for number in range(3):
        publish_new(shop, DAY + timedelta(days=number))
    fence = live(shop).fence
    told = rollback.rollback(shop, None, NOW)
    assert (told["version"], told["from"], told["s3"]) == ("v0002", "v0003", "moved")
    pointer, _ = everything_live(shop)
    assert (pointer.version, pointer.day) == ("v0002", str(NEXT))
    assert s3_pointer(shop) == ("v0002", pointer.fence)
    assert pointer.fence > fence
    assert State.of(shop).all(ROLLBACKS) == {
        f"{pointer.fence:010d}": {"from": "v0003", "to": "v0002", "at": "2026-01-01T00:00:00+00:00"}
    }
    # Running the day again does not undo what a person has decided.
    assert publish_day(shop, DAY + timedelta(days=2))["why"] == "already published as v0003"
    assert live(shop).version == "v0002"
    # The next day does, and a rollback from there leads to what was live, not to what was rolled back.
    publish_new(shop, DAY + timedelta(days=3))
    assert (live(shop).version, live(shop).previous) == ("v0004", "v0002")
    assert list(keys_by_version(shop)) != []
    assert set(keys_by_version(shop)) == {"v0002", "v0003", "v0004"}
    assert rollback.rollback(shop, None, NOW)["version"] == "v0002"
    assert everything_live(shop)[0].version == "v0002"


def test_a_rollback_goes_to_any_kept_version_also_forward_and_to_no_other(shop: Settings) -> None:
    for number in range(4):
        publish_new(shop, DAY + timedelta(days=number))
    for version in ("v0002", "v0004", "v0003", "v0003"):
        assert rollback.rollback(shop, version, NOW)["version"] == version
        assert everything_live(shop)[0].version == version
    with pytest.raises(PartitionMissing, match=r"v0001 is not kept.*--version v0002\|v0003\|v0004"):
        rollback.rollback(shop, "v0001", NOW)
    redis_of(shop).delete(names.lists_key("v0002", 5))
    with pytest.raises(StoreUnfit, match="v0002 is not whole"):
        rollback.rollback(shop, None, NOW)
    assert everything_live(shop)[0].version == "v0003"


def test_a_rollback_needs_something_to_go_back_to(shop: Settings) -> None:
    with pytest.raises(PartitionMissing, match="nothing is live"):
        rollback.rollback(shop, None, NOW)
    publish_new(shop, DAY)
    with pytest.raises(PartitionMissing, match="no version before v0001"):
        rollback.rollback(shop, None, NOW)


def test_a_rollback_works_without_s3_and_says_so(shop: Settings) -> None:
    publish_new(shop, DAY)
    publish_new(shop, NEXT)
    broken = shop.model_copy(update={"s3_endpoint_url": "http://127.0.0.1:1"})
    told = rollback.rollback(broken, None, NOW)
    assert told["s3"].startswith("not moved: S3 at http://127.0.0.1:1")
    assert everything_live(shop)[0].version == "v0001"
    problems = status.status(shop, NOW)["problems"]
    assert problems == [
        f"S3 points at v0002 of {NEXT}, Redis at v0001 of {DAY}: the next publication mends it"
    ]
    publish_day(shop, NEXT)
    assert s3_pointer(shop)[0] == "v0001"


@pytest.mark.parametrize(
    ("ends", "code"), [(lambda: os._exit(9), 9), (lambda: Path("/nowhere").read_bytes(), 1)]
)
def test_a_rollback_survives_the_process_that_moves_the_pointer_in_s3(
    shop: Settings, monkeypatch: pytest.MonkeyPatch, ends: Callable[[], Any], code: int
) -> None:
    publish_new(shop, DAY)
    publish_new(shop, NEXT)
    monkeypatch.setattr("jobs.io.objects.open_objects", lambda *_, **__: ends())  # it forks from this one
    told = rollback.rollback(shop, None, NOW)
    assert told["s3"] == f"not moved: the process that was to do it ended with {code}"
    assert everything_live(shop)[0].version == "v0001"


def test_a_publication_that_a_rollback_overtakes_is_refused(shop: Settings) -> None:
    publish_new(shop, DAY)
    publish_new(shop, NEXT)
    third = DAY + timedelta(days=2)
    score(shop, third)
    with State.of(shop).lease("publish", "publish", 60, is_last=True) as lease:
        rollback.rollback(shop, None, NOW)
        with pytest.raises(FenceStale, match="v0001 of 2011-03-01 was made live with"):
            publish.run(third, StepContext.of(shop, lease), now=NOW)
    assert live(shop).version == "v0001"
    assert set(keys_by_version(shop)) == {"v0001", "v0002"}


def test_a_rollback_lifts_the_fences_of_a_state_that_was_lost(shop: Settings, tmp_path: Path) -> None:
    for number in range(3):
        publish_new(shop, DAY + timedelta(days=number))
    (shop.home / "state" / "state.sqlite").unlink()
    score(shop, DAY + timedelta(days=3))
    with pytest.raises(FenceStale, match="rollback --version v0003"):
        publish_day(shop, DAY + timedelta(days=3))
    rollback.rollback(shop, "v0003", NOW)
    assert publish_day(shop, DAY + timedelta(days=3))["published"]
    assert everything_live(shop)[0].day == str(DAY + timedelta(days=3))


@pytest.mark.alone
def test_the_command_rolls_back_in_under_a_second(shop: Settings, tmp_path: Path) -> None:
    for number in range(3):
        publish_new(shop, DAY + timedelta(days=number))
    seconds = []
    for version in ("v0002", "v0003", "v0001", "v0002", "v0001", "v0003", "v0002"):
        seconds.append(_seconds_to_the_answer(shop, version, tmp_path / "compiled"))
        assert live(shop).version == version
    if min(seconds) >= 1 and os.getloadavg()[0] > (os.cpu_count() or 1):
        pytest.skip(f"others keep the processors busy (load {os.getloadavg()[0]:.1f}): {min(seconds):.2f} s")
    assert min(seconds) < 1, seconds


def _seconds_to_the_answer(shop: Settings, version: str, compiled: Path) -> float:
    """How long somebody waits who rolls back, with the modules compiled, as they are after the first command."""
    environment = {**os.environ, "FORETASTE_HOME": str(shop.home), "PYTHONPYCACHEPREFIX": str(compiled)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    begun = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-m", "jobs.cli", "rollback", "--version", version, "--json"],
        cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, text=True,
    ) as command:  # fmt: skip
        assert command.stdout is not None
        answer = command.stdout.readline()
        seconds = time.perf_counter() - begun
    assert json.loads(answer)["s3"] == "moved"
    return seconds


# What people ask


def test_a_user_gets_the_published_list_and_a_stranger_popular_items_and_is_told_so(shop: Settings) -> None:
    publish_new(shop, DAY)
    known = foretaste(shop, "recommend", "u0007", "--count", "3")
    assert (known["user_id"], known["version"], known["source"], known["is_known"]) == (
        "u0007",
        "v0001",
        "personal",
        True,
    )
    because = [{"item_id": item, "title": f"{item} of {DAY}"} for item in reasons(7, DAY)]
    assert known["items"] == [
        {"item_id": item, "score": float(K - place), "title": f"{item} of {DAY}", "because": told}
        for place, (item, told) in enumerate(
            zip(listed(7, DAY)[:3], (because[:1], because[1:], []), strict=True)
        )
    ]
    (_, first, second, third) = recommend.render(known).splitlines()
    one, two, three = (reason["title"] for reason in because)
    assert first.endswith(f"   (because of {one})")
    assert second.endswith(f"   (because of {two} and {three})")
    assert "because" not in third
    published = read_published(shop)
    assert published is not None
    assert published.reasons["u0007"] == [reasons(7, DAY)[:1], reasons(7, DAY)[1:], *[[]] * (K - 2)]
    stranger = recommend.recommend(shop, "nobody", 100)
    assert (stranger["source"], stranger["is_known"], len(stranger["items"])) == ("popular", False, K)
    assert [item["item_id"] for item in stranger["items"][:2]] == [ITEMS[-1], ITEMS[-2]]
    assert not any(item["because"] for item in stranger["items"])
    assert "We do not know this user: these are the items that are popular now." in recommend.render(stranger)


def test_a_user_s_features_are_told_with_unit_age_and_whether_they_may_be_relied_upon(shop: Settings) -> None:
    publish_new(shop, DAY)
    answer = foretaste(shop, "features", "u0007", "--day", str(NEXT))
    assert (answer["user_id"], answer["version"], answer["day"], answer["age_days"]) == (
        "u0007", "v0001", str(DAY), 1,
    )  # fmt: skip
    told = {(each["table"], each["name"], each["of"]): each for each in answer["features"]}
    columns = columns_of(FEAT_USER_DAILY, DAY)
    row = columns["user_id"].index("u0007")
    views, recency = (told["feat_user_daily", name, None] for name in ("views_28d", "recency_days"))
    assert (views["value"], views["unit"], views["status"]) == (columns["views_28d"][row], "events", "fresh")
    assert (columns["recency_days"][row], recency["value"], recency["status"]) == (None, None, "missing")
    # Nothing is fresh that describes a day too long ago.
    late = published_features(shop, "user_id", "u0007", DAY + timedelta(days=3))
    assert {each["status"] for each in late["features"]} == {"outdated"}
    assert f"All of it is outdated: it describes {DAY}, 3 days ago; more than 2 are too many." in render(late)
    # u0019 has a list and has done nothing lately; of nobody nothing at all is known.
    left = published_features(shop, "user_id", "u0019", NEXT)
    assert (left["is_known"], left["has_features"]) == (True, False)
    assert {each["status"] for each in left["features"]} == {"missing"}
    assert "There are no features of this user" in render(left)
    nobody = published_features(shop, "user_id", "nobody", NEXT)
    assert {each["status"] for each in nobody["features"]} == {"unknown"}
    assert "We do not know this user." in render(nobody)
    item = foretaste(shop, "features", "--item", ITEMS[6], "--day", str(NEXT))
    assert {each["table"] for each in item["features"]} == {"feat_item_daily"}


def test_a_version_without_features_is_served_on_and_says_so(shop: Settings) -> None:
    publish_new(shop, DAY)
    before = json.loads(live(shop).to_json())
    del before["features"]  # as versions were published before there were any
    store = redis_of(shop)
    store.set(names.LIVE_POINTER, json.dumps(before))
    store.hset(names.VERSIONS_KEY, "v0001", json.dumps(before))
    store.delete(*store.keys("ft:v0001:*features*"), names.feature_texts_key("v0001"))
    answer = published_features(shop, "user_id", "u0007", NEXT)
    assert (answer["is_published"], answer["features"]) == (False, [])
    assert "No features were published with this version." in render(answer)
    publish_new(shop, NEXT)
    assert rollback.rollback(shop, None, NOW)["version"] == "v0001"
    assert status.status(shop, NOW)["published"]["version"] == "v0001"


def test_features_that_have_changed_are_a_new_version_also_where_lists_have_not(shop: Settings) -> None:
    publish_new(shop, DAY)
    with State.of(shop).lease("spoil", "transform", 60, is_last=True) as lease:
        lake = Lake.of(shop, lease)
        rows = lake.read(names.FEAT_USER_DAILY, DAY)
        lake.replace(names.FEAT_USER_DAILY, DAY, rows.slice(1), inputs="another")
    told = publish_day(shop, DAY)
    assert (told["published"], told["version"]) == (True, "v0002")


def test_an_answer_starts_again_when_its_version_was_let_go_meanwhile(shop: Settings) -> None:
    publish_new(shop, DAY)
    current = live(shop)
    gone = replace(current, version="v0000")

    class Late(OnlineStore):
        def __init__(self, *pointers: Pointer) -> None:
            super().__init__(redis_of(shop))
            self.pointers = list(pointers)

        def pointer(self) -> Pointer:
            return self.pointers.pop(0)

    read = Late(gone, current).read("u0001", 2)
    assert (read.pointer.version, len(read.found.indices), len(read.items)) == ("v0001", K, 2)
    assert (read.is_known, read.withheld) == (True, "")
    with pytest.raises(StoreUnfit, match="the live version is not whole"):
        Late(gone, gone, gone).read("u0001", 2)


def test_status_says_what_is_published_and_what_was_before(shop: Settings) -> None:
    assert status.status(shop, NOW)["published"] is None
    State.of(shop).put(
        PROMOTIONS, "1", {"day": "2011-02-01", "sha256": "ab", "metrics": {"ndcg_at_10": 0.1234}}
    )
    publish_new(shop, DAY)
    publish_new(shop, NEXT)
    rollback.rollback(shop, None, NOW)
    answer = foretaste(shop, "status")
    assert answer["champion"] == {
        "version": "1", "day": "2011-02-01", "sha256": "ab", "metrics": {"ndcg_at_10": 0.1234},
    }  # fmt: skip
    published = answer["published"]
    assert (published["version"], published["day"], published["num_users"]) == ("v0001", str(DAY), NUM_USERS)
    assert published["sha256"] == live(shop).sha256
    assert published["kept"] == {"v0001": str(DAY), "v0002": str(NEXT)}
    assert (published["rolled_back_from"], answer["problems"]) == ("v0002", [])
    text = status.render(status.status(shop, NOW))
    assert "version 1, promoted on 2011-02-01 (ndcg_at_10 0.1234)" in text
    assert "v0001 of 2011-03-01 (daily) for 300 users, 0 s ago" in text
    assert "rolled back from v0002; also kept: v0002 of 2011-03-02" in text


def test_status_answers_when_no_server_does(tmp_path: Path) -> None:
    home = load_settings(
        home=tmp_path,
        redis_url=SecretStr("redis://:secret@127.0.0.1:1/0"),
        s3_endpoint_url="http://127.0.0.1:1",
        state_url=SecretStr("postgresql+psycopg://foretaste:secret@127.0.0.1:1/state"),
    )
    begun = time.perf_counter()
    answer = status.status(home, NOW)
    assert [answer[name] for name in ("day", "champion", "published", "drift", "holder")] == [None] * 5
    told = "\n".join(answer["problems"])
    assert ("state store" in told, "online store at 127.0.0.1:1/0" in told, "S3 at" in told) == (
        True,
        True,
        True,
    )
    assert "secret" not in told
    assert time.perf_counter() - begun < 15
    assert status.render(answer).count("problem") == 3


def test_a_store_that_does_not_answer_is_named_without_its_password(tmp_path: Path) -> None:
    for url in ("redis://:secret@127.0.0.1:1/0", "http://:secret@somewhere"):
        settings = load_settings(home=tmp_path, redis_url=SecretStr(url))
        with pytest.raises(ServiceUnreachable) as told, open_online_store(settings, timeout=1):
            pass
        assert "secret" not in str(told.value)


def test_a_wrong_password_is_told(shop: Settings) -> None:
    url = shop.redis_url.get_secret_value().replace("redis://:", "redis://:wrong")
    with pytest.raises(ServiceUnreachable, match="invalid username-password"):
        recommend.recommend(shop.model_copy(update={"redis_url": SecretStr(url)}), "u0001", 1)
