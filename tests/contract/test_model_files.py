"""A model that was saved ranks as before; one that cannot be trusted is refused with the way out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from contracts.errors import ModelRefused
from jobs.io.model_files import DESCRIPTION, digest_of_folder, load_model, save_model
from jobs.ranking.next_item import FEATURES, NextItemModel
from jobs.ranking.preparation import Preparation
from jobs.ranking.world import World
from jobs.score import rank_everyone
from models.mlp_ranker import MLPRanker
from tests.tiny_world import tiny_model, tiny_world

pytestmark = pytest.mark.contract


@pytest.fixture(scope="module")
def world() -> World:
    return tiny_world()


@pytest.fixture(scope="module")
def model(world: World) -> NextItemModel:
    return tiny_model(world)


def lists(world: World, model: NextItemModel) -> Any:
    return rank_everyone(world, model, length=5, num_candidates=10, repeats_allowed=True)


def rewritten(folder: Path, **changes: Any) -> str:
    """The digest of a folder whose description says something else."""
    description = json.loads((folder / DESCRIPTION).read_text()) | changes
    description = {name: value for name, value in description.items() if value is not None}
    (folder / DESCRIPTION).write_text(json.dumps(description))
    return digest_of_folder(folder)


def test_a_saved_model_gives_the_same_lists_and_scores(
    world: World, model: NextItemModel, tmp_path: Path
) -> None:
    folder, digest = save_model(model, {"day": "2011-03-01"}, tmp_path)
    loaded = load_model(folder, digest)
    assert loaded.preparation == model.preparation
    assert lists(world, loaded) == lists(world, model)
    assert save_model(loaded, {"day": "2011-03-01"}, tmp_path) == (folder, digest)


def test_a_model_from_before_features_were_prepared_goes_on_as_it_was(
    world: World, model: NextItemModel, tmp_path: Path
) -> None:
    columns = tuple(name for name in FEATURES if name not in ("item.category", "item.brand"))
    ranker = MLPRanker(model.ranker.config, columns)
    older = NextItemModel(model.item_ids, model.sasrec, ranker.eval(), Preparation.as_they_are(columns))
    folder, _ = save_model(older, {}, tmp_path)
    loaded = load_model(folder, rewritten(folder, preparation=None))
    assert lists(world, loaded) == lists(world, older)


def test_a_model_that_has_learnt_from_what_nothing_computes_any_more_is_refused(
    model: NextItemModel, tmp_path: Path
) -> None:
    folder, _ = save_model(model, {}, tmp_path)
    digest = rewritten(folder, features=[*model.reads, "item.weight_grams"])
    with pytest.raises(
        ModelRefused, match=r"was trained on item.weight_grams, which nothing computes any more"
    ):
        load_model(folder, digest)


def test_a_preparation_that_cannot_be_calculated_with_is_refused(
    model: NextItemModel, tmp_path: Path
) -> None:
    folder, _ = save_model(model, {}, tmp_path)
    state = model.preparation.state()
    for items in (
        state["items"] | {"scales": [0.0] * len(state["items"]["scales"])},
        {"features": state["items"]["features"]},
        state["items"] | {"features": state["items"]["features"][:-1]},
    ):
        with pytest.raises(ModelRefused, match=r"is not a usable model.*Retrain: foretaste retrain"):
            load_model(folder, rewritten(folder, preparation=state | {"items": items}))
    digest = rewritten(folder, preparation=Preparation.as_they_are(("item.unlearnt",)).state())
    with pytest.raises(ModelRefused, match="the two are not of one model"):
        load_model(folder, digest)


def test_what_was_read_is_what_the_description_says(model: NextItemModel, tmp_path: Path) -> None:
    folder, _ = save_model(model, {}, tmp_path)
    features = json.loads((folder / DESCRIPTION).read_text())["features"]
    assert set(features) <= set(FEATURES)
    assert np.isin(["item.price_cents", "item.brand", "user.recency_days", "is_seen"], features).all()
