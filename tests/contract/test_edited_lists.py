"""Whose lists an edit changes: the champion scores the sampled people before and after."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from contracts.settings import Settings
from contracts.tables import FEAT_USER_DAILY, TABLES
from jobs.diff import diff
from jobs.diff_lists import ListsDiff
from jobs.diff_page import render
from jobs.io import dbt
from jobs.io.commit import digest_of
from jobs.io.compiled import CompiledProject, Model, built_path, source_digest
from jobs.io.sample import Sample
from jobs.stale import EXPORTED
from tests.tiny_day import tiny_day
from tests.tiny_world import DAY

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
    settings = tiny_day(tmp_path / "home")
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
