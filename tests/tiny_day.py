"""The tiny world on disk: a day of the lake, with the champion that ranks it."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from contracts import names
from contracts.settings import Settings, load_settings
from contracts.tables import RAW_EVENTS, TABLES, Table
from jobs.io.lake import Lake
from jobs.io.model_files import save_model
from jobs.io.schemas import arrow_schema
from jobs.io.state import PROMOTIONS, RUNS, State
from tests.tiny_world import DAY, tiny_model, tiny_world


def tiny_day(home: Path, sold_out: str = "") -> Settings:
    """A home with a day of twelve people and thirty items, and a champion that was promoted on the day before."""
    settings, world = load_settings(home=home), tiny_world()
    users, items = list(world.user_ids), list(world.item_ids)
    state = State.of(settings)

    def filled(table: Table, num_rows: int, **columns: list[object]) -> pa.Table:
        schema = arrow_schema(table)
        return pa.table({name: columns.get(name, [None] * num_rows) for name in schema.names}, schema=schema)

    with state.lease("test", "write", 60, is_last=True) as lease:
        lake = Lake.of(settings, lease)
        rows = {
            RAW_EVENTS.name: {
                "event_id": users, "user_id": users, "event_date": [DAY] * 12, "known_date": [DAY] * 12,
            },
            names.DIM_ITEMS: {
                "item_id": items, "feature_date": [DAY] * 30, "category": ["cups", "bags"] * 15, "is_available": [item != sold_out for item in items],
                "title": [item.capitalize() for item in items],
            },
            names.FEAT_ITEM_DAILY: {"item_id": items, "feature_date": [DAY] * 30, "popularity_7d": list(range(30))},
            names.FEAT_USER_DAILY: {"user_id": users, "feature_date": [DAY] * 12},
            names.FEAT_USER_CATEGORY_DAILY: {},
            names.FEAT_USER_BRAND_DAILY: {},
            names.HISTORIES: {
                "user_id": users,
                "item_ids": [[items[item] for item in history] for history in world.histories],
                "item_depths": [[1] * len(history) for history in world.histories],
                "item_days_ago": [[0] * len(history) for history in world.histories],
                "seen_item_ids": [[items[item] for item in seen] for seen in world.seen],
                "seen_depths": [[1] * len(seen) for seen in world.seen],
                "seen_days_ago": [[0] * len(seen) for seen in world.seen],
            },
            names.COVISITATION: {},
            names.COPURCHASE: {},
        }  # fmt: skip
        for name, columns in rows.items():
            num_rows = len(next(iter(columns.values()), []))
            lake.replace(name, DAY, filled(TABLES[name], num_rows, **columns), inputs="test")
    _, digest = save_model(tiny_model(world), {}, settings.home / "models")
    state.put(PROMOTIONS, "1", {"day": "2011-02-28", "sha256": digest})
    manifest = {
        "feed": {"repeats_allowed": True, "missing_consent": "granted"},
        "settings": {"num_candidates": 20, "list_length": 10},
    }
    state.put(RUNS, f"daily/{DAY}", {"manifest": manifest})
    return settings
