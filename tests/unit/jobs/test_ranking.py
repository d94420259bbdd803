"""Lists come from candidates and features, hold only what may be shown, and are always full while the catalogue is."""

from __future__ import annotations

import dataclasses
from datetime import date

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from contracts.lists import PERSONAL, POPULAR
from jobs.ranking.next_item import FEATURES, NextItemModel, propose
from jobs.ranking.world import ITEM_FEATURES, USER_FEATURES, World, index_of, split_by_user
from jobs.score import rank_everyone
from models.mlp_ranker import MLPRanker, MLPRankerConfig
from models.sasrec import SASRec, SASRecConfig

NUM_ITEMS, NUM_USERS, K = 30, 12, 5


@pytest.fixture(scope="module")
def world() -> World:
    rng = np.random.default_rng(7)
    histories = [
        rng.choice(NUM_ITEMS, size=length, replace=False) for length in [0, 1, 2, *[6] * (NUM_USERS - 3)]
    ]
    is_available_N = np.ones(NUM_ITEMS, bool)
    is_available_N[[3, 4]] = False  # sold out
    return World(
        cutoff=date(2011, 3, 1),
        item_ids=np.array([f"item-{index:02d}" for index in range(NUM_ITEMS)], dtype=object),
        is_available_N=is_available_N,
        category_N=np.arange(NUM_ITEMS) % 4,
        item_features_NF=rng.random((NUM_ITEMS, len(ITEM_FEATURES))).astype(np.float32),
        popularity_N=rng.integers(0, 50, NUM_ITEMS).astype(np.float32),
        neighbours_NN=csr_matrix(rng.integers(0, 3, (NUM_ITEMS, NUM_ITEMS))),
        user_ids=np.array([f"user-{index:02d}" for index in range(NUM_USERS)], dtype=object),
        histories=histories,
        seen=[np.unique(history) for history in histories],
        user_features_UF=rng.random((NUM_USERS, len(USER_FEATURES))).astype(np.float32),
        affinity_UC=csr_matrix(rng.random((NUM_USERS, 5))),
    )


@pytest.fixture(scope="module")
def model(world: World) -> NextItemModel:
    rng = np.random.default_rng(7)
    sasrec = SASRec(SASRecConfig(num_items=NUM_ITEMS - 2, width=8, blocks=1, heads=1, max_length=6), seed=1)
    rows, groups = 200, 10
    features = rng.normal(size=(rows, len(FEATURES))).astype(np.float32)
    labels = features.sum(axis=1) + rng.normal(size=rows) > 4  # every feature counts a little
    offsets = np.arange(0, rows + 1, rows // groups)
    ranker, _ = MLPRanker.fit(MLPRankerConfig(widths=(8,), epochs=3), FEATURES, features, offsets, labels)
    return NextItemModel(world.item_ids[:-2], sasrec, ranker)  # the last two items are new to the model


def lists(world: World, model: NextItemModel | None, *, length: int = K, repeats_allowed: bool = False):
    rows = rank_everyone(world, model, length=length, num_candidates=10, repeats_allowed=repeats_allowed)
    return rows.to_pylist()


def test_every_user_gets_distinct_items_that_are_for_sale(world: World, model: NextItemModel) -> None:
    rows = lists(world, model)
    assert [row["user_id"] for row in rows] == list(world.user_ids)
    for row in rows:
        assert len(set(row["item_ids"])) == K
        assert not {"item-03", "item-04"} & set(row["item_ids"])
        assert row["scores"] == sorted(row["scores"], reverse=True)
        assert not row["is_short"]


@pytest.mark.parametrize("repeats_allowed", [True, False])
def test_seen_items_come_again_only_where_the_shop_allows_it(
    world: World, model: NextItemModel, repeats_allowed: bool
) -> None:
    repeats = 0
    for row, seen in zip(
        lists(world, model, length=25, repeats_allowed=repeats_allowed), world.seen, strict=True
    ):
        repeats += len(set(world.item_ids[seen]) & set(row["item_ids"]))
    assert (repeats > 0) == repeats_allowed


def test_whoever_has_no_history_gets_recent_popularity_and_is_told(
    world: World, model: NextItemModel
) -> None:
    first, *others = lists(world, model)
    order = np.lexsort((np.arange(NUM_ITEMS), -world.popularity_N))
    expected = [world.item_ids[item] for item in order if world.is_available_N[item]][:K]
    assert (first["source"], first["item_ids"]) == (POPULAR, expected)
    assert {row["source"] for row in others} == {PERSONAL}


def test_without_a_champion_everyone_gets_popularity(world: World) -> None:
    assert {row["source"] for row in lists(world, None)} == {POPULAR}


def test_a_catalogue_smaller_than_the_list_gives_short_lists_that_say_so(
    world: World, model: NextItemModel
) -> None:
    for row in lists(world, model, length=100, repeats_allowed=True):
        assert row["is_short"]
        assert len(row["item_ids"]) == NUM_ITEMS - 2


def test_a_list_does_not_depend_on_who_else_is_scored(world: World, model: NextItemModel) -> None:
    options = {"length": K, "num_candidates": 10, "repeats_allowed": False}
    together = model.rank(world, np.arange(NUM_USERS), **options)
    for user in range(NUM_USERS):
        alone = model.rank(world, np.array([user]), **options)
        np.testing.assert_array_equal(alone.items_UK[0], together.items_UK[user])


def _permuted(world: World, column: str) -> World:
    order = np.random.default_rng(3).permutation
    kind, _, name = column.partition(".")
    if kind == "item":
        features = world.item_features_NF.copy()
        index = ITEM_FEATURES.index(name)
        features[:, index] = features[order(NUM_ITEMS), index] * 3
        return dataclasses.replace(world, item_features_NF=features)
    features = world.user_features_UF.copy()
    index = USER_FEATURES.index(name)
    features[:, index] = features[order(NUM_USERS), index] * 3
    return dataclasses.replace(world, user_features_UF=features)


@pytest.mark.parametrize("column", [name for name in FEATURES if "." in name])
def test_permuting_a_feature_column_changes_the_scores(
    world: World, model: NextItemModel, column: str
) -> None:
    before = [row["scores"] for row in lists(world, model)]
    after = [row["scores"] for row in lists(_permuted(world, column), model)]
    assert before != after


def test_deleting_co_visitation_changes_the_lists(world: World, model: NextItemModel) -> None:
    without = dataclasses.replace(world, neighbours_NN=csr_matrix((NUM_ITEMS, NUM_ITEMS)))
    assert lists(world, model) != lists(without, model)


def test_deleting_histories_changes_the_lists(world: World, model: NextItemModel) -> None:
    empty = np.empty(0, np.int64)
    without = dataclasses.replace(world, histories=[empty] * NUM_USERS, seen=[empty] * NUM_USERS)
    assert {row["source"] for row in lists(without, model)} == {POPULAR}


def test_candidates_hold_the_best_of_each_source(world: World, model: NextItemModel) -> None:
    users = np.array([5])
    (candidates,) = propose(
        model.sasrec, model.item_ids, world, users, num_candidates=1, length=1, repeats_allowed=True
    )
    assert 1 <= len(candidates.items_R) <= 3
    features = candidates.features(world)
    assert features.shape == (len(candidates.items_R), len(FEATURES))
    assert np.isfinite(features).all()


def test_the_ranker_scores_in_lists_what_it_was_trained_on(world: World, model: NextItemModel) -> None:
    users = np.array([5])
    options = {"num_candidates": 10, "length": K, "repeats_allowed": True}
    (candidates,) = propose(model.sasrec, model.item_ids, world, users, **options)
    scores_R = model.ranker.score(candidates.features(world), FEATURES)
    ranked = model.rank(world, users, **options)
    best = sorted(zip(-scores_R, candidates.items_R, strict=True))[:K]
    assert ranked.items_UK[0].tolist() == [item for _, item in best]
    np.testing.assert_allclose(ranked.scores_UK[0], [-score for score, _ in best], rtol=0, atol=2e-6)


@pytest.mark.parametrize("processes", [2, 3])
def test_lists_are_the_same_whatever_the_number_of_processes(
    world: World, model: NextItemModel, monkeypatch: pytest.MonkeyPatch, processes: int
) -> None:
    monkeypatch.setattr("jobs.score._SHARE", 5)
    options = {"length": K, "num_candidates": 10, "repeats_allowed": True}
    alone = rank_everyone(world, model, processes=1, **options)
    assert rank_everyone(world, model, processes=processes, **options) == alone


def test_ids_are_found_by_their_place() -> None:
    ids = np.array(["a", "c", "e"], dtype=object)
    wanted = np.array(["c", "b", "z", "a"], dtype=object)
    assert index_of(wanted, ids).tolist() == [1, -1, -1, 0]
    assert index_of(wanted, ids[:0]).tolist() == [-1, -1, -1, -1]


def test_rows_are_split_by_user() -> None:
    users = np.array(["a", "a", "b"], dtype=object)
    parts = split_by_user(users, np.array([1, 2, 3]))
    assert {user: rows.tolist() for user, rows in parts.items()} == {"a": [1, 2], "b": [3]}
    assert split_by_user(users[:0], np.empty(0)) == {}
