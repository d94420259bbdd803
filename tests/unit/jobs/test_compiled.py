"""What a table's values follow from: its own SQL and all that it reads, and nothing of how either is written down."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from contracts.errors import ForetasteError
from contracts.settings import Settings
from jobs.io import dbt
from jobs.io.compiled import DEFAULTS, CompiledProject, _hashed, _seed_query, meaning_of
from jobs.stale import edited_since


def hashes_of(**changes: dict[str, Any]) -> CompiledProject:
    """weights → events → days → (features, items): a small project."""
    nodes: dict[str, dict[str, Any]] = {}
    for name, reads in {
        "weights": (),
        "events": ("weights",),
        "days": ("events",),
        "features": ("days",),
        "items": ("events",),
    }.items():
        nodes[name] = {
            "name": name,
            "schema": "marts",
            "kind": "incremental",
            "by": "event_date",
            "sql": f"select 1 as {name}",
            "columns": {name: "integer"},
            "key": (name,),
            "reads": reads,
        } | changes.get(name, {})
    return CompiledProject("digest", _hashed(nodes))


def changed_by(**changes: dict[str, Any]) -> set[str]:
    before, after = hashes_of().models, hashes_of(**changes).models
    return {name for name in before if before[name].hash != after[name].hash}


def test_an_edit_changes_the_hash_of_the_model_and_of_all_that_read_it() -> None:
    assert changed_by(days={"sql": "select 2 as days"}) == {"days", "features"}
    assert changed_by(weights={"sql": "select 2 as weights"}) == {
        "weights",
        "events",
        "days",
        "features",
        "items",
    }


def test_a_comment_a_line_break_and_a_materialization_change_no_hash() -> None:
    assert changed_by(days={"sql": "-- why\nselect  1\n  as days /* so */"}) == set()
    assert changed_by(days={"kind": "view"}) == set()


def test_the_type_of_a_column_changes_the_hash() -> None:
    assert changed_by(items={"columns": {"items": "bigint"}}) == {"items"}


@pytest.mark.parametrize(
    ("sql", "meaning"),
    [
        ("select 1 -- one\n, 2", "select 1 , 2"),
        ("select '--  kept' as a", "select '--  kept' as a"),
        ("select 'it''s  -- kept', \"a  b\"", "select 'it''s  -- kept', \"a  b\""),
        ("  select\t1\n\n", "select 1"),
        ("select 1 /* a\n'b' */ + 2", "select 1 + 2"),
    ],
)
def test_what_stands_in_quotes_is_no_comment_and_no_layout(sql: str, meaning: str) -> None:
    assert meaning_of(sql) == meaning


def test_models_whose_own_query_was_edited_are_told_apart_from_those_that_read_them() -> None:
    before, after = hashes_of(), hashes_of(days={"sql": "select 2 as days"})
    assert edited_since(before, after) == ("days",)
    assert edited_since(None, after) == tuple(after.models)


def test_a_seed_is_a_query_of_its_rows(tmp_path: Path) -> None:
    path = tmp_path / "weights.csv"
    path.write_text('signal,weight\nview,1\n"it\'s, bought",\n')
    assert _seed_query(path, {"signal": "text", "weight": "integer"}) == (
        "select cast(signal as text) as signal, cast(weight as integer) as weight from "
        "(values ('view', '1'), ('it''s, bought', null)) as seed (signal, weight)"
    )


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    project = replace(
        hashes_of(),
        variables={"half_life_days": 7, "missing_consent": "denied", "session_gap_minutes": 5},
    )
    project.write(tmp_path / "built.json")
    assert CompiledProject.read(tmp_path / "built.json") == project
    (tmp_path / "torn.json").write_text('{"digest": "x", "models": [{"name"')
    assert CompiledProject.read(tmp_path / "torn.json") is None
    assert CompiledProject.read(tmp_path / "none.json") is None


def test_a_table_that_the_lake_keeps_has_to_have_a_model() -> None:
    with pytest.raises(ForetasteError, match="has no model feat_moon_daily"):
        hashes_of().hash_of("feat_moon_daily")


def test_the_project_the_hashes_and_the_settings_have_the_same_defaults() -> None:
    told = yaml.safe_load((dbt.PROJECT / "dbt_project.yml").read_text())["vars"]["defaults"]
    assert told == DEFAULTS
    for name in ("half_life_days", "session_gap_minutes"):
        assert Settings.model_fields[name].default == DEFAULTS[name]
