"""Whose lists an edit changes: the champion scores the sampled people before and after."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from contracts import names
from contracts.settings import Settings, load_settings
from contracts.tables import FEAT_USER_DAILY, RAW_EVENTS, TABLES, Table
from jobs.diff import diff
from jobs.diff_lists import ListsDiff
from jobs.diff_page import render
from jobs.io import dbt
from jobs.io.commit import digest_of
from jobs.io.compiled import CompiledProject, Model, built_path, source_digest
from jobs.io.lake import Lake
from jobs.io.model_files import save_model
from jobs.io.sample import Sample
from jobs.io.schemas import arrow_schema
from jobs.io.state import PROMOTIONS, RUNS, State
from jobs.stale import EXPORTED
from tests.tiny_world import DAY, tiny_model, tiny_world

pytestmark = pytest.mark.contract

FEATURES = [name for name in FEAT_USER_DAILY.columns if name not in FEAT_USER_DAILY.key]


def project_of(numbers: str, new: str = "") -> CompiledProject:
    """A project whose features of users are all this number."""
    columns = FEAT_USER_DAILY.columns | ({new: "bigint"} if new else {})
    listed = ", ".join(f"{numbers} as {name}" for name in [*FEATURES, *([new] if new else [])])
    query = (
        f"select user_id, feature_date, {listed} from raw.events, ops.feature_days where user_id is not null"
    )
    models = {}
    for name in sorted(TABLES[name].short_name for name in EXPORTED):
        hashed = digest_of(query if name == "feat_user_daily" else name)
        sql = query if name == "feat_user_daily" else f"select '{name}' as told"
        told = columns if name == "feat_user_daily" else {"told": "text"}
        key = FEAT_USER_DAILY.key if name == "feat_user_daily" else ("told",)
        models[name] = Model(
            name, "features", "incremental", "feature_date", sql, told, key, (), hashed, hashed
        )
    return CompiledProject(source_digest(dbt.PROJECT), models)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A day of twelve people and thirty items, and a champion that was promoted on the day before."""
    settings, world = load_settings(home=tmp_path / "home"), tiny_world()
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
                "item_id": items, "feature_date": [DAY] * 30, "category": ["cups", "bags"] * 15, "is_available": [True] * 30,
            },
            names.FEAT_ITEM_DAILY: {"item_id": items, "feature_date": [DAY] * 30, "popularity_7d": list(range(30))},
            names.FEAT_USER_DAILY: {"user_id": users, "feature_date": [DAY] * 12},
            names.FEAT_USER_CATEGORY_DAILY: {},
            names.FEAT_USER_BRAND_DAILY: {},
            names.HISTORIES: {
                "user_id": users,
                "item_ids": [[items[item] for item in history] for history in world.histories],
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
    manifest = {"feed": {"repeats_allowed": True}, "settings": {"num_candidates": 20}}
    state.put(RUNS, f"daily/{DAY}", {"manifest": manifest})
    project_of("1").write(built_path(settings))
    return settings


def lists_after(settings: Settings, project: CompiledProject) -> tuple[ListsDiff, str]:
    project.write(settings.home / "dbt" / "compiled.json")
    found = diff(settings, Sample())
    return found.lists, render(found)


def test_lists_that_an_edit_changes_are_counted(settings: Settings) -> None:
    lists, told = lists_after(settings, project_of("case when user_id < 'user-06' then 100000 else 1 end"))
    assert (lists.day, lists.num_users) == (DAY, 12)
    assert 0 < lists.num_changed <= 6  # nobody else's features differ
    assert lists.mean_overlap is not None
    assert 0.5 <= lists.mean_overlap < 1
    assert f"the first ten items of {lists.num_changed} of 12 people would change" in told
    assert list((settings.home / "dbt" / "own").glob("tmp*")) == []


def test_a_column_that_the_champion_has_never_seen_changes_no_list_and_is_told(settings: Settings) -> None:
    lists, told = lists_after(settings, project_of("1", new="hats_28d"))
    assert (lists.num_users, lists.num_changed, lists.mean_overlap) == (12, 0, 1.0)
    assert "the champion does not know hats_28d" in told


def test_a_column_that_the_champion_reads_and_nobody_builds_is_told(settings: Settings) -> None:
    project = project_of("1")
    model = project.models["feat_user_daily"]
    columns = {name: kind for name, kind in model.columns.items() if name != "tenure_days"}
    project.models["feat_user_daily"] = replace(model, columns=columns, hash="other", own_hash="other")
    lists, told = lists_after(settings, project)
    assert lists.day is None
    assert "champion 1 reads feat_user_daily.tenure_days, which the edited project no longer has" in told
