"""The Feature Definition Document tells what the project says, and nothing that it does not."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from safetensors.numpy import save_file

from contracts.settings import load_settings
from contracts.tables import FEAT_USER_DAILY
from jobs.feature_document import _distribution, _weights, declared, document_of
from jobs.feature_lineage import lineage_of
from jobs.io.lake import Lake
from jobs.io.schemas import arrow_schema
from jobs.io.state import PROMOTIONS, State
from jobs.ranking.next_item import FEATURES
from jobs.report_pages.feature_page import bars, markdown, sparkline, telling, uses

REPOSITORY = Path(__file__).resolve().parents[3]


def test_the_committed_document_is_up_to_date() -> None:
    committed = (REPOSITORY / "docs" / "features.md").read_text(encoding="utf-8")
    assert committed == markdown(declared()), "write it again: foretaste feature-document > docs/features.md"


def test_an_expression_is_followed_through_ctes_and_models() -> None:
    found = lineage_of("feat_item_daily", "views_28d")
    assert [(step.place, step.column) for step in found.steps[:3]] == [
        ("feat_item_daily.measured", "views_28d"), ("feat_item_daily.activity", "views_28d"), ("int_item_days_aggregated", "views"),
    ]  # fmt: skip
    # A loop of Jinja wrote it.
    assert found.steps[1].expression == "sum(days.views) filter (where windows.age_days < 28)"
    assert {"int_days_windowed", "int_item_days_aggregated"} <= set(found.models)
    assert "stg_shop__events" in found.origins
    [views] = [entry for entry in declared().tables[1].entries if entry.feature.name == "views_28d"]
    assert telling(views) == found.steps[1].expression  # the first one only casts it
    # What no select list names is not guessed.
    assert lineage_of("feat_user_daily", "no_such_column").steps == ()


def test_every_feature_s_expression_and_origin_is_found() -> None:
    entries = [entry for table in declared().tables for entry in table.entries]
    assert [
        entry.feature.name for entry in entries if not entry.lineage.models or not entry.lineage.origins
    ] == []
    assert [
        entry.feature.name
        for entry in entries
        if entry.feature.name != "price_cents" and not entry.lineage.steps
    ] == []


def test_what_the_document_calls_the_ranker_s_is_a_column_of_the_ranker() -> None:
    claimed = {entry.ranker for table in declared().tables for entry in table.entries if entry.ranker}
    assert claimed <= set(FEATURES)


@pytest.mark.parametrize(
    ("values", "median", "is_logarithmic"), [([1, 2, 3, None], 2, False), ([0] * 50 + [1, 2, 5000], 0, True)]
)
def test_a_distribution_tells_nulls_ends_and_middle(
    values: list[int], median: int, is_logarithmic: bool
) -> None:
    feature = FEAT_USER_DAILY.features[0]
    found = _distribution(pa.table({feature.name: values}), feature)
    assert found is not None
    known = [value for value in values if value is not None]
    assert (found.low, found.median, found.high) == (min(known), median, max(known))
    assert found.null_share == pytest.approx(1 - len(known) / len(values))
    assert (sum(found.bins), found.is_logarithmic) == (len(known), is_logarithmic)
    assert sparkline(found.bins)[0] != " "
    assert bars(found.bins).count("h1") == len(found.bins)


def test_the_highest_bar_fills_the_box_and_a_single_row_can_be_seen() -> None:
    assert bars([300, 0, 1]) == "M0,30V0h1V30h1V29h1V30z"


def test_a_champion_without_a_ranker_weighs_no_feature(tmp_path: Path) -> None:
    (tmp_path / "model.json").write_text('{"kind": "scored", "recommenders": []}')
    assert _weights(tmp_path) == {}


def test_the_weight_of_a_feature_is_that_of_the_champion_s_ranker(tmp_path: Path) -> None:
    home = load_settings(home=tmp_path)
    folder = tmp_path / "models" / "ab"
    folder.mkdir(parents=True)
    (folder / "model.json").write_text(
        json.dumps({"features": ["user.views_28d", "user.recency_days", "is_seen"]})
    )
    save_file(
        {
            "line.weight": np.array([[3.0, 0.0, 1.0]], np.float32),
            "layers.0.weight": np.array([[4.0, 0.0, 0.0], [0.0, 2.5, 0.0]], np.float32),
        },
        folder / "ranker.safetensors",
    )
    assert _weights(folder) == pytest.approx(
        {"user.views_28d": 1.0, "user.recency_days": 0.5, "is_seen": 0.2}
    )
    state = State.of(home)
    state.put(PROMOTIONS, "1", {"day": "2011-03-01", "sha256": "ab"})
    document = document_of(home, date(2011, 3, 2))
    told = {entry.feature.name: uses(entry)[0] for entry in document.tables[0].entries}
    assert document.champion == "1"
    assert told["views_28d"] == "ranker (user.views_28d, weight 1.00)"
    assert told["orders_90d"] == "ranker (user.orders_90d, not learnt by the champion)"


def test_the_figures_are_those_of_the_last_day_and_its_age_is_told(tmp_path: Path) -> None:
    home = load_settings(home=tmp_path)
    with State.of(home).lease("test", "transform", 60, is_last=True) as lease:
        lake = Lake.of(home, lease)
        for day, views in ((date(2011, 3, 1), 5), (date(2011, 3, 2), 7)):
            row = {"user_id": "u1", "feature_date": day, "views_28d": views}
            filled = [{name: row.get(name) for name in FEAT_USER_DAILY.columns}]
            lake.replace(
                FEAT_USER_DAILY.name,
                day,
                pa.Table.from_pylist(filled, arrow_schema(FEAT_USER_DAILY)),
                inputs="",
            )
    document = document_of(home, date(2011, 3, 4))
    users = next(table for table in document.tables if table.table == FEAT_USER_DAILY)
    assert (users.last_day, users.age_days) == (date(2011, 3, 2), 2)
    text = markdown(replace(document, tables=(users,)))
    assert "* Last run: 1 rows, 0.0% null, least 7, median 7, most 7, `█`" in text
    assert "Last partition: 2011-03-02, 2 days ago." in text
