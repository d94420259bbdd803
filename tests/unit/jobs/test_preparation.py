"""What features are prepared by is learnt where the ranker learns, and leaves no gap wherever it ranks."""

from __future__ import annotations

import dataclasses

import numpy as np
import pyarrow as pa
import pytest

from contracts.lists import PERSONAL
from contracts.tables import TRAINING_IMPRESSIONS
from jobs.io.schemas import arrow_schema
from jobs.ranking.next_item import NextItemModel
from jobs.ranking.preparation import Preparation
from jobs.ranking.proposer import PAIR_FEATURES
from jobs.ranking.world import ITEM_FEATURES, USER_FEATURES, World
from jobs.score import rank_everyone
from jobs.training.impressions import Impressions
from jobs.training.trainer import Fitted, Trainer
from tests.tiny_world import NUM_ITEMS, NUM_USERS, tiny_model, tiny_world

CHOSEN = {"seed": 7, "threads": 1, "num_candidates": 8, "list_length": 5}


@pytest.fixture(scope="module")
def world() -> World:
    return tiny_world()


@pytest.fixture(scope="module")
def model(world: World) -> NextItemModel:
    return tiny_model(world)


def fit(world: World, model: NextItemModel) -> NextItemModel:
    """A ranker by what everybody wanted next: the two items after the last."""
    wanted = {
        user: world.item_ids[(world.histories[index][-1] + np.array([1, 2])) % NUM_ITEMS]
        for index, user in enumerate(world.user_ids)
        if len(world.histories[index])
    }
    nothing_shown = Impressions(arrow_schema(TRAINING_IMPRESSIONS).empty_table())
    fitted = Fitted(model.item_ids, model.sasrec)
    trainer = Trainer(CHOSEN, repeats_allowed=True)
    ranker, preparation = trainer.fit_ranker(fitted, world, wanted, nothing_shown)
    return NextItemModel(model.item_ids, model.sasrec, ranker, preparation)


def lists(world: World, model: NextItemModel) -> pa.Table:
    return rank_everyone(world, model, length=5, num_candidates=10, repeats_allowed=True)


def with_numbers(world: World, side: str, values: np.ndarray) -> World:
    return dataclasses.replace(
        world, **{"item_features_NF" if side == "item" else "user_features_UF": values}
    )


def lacking(world: World, name: str, rows: slice) -> World:
    """A world in which some of the users or items lack a number."""
    side, _, feature = name.partition(".")
    names, values = {
        "item": (ITEM_FEATURES, world.item_features_NF),
        "user": (USER_FEATURES, world.user_features_UF),
    }[side]
    values = values.copy()
    values[rows, names.index(feature)] = np.nan
    return with_numbers(world, side, values)


def test_the_ranker_learns_from_prepared_columns_and_scales_the_others_alone(
    world: World, model: NextItemModel
) -> None:
    trained = fit(world, model)
    columns = trained.preparation.columns
    assert trained.ranker.feature_names == PAIR_FEATURES + columns
    assert {"item.price_cents", "item.category=category-1", "item.brand.wanted", "user.recency_days"} < set(
        columns
    )
    state = trained.ranker.state()
    assert set(state["middle"][len(PAIR_FEATURES) :]) == {0.0}
    assert set(state["spread"][len(PAIR_FEATURES) :]) == {1.0}
    assert set(state["spread"][: len(PAIR_FEATURES)]) != {1.0}


def test_what_later_days_hold_changes_nothing_that_was_learnt(world: World, model: NextItemModel) -> None:
    """Who is the same on a later day has the same columns there, whatever became of the others."""
    preparation = fit(world, model).preparation
    later = world
    for side, values in (("item", world.item_features_NF), ("user", world.user_features_UF)):
        changed = values.copy()
        changed[1:] *= 1000
        later = with_numbers(later, side, changed)
    words = {
        name: np.append(words_N[:1], ["new"] * (NUM_ITEMS - 1)) for name, words_N in world.item_words.items()
    }
    later = dataclasses.replace(later, item_words=words)
    np.testing.assert_array_equal(preparation.of_items(later)[0], preparation.of_items(world)[0])
    np.testing.assert_array_equal(preparation.of_users(later)[0], preparation.of_users(world)[0])
    assert not np.array_equal(preparation.of_items(later)[1:], preparation.of_items(world)[1:])


def test_what_was_learnt_is_of_the_world_in_which_the_ranker_learns(
    world: World, model: NextItemModel
) -> None:
    doubled = with_numbers(world, "item", world.item_features_NF * 2)
    assert fit(doubled, model).preparation.items != fit(world, model).preparation.items
    assert fit(world, model).preparation == fit(world, model).preparation


def test_candidates_are_told_what_others_wanted(world: World) -> None:
    """The columns of the ranker's lessons are those of the lists, but for the means: there nobody tells himself."""
    users_R = np.repeat(np.arange(NUM_USERS), 6)
    items_R = np.random.default_rng(1).integers(0, NUM_ITEMS, len(users_R))
    is_wanted_R = np.random.default_rng(2).random(len(users_R)) < 0.3
    preparation, rows_RP = Preparation.fit(world, users_R, items_R, is_wanted_R, seed=1)
    of_lists_RP = np.concatenate(
        [preparation.of_items(world)[items_R], preparation.of_users(world)[users_R]], axis=1
    )
    differs = [
        name
        for place, name in enumerate(preparation.columns)
        if not np.array_equal(rows_RP[:, place], of_lists_RP[:, place])
    ]
    assert differs == ["item.category.wanted", "item.brand.wanted"]
    turned, rows_turned_RP = Preparation.fit(
        world, users_R, items_R, np.where(users_R == 3, ~is_wanted_R, is_wanted_R), seed=1
    )
    place = preparation.columns.index("item.brand.wanted")
    of_user, (before, after) = users_R == 3, (each.means[1] for each in (preparation, turned))
    np.testing.assert_allclose(
        rows_RP[of_user, place] * before.scale + before.center,
        rows_turned_RP[of_user, place] * after.scale + after.center,
        rtol=1e-4,
        atol=1e-6,
    )


@pytest.mark.parametrize("name", ["item.price_cents", "user.mean_price_cents_90d", "user.recency_days"])
def test_a_value_that_some_lack_is_told_to_the_ranker(world: World, model: NextItemModel, name: str) -> None:
    some = lacking(world, name, slice(3, 9))
    trained = fit(some, model)
    assert f"{name}.is_missing" in trained.ranker.feature_names
    assert lists(some, trained) != lists(world, trained)


@pytest.mark.parametrize("rows", [slice(0, 1), slice(None)])
def test_what_is_lacking_when_lists_are_made_keeps_nobody_from_a_list(
    world: World, model: NextItemModel, rows: slice
) -> None:
    """A value that everybody had when the ranker learnt, lacking in one row or in all."""
    poor = world
    for name in ("item.price_cents", "item.age_days", "user.recency_days", "user.mean_price_cents_90d"):
        poor = lacking(poor, name, rows)
    poor = dataclasses.replace(poor, item_words={name: np.full(NUM_ITEMS, "") for name in world.item_words})
    found = lists(poor, model).to_pylist()
    assert {row["source"] for row in found[2:]} == {PERSONAL}  # of the first two it knows no item
    assert np.isfinite([row["scores"] for row in found]).all()


def test_a_world_without_words_or_with_one_value_teaches_all_the_same(
    world: World, model: NextItemModel
) -> None:
    """A shop that tells neither category nor brand nor price, and whose items are all of an age."""
    plain = lacking(world, "item.price_cents", slice(None))
    values = plain.item_features_NF.copy()
    values[:, ITEM_FEATURES.index("age_days")] = 3
    words = {name: np.full(NUM_ITEMS, "", dtype=object) for name in world.item_words}
    plain = dataclasses.replace(with_numbers(plain, "item", values), item_words=words)
    trained = fit(plain, model)
    read = set(trained.preparation.reads)
    assert not {"item.price_cents", "item.age_days", "item.category", "item.brand"} & read
    assert np.isfinite([row["scores"] for row in lists(plain, trained).to_pylist()]).all()


def test_a_world_without_anybody_has_no_lists(world: World, model: NextItemModel) -> None:
    nobody = dataclasses.replace(
        world,
        user_ids=world.user_ids[:0],
        histories=[],
        seen=[],
        user_features_UF=world.user_features_UF[:0],
        affinity_UC=world.affinity_UC[:0],
    )
    assert lists(nobody, model).num_rows == 0


def test_the_same_seed_gives_the_same_model(world: World, model: NextItemModel) -> None:
    once, again = (fit(world, model) for _ in range(2))
    assert once.preparation.state() == again.preparation.state()
    state = again.ranker.state()
    assert all(array.tobytes() == state[name].tobytes() for name, array in once.ranker.state().items())
