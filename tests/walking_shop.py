"""A shop in which everybody walks round the shelves, one item a day, and the lake that its runs would have left."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import date, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from contracts import names
from contracts.settings import Settings
from contracts.tables import TABLES
from jobs.features.cutoffs import Cutoffs, cutoffs
from jobs.features.training_set import training_set
from jobs.io.lake import Lake
from jobs.io.schemas import arrow_schema
from jobs.io.state import RUNS, State

NUM_USERS, NUM_ITEMS = 120, 24
FIRST = date(2011, 2, 1)
ITEMS = [f"i{item:02d}" for item in range(NUM_ITEMS)]


def build_lake(settings: Settings, last: date, worlds: Iterable[date], turned_on: date = date.max) -> None:
    """The tables of every day since FIRST, and those of the worlds; from ``turned_on`` on everybody walks in longer steps."""
    _feed(settings)
    steps = _walks(last, turned_on)
    with State.of(settings).lease("test", "build", 60, is_last=True) as lease:
        lake = Lake.of(settings, lease)
        for day, taken in steps.items():
            _write(
                lake, names.USER_DAYS, day,
                [{"user_id": user, "event_date": day, "item_ids": [item], "item_depths": [1]} for user, item in taken],
            )  # fmt: skip
        for day in worlds:
            _world(lake, day, {each: taken for each, taken in steps.items() if each <= day})


def begin_retraining(settings: Settings, day: date, judge_days: int, rank_days: int) -> Cutoffs:
    """The manifest of a day's retraining and its training set."""
    chosen = settings.run_settings() | {"judge_days": judge_days, "rank_days": rank_days}
    manifest = {
        "settings": chosen,
        "champion": None,
        "feed": {"repeats_allowed": True, "missing_consent": "granted"},
    }
    state, cut = State.of(settings), cutoffs(day, judge_days, rank_days)
    state.put(RUNS, f"retrain/{day}", {"manifest": manifest})
    with state.lease("test", "build", 60, is_last=True) as lease:
        lake = Lake.of(settings, lease)
        days = pa.concat_tables(
            [lake.read(names.USER_DAYS, each) for each in lake.days(names.USER_DAYS, until=day)]
        )
        lake.replace(names.SEQUENCES, day, training_set(days, cut), inputs="test")
        _write(lake, names.TRAINING_IMPRESSIONS, day, [])
    return cut


def _walks(last: date, turned_on: date) -> dict[date, list[tuple[str, str]]]:
    """Who took what on each day; two of three people come on a day."""
    rng, found = np.random.default_rng(7), dict[date, list[tuple[str, str]]]()
    places = [user % NUM_ITEMS for user in range(NUM_USERS)]
    for offset in range((last - FIRST).days + 1):
        day = FIRST + timedelta(days=offset)
        found[day] = []
        for user in np.flatnonzero(rng.random(NUM_USERS) < 0.67).tolist():
            places[user] = (places[user] + (7 if day >= turned_on else 1)) % NUM_ITEMS
            found[day].append((f"u{user:03d}", ITEMS[places[user]]))
    return found


def _world(lake: Lake, day: date, steps: dict[date, list[tuple[str, str]]]) -> None:
    histories: dict[str, list[tuple[date, str]]] = {}
    for each, taken in steps.items():
        for user, item in taken:
            histories.setdefault(user, []).append((each, item))
    recent = [item for each, taken in steps.items() if each > day - timedelta(days=7) for _, item in taken]
    _write(
        lake, names.DIM_ITEMS, day,
        [{"item_id": item, "feature_date": day, "category": "shelf", "is_available": True} for item in ITEMS],
    )  # fmt: skip
    numbers = [
        feature.name
        for feature in TABLES[names.FEAT_ITEM_DAILY].features
        if feature.is_number and feature.data_type != "boolean"
    ]
    _write(
        lake, names.FEAT_ITEM_DAILY, day,
        [{"item_id": item, **dict.fromkeys(numbers, recent.count(item))} for item in ITEMS],
    )  # fmt: skip
    numbers = [
        feature.name
        for feature in TABLES[names.FEAT_USER_DAILY].features
        if feature.is_number and feature.data_type != "boolean"
    ]
    _write(
        lake, names.FEAT_USER_DAILY, day,
        [{"user_id": user, **dict.fromkeys(numbers, len(taken))} for user, taken in histories.items()],
    )  # fmt: skip
    last_taken = {user: {item: each for each, item in taken} for user, taken in histories.items()}
    _write(
        lake, names.HISTORIES, day,
        [
            {
                "user_id": user,
                "item_ids": [item for _, item in taken][-50:],
                "item_depths": [1] * len(taken[-50:]),
                "item_days_ago": [(day - each).days for each, _ in taken][-50:],
                "seen_item_ids": sorted(last_taken[user]),
                "seen_depths": [1] * len(last_taken[user]),
                "seen_days_ago": [(day - last_taken[user][item]).days for item in sorted(last_taken[user])],
            }
            for user, taken in sorted(histories.items())
        ],
    )  # fmt: skip
    for table in (
        names.FEAT_USER_CATEGORY_DAILY,
        names.FEAT_USER_BRAND_DAILY,
        names.COVISITATION,
        names.COPURCHASE,
    ):
        _write(lake, table, day, [])


def _write(lake: Lake, table: str, day: date, rows: list[dict[str, Any]]) -> None:
    schema = arrow_schema(TABLES[table])
    filled = [{**dict.fromkeys(schema.names), **row} for row in rows]
    lake.replace(table, day, pa.Table.from_pylist(filled, schema=schema), inputs="test")


def _feed(settings: Settings) -> None:
    folder = settings.home / "feed"
    folder.mkdir(parents=True, exist_ok=True)
    described = {
        "schema_version": 1, "shop": "Walking shop", "currency": "GBP", "time_zone": "UTC", "repeats_allowed": True,
        "missing_consent": "granted",
    }  # fmt: skip
    (folder / "feed.json").write_text(json.dumps(described))
