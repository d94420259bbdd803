"""How fast features are published: ``publish.features``, users a second.

100,000 users, each with a row of every user table and three of every table with a further key, and 5,000 items: packed,
written to the embedded Valkey and compared with the tables. The reference are the lists of as many users, a hundred items
each, packed, written and compared in the same store.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from benchmarks.figure import Figure, figure
from contracts.lists import EXPLAINED_PLACES, PERSONAL, REASONS_PER_PLACE, Pointer
from contracts.serving_rules import ServingRules
from contracts.settings import Settings, load_settings
from contracts.tables import LISTS, Table
from jobs.edition import Edition, edition_of
from jobs.feature_edition import FeatureEdition, feature_edition_of, further_key, online_tables
from jobs.io.online import open_online_store
from jobs.io.online_content import content_of
from jobs.io.schemas import arrow_schema
from jobs.services import down, running

DAY = date(2026, 1, 5)
NUM_USERS, NUM_ITEMS, LENGTH, ROWS_OF_EACH = 100_000, 5_000, 100, 3
USERS = np.array([f"u{number:06d}" for number in range(NUM_USERS)], object)
ITEMS = np.array([f"i{number:04d}" for number in range(NUM_ITEMS)], object)
_PLACES = np.repeat(np.arange(1, EXPLAINED_PLACES + 1), REASONS_PER_PLACE)  # of the reasons of each list
_SAMPLE = 100  # one in so many is read back


def publish_features(folder: Path) -> Iterator[Figure]:
    """Features and lists of 100,000 users."""
    rng = np.random.default_rng(7)
    tables = {table.short_name: features_of(table, rng) for table in online_tables()}
    lists = lists_of_all(rng)
    nobodys = feature_edition_of(DAY, {name: rows.slice(0, 0) for name, rows in tables.items()})
    settings = load_settings(home=folder, redis_port=16_379)
    try:
        with running(settings, only={"valkey"}) as connected:
            begun = time.perf_counter()
            edition = edition_of(*lists, LENGTH, ServingRules())
            _publish(connected, "v0001", edition, nobodys)
            reference = NUM_USERS / (time.perf_counter() - begun)
            begun = time.perf_counter()
            features = feature_edition_of(DAY, tables)
            _publish(connected, "v0002", replace(edition, user_ids=[], packed_U=[]), features)
            speed = NUM_USERS / (time.perf_counter() - begun)
    finally:
        down(settings)
    num_features = sum(len(table.features) for table in online_tables())
    unit = f"users/s ({num_features} features, {features.num_bytes / NUM_USERS:,.0f} bytes a user)"
    yield figure("publish.features", speed, unit, reference, "lists of as many users, in the same store")


def _publish(settings: Settings, version: str, edition: Edition, features: FeatureEdition) -> None:
    pointer = Pointer(
        version=version, day=str(DAY), kind="daily", fence=1, sha256=edition.digest, num_users=len(edition.user_ids),
        num_items=len(edition.items), num_buckets=settings.list_buckets, champion=None, repeats_allowed=True, published_at="",
        features=features.catalogue.digest,
    )  # fmt: skip
    content = content_of(edition, features, None, settings.list_buckets)
    offline = {entity: features.offline(entity, ids[::_SAMPLE]) for entity, ids in features.ids.items()}
    with open_online_store(settings) as store:
        store.write_version(version, content)
        store.verify_version(pointer, content, edition.user_ids[::_SAMPLE], offline)


def features_of(table: Table, rng: np.random.Generator) -> pa.Table:
    """A table's features of all users or items, a tenth of the values missing."""
    ids, by = USERS if table.key[0] == "user_id" else ITEMS, further_key(table)
    ids = np.repeat(ids, ROWS_OF_EACH) if by else ids
    columns: dict[str, Any] = {table.key[0]: ids}
    if by:
        columns[by] = np.tile([f"of {number}" for number in range(ROWS_OF_EACH)], len(ids) // ROWS_OF_EACH)
    for feature in table.features:
        columns[feature.name] = pa.array(_values(rng, len(ids)), mask=rng.random(len(ids)) < 0.1)
    schema = pa.schema([field for field in arrow_schema(table) if field.name in columns])
    return pa.table({name: pa.array(columns[name]) for name in schema.names}).cast(schema)


def _values(rng: np.random.Generator, num: int) -> npt.NDArray[np.int64]:
    return np.exp(rng.normal(3, 2, num)).astype(np.int64)


def lists_of_all(rng: np.random.Generator) -> tuple[pa.Table, pa.Table, pa.Table]:
    """Everybody's list with its reasons, the catalogue, and how popular its items are."""
    first = rng.integers(0, NUM_ITEMS, NUM_USERS)
    places = (first[:, None] + np.arange(LENGTH)) % NUM_ITEMS
    offsets = pa.array(np.arange(NUM_USERS + 1) * LENGTH, pa.int32())
    scores = np.tile(np.arange(LENGTH, 0, -1, dtype=np.float64), NUM_USERS)
    rows = {
        "user_id": pa.array(USERS, pa.string()),
        "source": pa.array([PERSONAL] * NUM_USERS),
        "is_short": pa.array(np.zeros(NUM_USERS, bool)),
        "item_ids": pa.ListArray.from_arrays(
            offsets, pa.array(ITEMS, pa.string()).take(pa.array(places.ravel()))
        ),
        "scores": pa.ListArray.from_arrays(offsets, pa.array(scores)),
        "reason_places": pa.array([_PLACES] * NUM_USERS, pa.list_(pa.int32())),
        "reason_item_ids": pa.array([ITEMS[: len(_PLACES)]] * NUM_USERS, pa.list_(pa.string())),
    }
    catalogue = pa.table(
        {
            "item_id": pa.array(ITEMS, pa.string()), "title": pa.array(ITEMS, pa.string()), "category": ["c"] * NUM_ITEMS,
            "price_cents": [100] * NUM_ITEMS, "is_available": [True] * NUM_ITEMS,
            **dict.fromkeys(("brand", "available_from", "available_until", "attributes"), pa.nulls(NUM_ITEMS)),
        }
    )  # fmt: skip
    popularity = pa.table({"item_id": pa.array(ITEMS, pa.string()), "popularity_7d": list(range(NUM_ITEMS))})
    return pa.table(rows, schema=arrow_schema(LISTS)), catalogue, popularity
