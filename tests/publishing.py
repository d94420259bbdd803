"""Lists that tell by themselves which day they belong to, and a reader that trusts nothing it reads."""

from __future__ import annotations

import hashlib
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import boto3
import pyarrow as pa
import redis

from contracts import names
from contracts.lists import Pointer, unpack
from contracts.settings import Settings, load_settings
from contracts.tables import DIM_ITEMS, FEAT_ITEM_DAILY, TABLES, Table
from jobs import publish
from jobs.feature_edition import further_key, online_tables
from jobs.io.lake import Lake
from jobs.io.online import OnlineStore
from jobs.io.schemas import arrow_schema
from jobs.io.state import RUNS, State
from jobs.runs import StepContext, lists_table
from jobs.services import down, running

DAY = date(2011, 3, 1)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
NUM_USERS, NUM_ITEMS, K, BUCKETS = 300, 41, 10, 16
ITEMS = [f"i{number:03d}" for number in range(NUM_ITEMS)]
#: The keys of a version: lists and users' features in every bucket, items' features in theirs, items, popular list, rules, catalogue, texts.
NUM_KEYS = 2 * BUCKETS + len({names.bucket_of(item, BUCKETS) for item in ITEMS}) + 5
_SHARED = ("redis_url", "s3_endpoint_url", "s3_access_key", "s3_secret_key")


@contextmanager
def embedded_stores(folder: Path) -> Iterator[Settings]:
    """The embedded Valkey and SeaweedFS, for as long as the body runs."""
    settings = load_settings(home=folder / "home", redis_port=_free_port(), s3_port=_free_port())
    try:
        with running(settings, only={"valkey", "seaweedfs"}) as connected:
            yield connected
    finally:
        down(settings)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def reset_stores(stores: Settings) -> None:
    """Empty both stores."""
    redis_of(stores).flushall()
    redis_of(stores).config_set("maxmemory", 0)
    client = s3_of(stores)
    for entry in client.list_objects_v2(Bucket=stores.s3_bucket).get("Contents", []):
        client.delete_object(Bucket=stores.s3_bucket, Key=entry["Key"])


def fresh_home(stores: Settings, home: Path, **settings: Any) -> Settings:
    """An empty home folder, and the stores emptied for it."""
    reset_stores(stores)
    home.mkdir()
    shared = {name: getattr(stores, name) for name in _SHARED}
    values = {
        name: value.get_secret_value() if hasattr(value, "get_secret_value") else value
        for name, value in shared.items()
    }
    lines = (
        f"FORETASTE_{name.upper()}={value}\n"
        for name, value in {**values, "list_buckets": BUCKETS, **settings}.items()
    )
    (home / "settings.env").write_text("".join(lines))
    return load_settings(home=home)


def redis_of(settings: Settings) -> Any:
    return redis.Redis.from_url(settings.redis_url.get_secret_value())


def s3_of(settings: Settings) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=settings.s3_endpoint_url,
        region_name=settings.s3_region,
        aws_access_key_id=settings.s3_access_key.get_secret_value(),
        aws_secret_access_key=settings.s3_secret_key.get_secret_value(),
    )


def listed(user: int, day: date) -> list[str]:
    """What a user is recommended on a day: nobody else on no other day gets the same."""
    step = 1 + day.toordinal() % (NUM_ITEMS - 1)
    return [ITEMS[(user + place * step) % NUM_ITEMS] for place in range(K)]


def reasons(user: int, day: date) -> list[str]:
    """What speaks for the first place, and for the second."""
    return [ITEMS[(user + day.toordinal() + step) % NUM_ITEMS] for step in range(3)]


def score(
    settings: Settings, day: date, kind: str = names.DAILY, champion: str = "1", bonus: float = 0.0
) -> None:
    """The lists of a day, and what else publishing reads, in the lake and the state."""
    state = State.of(settings)
    with state.lease(f"score-{day}", "score", 60, is_last=True) as lease:
        lake = Lake.of(settings, lease)
        replace_rows(
            lake, DIM_ITEMS.name, day,
            item_id=ITEMS, title=[f"{item} of {day}" for item in ITEMS], is_available=[True] * NUM_ITEMS,
        )  # fmt: skip
        for table in online_tables():
            replace_rows(lake, table.name, day, **columns_of(table, day))
        replace_rows(
            lake, lists_table(kind), day,
            user_id=[f"u{user:04d}" for user in range(NUM_USERS)],
            source=["personal"] * NUM_USERS,
            is_short=[False] * NUM_USERS,
            item_ids=[listed(user, day) for user in range(NUM_USERS)],
            scores=[[K - place + bonus for place in range(K)] for _ in range(NUM_USERS)],
            reason_places=[[1, 2, 2] for _ in range(NUM_USERS)],
            reason_item_ids=[reasons(user, day) for user in range(NUM_USERS)],
        )  # fmt: skip
    manifest = {
        "day": str(day),
        "champion": champion,
        "settings": {"list_length": K},
        "feed": {"repeats_allowed": True, "missing_consent": "granted"},
    }
    state.put(RUNS, f"{kind}/{day}", {**(state.get(RUNS, f"{kind}/{day}") or {}), "manifest": manifest})


#: Values that are told apart by their type alone, and those at the ends of what can be stored.
_EXTREMES: dict[str, list[Any]] = {
    "integer": [0, -1, 127, 128, -(2**31), 2**31 - 1],
    "bigint": [0, 1, 2**40, -(2**63), 2**63 - 1],
    "double precision": [0.0, 1.0, -0.1, 1e-300, float("inf")],
    "boolean": [True, False],
    "text": ["", "a cup", "Äpfel"],
}


def columns_of(table: Table, day: date) -> dict[str, list[Any]]:
    """Features that tell of their day (where a number can); of everybody but every 19th user, every 7th value missing."""
    ids = ITEMS if table.key[0] == "item_id" else [f"u{user:04d}" for user in range(NUM_USERS) if user % 19]
    by = further_key(table)
    keys = [
        (each, f"of {place}") for number, each in enumerate(ids) for place in range(number % 4 if by else 1)
    ]
    columns: dict[str, list[Any]] = {table.key[0]: [id_ for id_, _ in keys]}
    if by:
        columns[by] = [of for _, of in keys]
    for place, feature in enumerate(table.features):
        values = [
            *_EXTREMES[feature.data_type],
            *([day.toordinal()] if feature.data_type in ("integer", "bigint") else []),
        ]
        columns[feature.name] = [
            None if (row + place) % 7 == 6 else values[(row + place) % len(values)]
            for row in range(len(keys))
        ]
    if table is FEAT_ITEM_DAILY:
        columns["popularity_7d"] = list(range(NUM_ITEMS))  # what the popular list is made of
    return columns


def replace_rows(lake: Lake, table: str, day: date, **columns: Any) -> None:
    """A partition of these columns, and of nothing in the others."""
    schema = arrow_schema(TABLES[table])
    num_rows = len(next(iter(columns.values())))
    filled = {name: columns.get(name, [None] * num_rows) for name in schema.names}
    lake.replace(table, day, pa.table(filled, schema=schema), inputs="test")


def publish_day(settings: Settings, day: date, kind: str = names.DAILY) -> dict[str, Any]:
    """Publish what has been scored."""
    with State.of(settings).lease(f"publish-{day}", "publish", 60, is_last=True) as lease:
        return publish.run(day, StepContext.of(settings, lease), kind=kind, now=NOW)


def publish_new(settings: Settings, day: date) -> dict[str, Any]:
    score(settings, day)
    return publish_day(settings, day)


def live(settings: Settings) -> Pointer:
    return Pointer.from_json(redis_of(settings).get(names.LIVE_POINTER))


def everything_live(settings: Settings) -> tuple[Pointer, dict[str, list[str]]]:
    """What a reader of everything gets; fails when a part is missing, or of another day."""
    store, pointer = redis_of(settings), live(settings)
    titles = {
        int(index): json.loads(item)
        for index, item in store.hgetall(names.items_key(pointer.version)).items()
    }
    assert len(titles) == pointer.num_items
    assert {item["title"] for item in titles.values()} == {
        f"{item['item_id']} of {pointer.day}" for item in titles.values()
    }
    lists, told = {}, {}
    for bucket in range(pointer.num_buckets):
        for user, packed in store.hgetall(names.lists_key(pointer.version, bucket)).items():
            found = unpack(packed)
            lists[user.decode()] = [titles[index]["item_id"] for index in found.indices]
            told[user.decode()] = [(place, titles[index]["item_id"]) for place, index in found.reasons]
    day = date.fromisoformat(pointer.day)
    assert told == {
        f"u{user:04d}": list(zip((1, 2, 2), reasons(user, day), strict=True)) for user in range(NUM_USERS)
    }
    assert lists == {f"u{user:04d}": listed(user, day) for user in range(NUM_USERS)}
    assert_features_are_of(pointer, OnlineStore(store))
    return pointer, lists


def assert_features_are_of(pointer: Pointer, store: OnlineStore) -> None:
    """Every feature of everybody is that of the version's day: its value, its type, and what is missing."""
    ids = {"user_id": [f"u{user:04d}" for user in range(NUM_USERS)], "item_id": ITEMS}
    for entity, all_ids in ids.items():
        read = store.features_in(pointer, entity, all_ids)
        assert read is not None
        assert (read.catalogue.day, read.catalogue.digest) == (pointer.day, pointer.features)
        assert all(read.is_known)
        found = dict(zip(all_ids, read.rows, strict=True))
        assert repr(found) == repr(published_rows(entity, all_ids, date.fromisoformat(pointer.day)))


def published_rows(entity: str, ids: list[str], day: date) -> dict[str, Any]:
    """What a reader has to get of each id on a day: rows by table, or None where it has no features."""
    found: dict[str, Any] = dict.fromkeys(ids)
    tables = [table for table in online_tables() if table.key[0] == entity]
    for table in tables:
        columns = columns_of(table, day)
        for id_, *values in zip(columns.pop(entity), *columns.values(), strict=True):
            found[id_] = found[id_] or {each.short_name: [] for each in tables}
            found[id_][table.short_name].append(tuple(values))
    return found


def everything_stored(settings: Settings) -> dict[str, Any]:
    """The bytes of the live version in both stores, whatever its name."""
    store, pointer, prefix = (
        redis_of(settings),
        live(settings),
        names.published_prefix(live(settings).version),
    )
    buckets = [
        store.hgetall(names.lists_key(pointer.version, bucket)) for bucket in range(pointer.num_buckets)
    ]
    data = s3_of(settings).get_object(Bucket=settings.s3_bucket, Key=f"{prefix}recs.parquet")["Body"].read()
    return {
        "lists": buckets,
        "items": store.hgetall(names.items_key(pointer.version)),
        "popular": store.get(names.popular_key(pointer.version)),
        "s3": hashlib.sha256(data).hexdigest(),
        "versions": sorted(s3_versions(settings)) == sorted(keys_by_version(settings)) == [pointer.version],
    }


def keys_by_version(settings: Settings) -> dict[str, int]:
    """How many keys of each version there are that stay: what has been let go has an end."""
    store, found = redis_of(settings), dict[str, int]()
    for key in store.scan_iter("ft:v*:*"):
        if store.ttl(key) == -1:
            version = key.decode().split(":")[1]
            found[version] = found.get(version, 0) + 1
    return found


def s3_versions(settings: Settings) -> dict[str, list[str]]:
    """The objects of each version in S3."""
    found: dict[str, list[str]] = {}
    for entry in (
        s3_of(settings).list_objects_v2(Bucket=settings.s3_bucket, Prefix=names.PUBLISHED).get("Contents", [])
    ):
        _, version, *rest = entry["Key"].split("/")
        if rest:
            found.setdefault(version, []).append(rest[0])
    return found
