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
from jobs.ranking.score_model import Model, ScoreModel
from jobs.ranking.world import World
from jobs.score import rank_everyone
from models.mlp_ranker import MLPRanker
from tests.tiny_world import tiny_blend, tiny_model, tiny_world

pytestmark = pytest.mark.contract


@pytest.fixture(scope="module")
def world() -> World:
    return tiny_world()


@pytest.fixture(scope="module")
def model(world: World) -> NextItemModel:
    return tiny_model(world)


@pytest.fixture(scope="module")
def blend(world: World) -> ScoreModel:
    return tiny_blend(world)


def lists(world: World, model: Model) -> Any:
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
    assert isinstance(loaded, NextItemModel)
    assert loaded.preparation == model.preparation
    assert lists(world, loaded) == lists(world, model)
    assert save_model(loaded, {"day": "2011-03-01"}, tmp_path) == (folder, digest)


def test_a_model_that_reads_events_is_saved_with_what_it_has_learnt_of_them(
    world: World, model: NextItemModel, blend: ScoreModel, tmp_path: Path
) -> None:
    """One that reads items alone says nothing of them: its bytes are those of before there was a choice."""
    told, told_blend = tiny_model(world, reads_events=True), tiny_blend(world, reads_events=True)
    for plain, reading in ((model, told), (blend, told_blend)):
        folder, digest = save_model(reading, {}, tmp_path)
        assert lists(world, load_model(folder, digest)) == lists(world, reading) != lists(world, plain)
        without, _ = save_model(plain, {}, tmp_path)
        assert "reads_" in (folder / DESCRIPTION).read_text()
        assert "reads_" not in (without / DESCRIPTION).read_text()


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


def test_a_saved_blend_gives_the_same_lists_and_scores(
    world: World, blend: ScoreModel, tmp_path: Path
) -> None:
    folder, digest = save_model(blend, {"day": "2011-03-01"}, tmp_path)
    # Neighbours and popularity are each day's own: nothing of them is kept but how they are read.
    assert {path.stem for path in folder.glob("*.safetensors")} == {"als", "ease", "gru4rec", "sasrec"}
    loaded = load_model(folder, digest)
    assert isinstance(loaded, ScoreModel)
    assert list(loaded.weights.items()) == list(blend.weights.items())
    assert lists(world, loaded) == lists(world, blend)
    assert save_model(loaded, {"day": "2011-03-01"}, tmp_path) == (folder, digest)


@pytest.mark.parametrize(
    "name", ["sasrec", "gru4rec", "ease", "als", "covisitation", "content", "popularity"]
)
def test_each_recommender_is_a_model_by_itself(
    world: World, blend: ScoreModel, name: str, tmp_path: Path
) -> None:
    alone = ScoreModel(blend.item_ids, {name: blend.recommenders[name]}, {name: 1.0})
    loaded = load_model(*save_model(alone, {}, tmp_path))
    assert lists(world, loaded) == lists(world, alone)


def test_a_model_from_before_there_were_two_kinds_is_one_with_a_ranker(
    world: World, model: NextItemModel, tmp_path: Path
) -> None:
    folder, _ = save_model(model, {}, tmp_path)
    loaded = load_model(folder, rewritten(folder, kind=None))
    assert lists(world, loaded) == lists(world, model)


def test_a_model_of_a_kind_that_is_not_known_is_refused(blend: ScoreModel, tmp_path: Path) -> None:
    folder, _ = save_model(blend, {}, tmp_path)
    with pytest.raises(
        ModelRefused, match=r"of the kind 'forest', which this Foretaste does not know.*retrain"
    ):
        load_model(folder, rewritten(folder, kind="forest"))


def test_a_recommender_that_is_not_known_is_refused_by_name(blend: ScoreModel, tmp_path: Path) -> None:
    folder, _ = save_model(blend, {}, tmp_path)
    parts = json.loads((folder / DESCRIPTION).read_text())["recommenders"]
    strange = [*parts, {"name": "oracle", "weight": 1.0, "options": {}}]
    with pytest.raises(ModelRefused, match=r"is not a usable model.*oracle.*Retrain: foretaste retrain"):
        load_model(folder, rewritten(folder, recommenders=strange))
    for weight in (-1.0, float("nan")):
        twisted = [parts[0] | {"weight": weight}, *parts[1:]]
        with pytest.raises(ModelRefused, match="the weight of sasrec is"):
            load_model(folder, rewritten(folder, recommenders=twisted))


def test_a_torn_or_foreign_or_changed_folder_is_refused(blend: ScoreModel, tmp_path: Path) -> None:
    folder, digest = save_model(blend, {}, tmp_path)
    weights = folder / "ease.safetensors"
    content = weights.read_bytes()
    weights.unlink()
    with pytest.raises(ModelRefused, match=r"has digest .*registered was .*it is fetched again"):
        load_model(folder, digest)
    with pytest.raises(ModelRefused, match=r"is not a usable model: 'ease'"):
        load_model(folder, digest_of_folder(folder))
    weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(ModelRefused, match="registered was"):
        load_model(folder, digest)
    weights.write_bytes(content)
    load_model(folder, digest)
    (folder / "model.pkl").write_bytes(b"")
    with pytest.raises(ModelRefused, match=r"holds \[.*'model.pkl'.*a model is model.json and some of als"):
        load_model(folder, digest)


def test_a_weight_that_is_no_number_is_refused(blend: ScoreModel, tmp_path: Path) -> None:
    state = blend.recommenders["ease"].state()
    state["weights"] = np.full_like(state["weights"], np.nan)

    class Broken:
        def score(self, histories: Any) -> Any: ...

        def state(self) -> Any:
            return state

    broken = ScoreModel(blend.item_ids, {"ease": Broken()}, {"ease": 1.0})
    with pytest.raises(ModelRefused, match="weights is not finite"):
        load_model(*save_model(broken, {}, tmp_path))
