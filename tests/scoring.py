"""A day that is ready to be scored: tables in a lake, a champion on disk, and the manifest of its run."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from contracts import names
from contracts.tables import TABLES
from jobs.io.model_files import save_model
from jobs.io.schemas import arrow_schema
from jobs.io.state import PROMOTIONS, RUNS
from jobs.runs import StepContext
from tests.tiny_world import DAY, NUM_ITEMS, tiny_model, tiny_world


def write_histories(context: StepContext, num_users: int, *, longer: tuple[int, ...] = ()) -> None:
    """Of each user up to eleven items; those of ``longer`` have taken one more. The last two are new to the champion."""
    rng, rows = np.random.default_rng(7), []
    for user in range(num_users):
        items = rng.choice(NUM_ITEMS, size=rng.integers(1, 12), replace=False)
        if user % 50 == 0:
            items = np.array([NUM_ITEMS - 1])
        if user in longer:
            items = np.append(items, (items[-1] + 1) % 20)
        seen = np.unique(items)
        rows.append(
            {
                "user_id": f"user-{user:05d}",
                "item_ids": [f"item-{item:02d}" for item in items],
                "item_depths": [1 + int(item) % 3 for item in items],
                "item_days_ago": list(range(0, 5 * len(items), 5))[::-1],
                "seen_item_ids": [f"item-{item:02d}" for item in seen],
                "seen_depths": [1 + int(item) % 3 for item in seen],
                "seen_days_ago": [int(item) for item in seen],
            }
        )
    _replace(context, names.HISTORIES, rows)


def write_day(context: StepContext, num_users: int) -> None:
    """All that a score step reads."""
    world = tiny_world()
    of_item = [{"item_id": item, "feature_date": DAY} for item in world.item_ids]
    _replace(
        context,
        names.DIM_ITEMS,
        [
            {**row, "title": f"thing {index % 5} of {index % 3}", "is_available": index not in (3, 4)}
            | {"category": f"category-{index % 4}", "brand": f"brand-{index % 7}"}
            for index, row in enumerate(of_item)
        ],
    )
    popularity = world.popularity_N.astype(int).tolist()
    _replace(
        context,
        names.FEAT_ITEM_DAILY,
        [{**row, "popularity_7d": count} for row, count in zip(of_item, popularity, strict=True)],
    )
    users = [f"user-{user:05d}" for user in range(num_users + 20)]  # some have no history
    _replace(context, names.FEAT_USER_DAILY, [{"user_id": user, "feature_date": DAY} for user in users])
    share = {"feature_date": DAY, "category": "category-2", "affinity_micros": 700_000}
    _replace(context, names.FEAT_USER_CATEGORY_DAILY, [{"user_id": user, **share} for user in users[::3]])
    _replace(context, names.FEAT_USER_BRAND_DAILY, [])
    pairs = [
        {
            "item_id": f"item-{item:02d}",
            "neighbour_id": f"item-{(item * 7 + 3) % 28:02d}",
            "weight": 1 + item % 3,
        }
        for item in range(NUM_ITEMS - 1)
    ]
    _replace(context, names.COVISITATION, pairs)
    _replace(context, names.COPURCHASE, pairs[::2])
    write_histories(context, num_users)
    champion = tiny_model(world, reads_events=True)
    _, digest = save_model(champion, {"day": str(DAY)}, context.settings.home / "models")
    context.state.put(PROMOTIONS, "1", {"day": "2011-02-20", "sha256": digest})
    manifest = {
        "day": str(DAY),
        "champion": "1",
        "feed": {"repeats_allowed": False},
        "settings": {"list_length": 10, "num_candidates": 10},
    }
    context.state.put(RUNS, f"daily/{DAY}", {"manifest": manifest})


def _replace(context: StepContext, table: str, rows: list[dict[str, Any]]) -> None:
    schema = arrow_schema(TABLES[table])
    filled = [{**dict.fromkeys(schema.names), **row} for row in rows]
    context.lake.replace(table, DAY, pa.Table.from_pylist(filled, schema=schema), inputs="by hand")
