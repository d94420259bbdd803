"""A feature is what its YAML says, and a column that does not say it is refused by name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from contracts import features, names
from contracts.errors import ProjectInvalid
from contracts.tables import TABLES

GOOD = """
models:
  - name: feat_cup_daily
    description: One row per cup and day.
    config: {meta: {owner: potters}}
    columns:
      - {name: cup_id, data_type: text}
      - name: weight_grams
        data_type: bigint
        description: What it weighs.
        config: {meta: {unit: grams, source: [items], at_most: 900, missing: nobody weighed it}}
"""


@pytest.fixture
def declare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator:
    """Reads a YAML text instead of the project's."""

    def write(text: str) -> None:
        (tmp_path / "_features__models.yml").write_text(text)
        for cached in (features._models, features.features_of):
            cached.cache_clear()

    monkeypatch.setattr(features, "MODELS", tmp_path)
    yield write
    monkeypatch.undo()
    write("")


def test_a_feature_says_what_it_is(declare) -> None:
    declare(GOOD)
    (weight,) = features.features_of("feat_cup_daily", ("cup_id",))
    assert (weight.unit, weight.source, weight.owner) == ("grams", ("items",), "potters")
    assert (weight.at_least, weight.at_most, weight.missing) == (0, 900, "nobody weighed it")
    assert features.declared_columns("feat_cup_daily") == {"cup_id": "text", "weight_grams": "bigint"}
    assert features.declared_grain("feat_cup_daily") == "One row per cup and day."


def test_a_column_s_own_owner_counts_and_nobody_s_is_the_project_s(declare) -> None:
    for text, owner in (
        (GOOD.replace("{unit: grams", "{owner: weighers, unit: grams"), "weighers"),
        (GOOD.replace("config: {meta: {owner: potters}}", ""), "personalization"),
    ):
        declare(text)
        assert features.features_of("feat_cup_daily", ("cup_id",))[0].owner == owner


@pytest.mark.parametrize(
    ("change", "into", "told"),
    [
        ("unit: grams, ", "", "unit"),
        ("source: [items]", "source: []", "source"),
        ("description: What it weighs.", "description:", "description"),
        ("at_most: 900", "at_mots: 900", "at_mots"),
        ("data_type: bigint", "data_type: money", "data_type"),
    ],
)
def test_a_feature_that_is_not_described_is_refused_by_name(
    declare, change: str, into: str, told: str
) -> None:
    declare(GOOD.replace(change, into))
    with pytest.raises(ProjectInvalid, match=rf"feat_cup_daily\.weight_grams .*{told}: .*config: "):
        features.features_of("feat_cup_daily", ("cup_id",))


def test_a_model_or_a_type_that_is_not_declared_is_asked_for(declare) -> None:
    declare(GOOD.replace("        data_type: bigint\n", ""))
    with pytest.raises(ProjectInvalid, match="column without name or data_type: weight_grams"):
        features.declared_columns("feat_cup_daily")
    with pytest.raises(ProjectInvalid, match="no YAML file describes the model feat_mug_daily"):
        features.declared_columns("feat_mug_daily")


def test_every_feature_of_the_project_is_described_and_made_of_what_a_shop_delivers() -> None:
    tables = [table for name, table in TABLES.items() if name.rsplit("/", 1)[-1].startswith("feat_")]
    assert {names.FEAT_USER_DAILY, names.FEAT_ITEM_DAILY} < {table.name for table in tables}
    for table in tables:
        assert table.features
        assert table.grain.startswith("One row per ")
        assert {*table.key} | {feature.name for feature in table.features} == set(table.columns)
        for feature in table.features:
            assert set(feature.source) <= {"events", "items", "users", "identities"}, feature.name
