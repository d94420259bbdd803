"""What dbt builds is what the other rooms were promised, and every table states its grain and is held to it."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from contracts import names
from contracts.feed import EVENT_TYPES
from contracts.settings import load_settings
from contracts.tables import (
    RAW_CONSENTS,
    RAW_DECISIONS,
    RAW_EVENTS,
    RAW_IDENTITIES,
    RAW_ITEMS,
    RAW_USERS,
    TABLES,
)
from jobs import transform
from jobs.io import dbt

pytestmark = pytest.mark.contract

EXPORTED = (*names.BY_EVENT_DAY, *names.BY_FEATURE_DAY)
PREFIXES = {"staging": "stg_", "intermediate": "int_", "marts": ("fct_", "dim_"), "features": "feat_"}


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The project as dbt understands it; parsing needs no warehouse."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("FORETASTE_")]:
            patch.delenv(name)
        settings = load_settings(home=tmp_path_factory.mktemp("home"))
        yield dbt.invoke(settings, ["parse"]).result


@pytest.fixture(scope="module")
def models(manifest: Any) -> dict[str, Any]:
    found = {node.name: node for node in manifest.nodes.values() if node.resource_type == "model"}
    assert len(found) > 15
    return found


def layer_of(model: Any) -> str:
    return str(model.fqn[1])


def is_generic(node: Any) -> bool:
    return getattr(node, "test_metadata", None) is not None


@pytest.mark.parametrize("name", EXPORTED)
def test_columns_of_an_exported_table_are_those_of_the_contract(name: str, models: dict[str, Any]) -> None:
    table = TABLES[name]
    model = models[table.short_name]
    assert [(column.name, column.data_type) for column in model.columns.values()] == list(
        table.columns.items()
    )
    assert model.schema == transform.SCHEMAS[name]
    assert model.config.materialized == "incremental"
    assert model.config.unique_key == ("event_date" if name in names.BY_EVENT_DAY else "feature_date")


@pytest.mark.parametrize(
    ("model_name", "table"),
    [
        ("stg_shop__events", RAW_EVENTS),
        ("stg_shop__decisions", RAW_DECISIONS),
        ("stg_shop__items", RAW_ITEMS),
        ("stg_shop__users", RAW_USERS),
        ("stg_shop__consents", RAW_CONSENTS),
        ("stg_shop__identities", RAW_IDENTITIES),
    ],
    ids=lambda value: getattr(value, "name", value),
)
def test_staging_reads_columns_that_landing_writes(
    model_name: str, table: Any, models: dict[str, Any]
) -> None:
    read = {column.name: column.data_type for column in models[model_name].columns.values()}
    assert read
    assert read.items() <= table.columns.items()


def test_every_model_states_grain_owner_and_tags_and_enforces_its_columns(models: dict[str, Any]) -> None:
    for name, model in models.items():
        assert model.description.startswith("One row per "), name
        assert model.config.meta.get("owner"), name
        assert model.config.tags, name
        assert model.config.contract.enforced, name
        assert all(column.data_type for column in model.columns.values()), name


def test_every_model_carries_the_prefix_of_its_layer(models: dict[str, Any]) -> None:
    assert {layer_of(model) for model in models.values()} == set(PREFIXES)
    for name, model in models.items():
        assert name.startswith(PREFIXES[layer_of(model)]), name


def test_every_model_has_its_key_tested(models: dict[str, Any], manifest: Any) -> None:
    tested = {
        node.attached_node: node.test_metadata.kwargs["columns"]
        for node in manifest.nodes.values()
        if is_generic(node) and node.test_metadata.name == "unique_together"
    }
    assert [name for name, model in models.items() if model.unique_id not in tested] == []
    for name in EXPORTED:
        assert tuple(tested[models[TABLES[name].short_name].unique_id]) == TABLES[name].key


BRANCH = re.compile(r"\bcase\b|\bcoalesce\(|\bfilter \(|\blag\(", re.IGNORECASE)


def branching_of(models: dict[str, Any]) -> set[str]:
    """Models whose SQL does not treat all rows alike."""
    return {name for name, model in models.items() if BRANCH.search(re.sub("--.*", "", model.raw_code))}


def test_every_model_that_branches_has_a_unit_test(models: dict[str, Any], manifest: Any) -> None:
    tested = {unit_test.model for unit_test in manifest.unit_tests.values()}
    branching = branching_of(models)
    assert {"int_events_weighted", "int_items_versioned", "feat_user_daily", "stg_shop__items"} <= branching
    assert branching - tested == set()
    assert {"dim_items", "fct_impressions", "feat_item_daily", "feat_user_category_daily"} <= tested


#: A number's unit, where its name ends in it, a window's length apart: 28d.
UNIT = re.compile(r"_(days|cents|micros|ms|events)(_\d+d)?$")
COUNTED = re.compile(
    r"(views|carts|purchases|returns|ratings|orders|paid_orders|events|dwells|sessions)(_\d+d)?$"
)


def test_every_number_says_in_which_unit_it_is(models: dict[str, Any]) -> None:
    unclear = [
        f"{name}.{column.name}"
        for name, model in models.items()
        for column in model.columns.values()
        if column.data_type in ("bigint", "integer", "double precision")
        and not (column.description or column.config.meta.get("unit") or UNIT.search(column.name))
        and not COUNTED.match(column.name)
    ]
    assert unclear == []


def test_exposures_name_what_reads_the_tables_and_nothing_is_built_for_nobody(
    models: dict[str, Any], manifest: Any
) -> None:
    exposures = {exposure.name: exposure for exposure in manifest.exposures.values()}
    assert {"ranker", "reports", "lists_api"} <= exposures.keys()
    for name, exposure in exposures.items():
        assert exposure.description, name
        assert exposure.owner.name, name
        assert exposure.config.tags, name
        assert exposure.config.meta.get("owner"), name
    read = {each for exposure in exposures.values() for each in exposure.depends_on.nodes}
    read |= {each for model in models.values() for each in model.depends_on.nodes}
    assert [name for name, model in models.items() if model.unique_id not in read] == []


def test_freshness_is_asked_of_all_that_a_shop_delivers(manifest: Any) -> None:
    for source in manifest.sources.values():
        if source.source_name == "shop":
            assert source.loaded_at_field == "cast(known_date as timestamp)", source.name
            assert source.freshness.warn_after.count, source.name
    (events,) = [source for source in manifest.sources.values() if source.name == "events"]
    assert events.freshness.error_after.count > events.freshness.warn_after.count


def test_sources_and_seeds_state_their_grain_and_owner(manifest: Any) -> None:
    seeds = [node for node in manifest.nodes.values() if node.resource_type == "seed"]
    assert {source.source_name for source in manifest.sources.values()} == {"shop", "engine"}
    for node in [*manifest.sources.values(), *seeds]:
        assert node.description.startswith("One row per "), node.name
        assert node.config.meta.get("owner"), node.name
        assert node.config.tags, node.name


def test_tests_that_are_sentences_are_named_as_such(manifest: Any) -> None:
    sentences = [
        node.name for node in manifest.nodes.values() if node.resource_type == "test" and not is_generic(node)
    ]
    assert len(sentences) >= 4
    assert all(name.startswith("assert_") for name in sentences)


def test_every_event_type_that_a_shop_may_deliver_has_a_weight_but_the_impression() -> None:
    with (dbt.PROJECT / "seeds" / "event_weights.csv").open() as stream:
        weights = {row["signal"]: int(row["weight"]) for row in csv.DictReader(stream)}
    assert weights.keys() - {"engaged_view"} == {
        kind if kind != "rating" else "rating_star" for kind in EVENT_TYPES
    } - {"impression"}
    assert (
        weights["view"]
        < weights["engaged_view"]
        < weights["cart"]
        < weights["purchase"]
        == -weights["return"]
    )


def test_parsing_leaves_nothing_in_the_project(manifest: Any) -> None:
    left = {path.name for path in Path(dbt.PROJECT).iterdir()} & {
        "target",
        "logs",
        "dbt_packages",
        ".user.yml",
    }
    assert left == set()
