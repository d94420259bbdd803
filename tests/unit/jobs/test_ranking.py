"""Lists come from candidates and features, hold only what may be shown, and are always full while the catalogue is."""

from __future__ import annotations

import dataclasses
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from scipy.sparse import csr_matrix

from contracts import names
from contracts.errors import GateRefused, PartitionMissing
from contracts.lists import PERSONAL
from contracts.settings import load_settings
from contracts.tables import BOUGHT, FEAT_USER_BRAND_DAILY, IN_CART, SEQUENCES, TABLES, TRAINING_IMPRESSIONS
from jobs.io.lake import Lake
from jobs.io.schemas import arrow_schema
from jobs.io.state import State
from jobs.ranking.next_item import FEATURES, NextItemModel
from jobs.ranking.preparation import Preparation
from jobs.ranking.proposer import PAIR_FEATURES, Proposer
from jobs.ranking.world import (
    ITEM_FEATURES,
    USER_FEATURES,
    World,
    _affinity,
    index_of,
    load_world,
    steps_by_user,
)
from jobs.score import rank_everyone
from jobs.training.impressions import Impressions
from jobs.training.sequences import read_sequences
from jobs.training.trainer import Fitted, Trainer
from models.covisitation import CoVisitation
from models.mlp_ranker import MLPRanker
from models.neighbours import COPURCHASE_RECENT
from models.topk import top_k
from tests.tiny_world import DAY, NUM_ITEMS, NUM_USERS, tiny_model, tiny_world

K = 5
NOTHING_SHOWN = Impressions(arrow_schema(TRAINING_IMPRESSIONS).empty_table())


@pytest.fixture(scope="module")
def world() -> World:
    return tiny_world()


@pytest.fixture(scope="module")
def model(world: World) -> NextItemModel:
    return tiny_model(world)


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


def test_whoever_the_champion_knows_gets_its_list(world: World, model: NextItemModel) -> None:
    for row, history in zip(lists(world, model), world.histories, strict=True):
        assert (row["source"] == PERSONAL) == bool((history < NUM_ITEMS - 2).any())


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


def test_a_champion_goes_on_ranking_by_what_it_has_learnt_when_a_feature_is_declared_after_it(
    world: World, model: NextItemModel
) -> None:
    """It is one that was trained before features were prepared, too: it scales by itself what it reads."""
    was_unknown = ("item.age_days", "user.recency_days", "is_last_item", "item.category", "item.brand")
    learnt = tuple(name for name in FEATURES if name not in was_unknown)
    ranker = MLPRanker(model.ranker.config, learnt)
    ranker.eval()
    older = NextItemModel(model.item_ids, model.sasrec, ranker, Preparation.as_they_are(learnt))
    assert older.reads == learnt
    ranked = lists(world, older)
    assert {row["source"] for row in ranked[2:]} == {PERSONAL}
    assert lists(_permuted(world, "user.mean_price_cents_90d"), older) != ranked
    moved = _permuted(_permuted(world, "item.age_days"), "user.recency_days")
    assert lists(moved, older) == ranked


def _permuted(world: World, column: str) -> World:
    order = np.random.default_rng(3).permutation
    kind, _, name = column.partition(".")
    if name in world.item_words:
        words = world.item_words | {name: world.item_words[name][order(NUM_ITEMS)]}
        return dataclasses.replace(world, item_words=words)
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


def test_deleting_co_purchase_changes_the_lists(world: World, model: NextItemModel) -> None:
    without = dataclasses.replace(world, bought_with_NN=csr_matrix((NUM_ITEMS, NUM_ITEMS)))
    assert lists(world, model) != lists(without, model)


@pytest.mark.parametrize("what", ["depths_D", "days_ago_D"])
def test_what_users_did_with_an_item_changes_the_scores(
    world: World, model: NextItemModel, what: str
) -> None:
    others = dataclasses.replace(world.deeds, **{what: getattr(world.deeds, what) % 3 + 1})
    changed = dataclasses.replace(world, deeds=others)
    before, after = (lists(each, model, repeats_allowed=True) for each in (world, changed))
    assert [row["scores"] for row in before] != [row["scores"] for row in after]


def test_deleting_histories_changes_the_lists(world: World, model: NextItemModel) -> None:
    empty = np.empty(0, np.int64)
    without = dataclasses.replace(world, histories=[empty] * NUM_USERS, seen=[empty] * NUM_USERS)
    assert PERSONAL not in {row["source"] for row in lists(without, model)}


def test_candidates_hold_the_best_of_each_source(world: World, model: NextItemModel) -> None:
    users = np.array([5])
    proposer = Proposer(model.sasrec, model.item_ids, world, num_candidates=1, length=1, repeats_allowed=True)
    (candidates,) = proposer.propose(users)
    assert 1 <= len(candidates.items_R) <= 4
    assert candidates.pair_RF.shape == (len(candidates.items_R), len(PAIR_FEATURES))
    assert np.isfinite(candidates.pair_RF).all()


@pytest.mark.parametrize("repeats_allowed", [True, False])
def test_pair_features_are_what_they_are_called(
    world: World, model: NextItemModel, repeats_allowed: bool
) -> None:
    """Computed once more, plainly, for one user at a time."""
    options = {"num_candidates": 5, "length": 4, "repeats_allowed": repeats_allowed}
    (candidates,) = Proposer(model.sasrec, model.item_ids, world, **options).propose(np.arange(NUM_USERS))
    neighbours_UN = CoVisitation().fit(world.neighbours_NN).score(world.histories)
    bought_with_UN = CoVisitation(COPURCHASE_RECENT).fit(world.bought_with_NN).score(world.histories)
    for user in range(NUM_USERS):
        rows = np.flatnonzero(candidates.rows_R == user)
        items, pair = candidates.items_R[rows], candidates.pair_RF[rows]
        may_show_N = world.is_available_N.copy()
        if not repeats_allowed:
            may_show_N[world.seen[user]] = False
        scored = np.flatnonzero(may_show_N[:-2])  # the last two are unknown to the transformer
        for_sale = np.flatnonzero(world.is_available_N[:-2])
        (scores_V,) = model.sasrec.score([world.histories[user][world.histories[user] < NUM_ITEMS - 2]])
        score = np.append(scores_V, [scores_V[for_sale].min()] * 2)[items]
        standard = (score - scores_V[scored].mean()) / max(scores_V[scored].std(), 1e-6)
        np.testing.assert_allclose(pair[:, 0], standard, rtol=1e-4, atol=1e-4)
        ranks = np.argsort(np.argsort(-score, kind="stable"), kind="stable")
        np.testing.assert_allclose(pair[:, 1], np.log1p(ranks), rtol=1e-6)
        np.testing.assert_allclose(pair[:, 2], np.log1p(1000 * neighbours_UN[user, items]), rtol=1e-6)
        assert pair[:, PAIR_FEATURES.index("is_seen")].tolist() == np.isin(items, world.seen[user]).tolist()
        last = world.histories[user][-1] if len(world.histories[user]) else -1
        assert pair[:, PAIR_FEATURES.index("is_last_item")].tolist() == (items == last).tolist()
        of_copurchase = pair[:, PAIR_FEATURES.index("copurchase_score")]
        np.testing.assert_allclose(of_copurchase, np.log1p(1000 * bought_with_UN[user, items]), rtol=1e-6)
        begin = world.deeds.starts_U[user]
        deeds = {item: begin + place for place, item in enumerate(world.seen[user].tolist())}
        of_deeds = pair[:, PAIR_FEATURES.index("seen_freshness") :].tolist()
        for item, (fresh, is_left, is_bought) in zip(items.tolist(), of_deeds, strict=True):
            depth = world.deeds.depths_D[deeds[item]] if item in deeds else 0
            days = world.deeds.days_ago_D[deeds[item]] if item in deeds else np.inf
            assert (is_left, is_bought) == (depth == IN_CART, depth == BOUGHT)
            assert fresh == pytest.approx(1 / (1 + days))
        best = [
            top_k(np.where(may_show_N, each, -np.inf)[None, :], k)[0]
            for each, k in (
                (
                    np.append(
                        np.where(np.isin(np.arange(NUM_ITEMS - 2), scored), scores_V, -np.inf), [-np.inf] * 2
                    ),
                    5,
                ),
                (np.where(neighbours_UN[user] > 0, neighbours_UN[user], -np.inf), 5),
                (np.where(bought_with_UN[user] > 0, bought_with_UN[user], -np.inf), 4),
                (world.popularity_N, 4),
            )
        ]
        expected = np.unique(np.concatenate(best, axis=1))
        assert items.tolist() == expected[expected >= 0].tolist()


def test_the_ranker_scores_in_lists_what_it_was_trained_on(world: World, model: NextItemModel) -> None:
    users = np.array([5])
    options = {"num_candidates": 10, "length": K, "repeats_allowed": True}
    (candidates,) = Proposer(model.sasrec, model.item_ids, world, **options).propose(users)
    preparation = model.preparation
    of_item_RP = preparation.of_items(world)[candidates.items_R]
    of_user_RP = preparation.of_users(world)[candidates.block[candidates.rows_R]]
    features = np.concatenate([candidates.pair_RF, of_item_RP, of_user_RP], axis=1)
    scores_R = model.ranker.score(features, PAIR_FEATURES + preparation.columns)
    ranked = model.rank(world, users, **options)
    best = sorted(zip(-scores_R, candidates.items_R, strict=True))[:K]
    assert ranked.items_UK[0].tolist() == [item for _, item in best]
    np.testing.assert_allclose(ranked.scores_UK[0], [-score for score, _ in best], rtol=0, atol=2e-6)


@pytest.mark.parametrize("processes", [2, 3])
def test_lists_are_the_same_whatever_the_number_of_processes(
    world: World, model: NextItemModel, monkeypatch: pytest.MonkeyPatch, processes: int
) -> None:
    monkeypatch.setattr("jobs.ranking.shares.SHARE", 5)
    options = {"length": K, "num_candidates": 10, "repeats_allowed": True}
    alone = rank_everyone(world, model, processes=1, **options)
    assert rank_everyone(world, model, processes=processes, **options) == alone


def test_ids_are_found_by_their_place() -> None:
    ids = np.array(["a", "c", "e"], dtype=object)
    wanted = np.array(["c", "b", "z", "a"], dtype=object)
    assert index_of(wanted, ids).tolist() == [1, -1, -1, 0]
    assert index_of(wanted, ids[:0]).tolist() == [-1, -1, -1, -1]


def outcomes(world: World, user: int, item: int) -> dict[str, np.ndarray]:
    return {world.user_ids[user]: np.array([world.item_ids[item]], dtype=object)}


def test_a_ranker_is_refused_where_nobody_known_wants_anything_new(world: World) -> None:
    trainer = Trainer({"seed": 7, "threads": 1}, repeats_allowed=False)
    seen, other = int(world.seen[5][0]), int(np.setdiff1d(np.arange(NUM_ITEMS), world.seen[5])[0])
    trainer.refuse_unless_wanted(world, outcomes(world, 5, other), until=DAY + timedelta(days=2))
    stranger = {"somebody": np.array([world.item_ids[other]], dtype=object)}
    for wanted in (
        {},
        stranger,
        outcomes(world, 0, other),
        outcomes(world, 5, seen),
    ):  # user 0 has no history
        with pytest.raises(GateRefused, match="after 2011-03-01 and up to 2011-03-03 nobody with a history"):
            trainer.refuse_unless_wanted(world, wanted, until=DAY + timedelta(days=2))


def test_a_ranker_is_refused_where_nobody_wanted_a_candidate(world: World, model: NextItemModel) -> None:
    chosen = {"seed": 7, "threads": 1, "num_candidates": 1, "list_length": 1}
    sold_out = outcomes(world, 5, 3)
    with pytest.raises(GateRefused, match="of 1 users after 2011-03-01 nobody wanted one of the candidates"):
        Trainer(chosen, repeats_allowed=True).fit_ranker(
            Fitted(model.item_ids, model.sasrec), world, sold_out, NOTHING_SHOWN
        )


def training_set(tmp_path: Path, *days: tuple[str, date, list[str]]) -> Lake:
    """A lake with a training set of DAY; every day in the split of its own, as nobody looks at it here."""
    settings = load_settings(home=tmp_path)
    of_days = [
        {
            "user_id": user,
            "event_date": day,
            "item_ids": items,
            "item_depths": [1, 3][: len(items)],
            "split": "fit",
        }
        for user, day, items in days
    ]
    with State.of(settings).lease("test", "build", 60, is_last=True) as lease:
        rows = pa.Table.from_pylist(of_days, schema=arrow_schema(SEQUENCES))
        Lake.of(settings, lease).replace(names.SEQUENCES, DAY, rows, inputs="by hand")
    return Lake.of(settings)


def test_steps_come_by_user_and_in_order_whatever_the_order_of_the_rows(tmp_path: Path) -> None:
    lake = training_set(
        tmp_path,
        ("ben", DAY, ["rug"]),
        ("anna", DAY, ["vase", "lamp"]),
        ("anna", DAY - timedelta(days=1), ["lamp"]),
    )
    users, lists, depths, days = steps_by_user(lake, DAY)
    assert users.tolist() == ["anna", "ben"]
    assert lists.to_pylist() == [["lamp", "vase", "lamp"], ["rug"]]
    assert depths.tolist() == [1, 1, 3, 1]
    assert days.tolist() == [DAY - timedelta(days=1), DAY, DAY, DAY]


def test_nobody_has_steps_in_an_empty_training_set(tmp_path: Path) -> None:
    assert [len(each) for each in steps_by_user(training_set(tmp_path), DAY)] == [0, 0, 0, 0]


def test_a_world_is_what_its_own_day_has_built(tmp_path: Path) -> None:
    """Whatever lies beside it: the ids in it are found, and what left the catalogue is left out."""
    earlier = DAY - timedelta(days=3)
    of_item = [{"item_id": item, "feature_date": earlier} for item in ("lamp", "rug", "vase")]
    pair = {"item_id": "lamp", "neighbour_rank": 1, "weight": 4}
    history = {"item_ids": ["rug", "gone", "lamp"], "seen_item_ids": ["gone", "lamp", "rug"]}
    steps = {"item_depths": [3, 2, 1], "item_days_ago": [9, 8, 6]}
    tables = {
        names.DIM_ITEMS: [{**item, "is_available": True} for item in of_item],
        names.FEAT_ITEM_DAILY: of_item,
        names.FEAT_USER_DAILY: [{"user_id": user, "feature_date": earlier} for user in ("anna", "ben")],
        names.FEAT_USER_CATEGORY_DAILY: [],
        names.FEAT_USER_BRAND_DAILY: [],
        names.HISTORIES: [
            {"user_id": "carl", **history, **steps, "seen_depths": [1, 2, 3], "seen_days_ago": [9, 8, 7]},
            {
                "user_id": "ben",
                "item_ids": ["vase"],
                "item_depths": [2],
                "item_days_ago": [6],
                "seen_item_ids": ["vase"],
                "seen_depths": [2],
                "seen_days_ago": [6],
            },
        ],
        names.COVISITATION: [{**pair, "neighbour_id": "vase"}, {**pair, "neighbour_id": "gone"}],
        names.COPURCHASE: [{**pair, "neighbour_id": "rug", "weight": 2}],
    }
    settings = load_settings(home=tmp_path)
    with State.of(settings).lease("test", "build", 60, is_last=True) as lease:
        lake = Lake.of(settings, lease)
        for table, given in tables.items():
            schema = arrow_schema(TABLES[table])
            filled = [{**dict.fromkeys(schema.names), **row} for row in given]
            lake.replace(table, earlier, pa.Table.from_pylist(filled, schema=schema), inputs="by hand")
    world = load_world(lake, earlier)
    assert world.user_ids.tolist() == ["anna", "ben", "carl"]
    assert [items.tolist() for items in world.histories] == [[], [2], [1, 0]]
    assert [items.tolist() for items in world.seen] == [[], [2], [0, 1]]
    today = np.datetime64(earlier).astype(int)
    assert [world.events(user).tolist() for user in range(3)] == [
        [],
        [[2, 2, today - 6]],
        [[1, 3, today - 9], [0, 1, today - 6]],
    ]
    begin = world.deeds.starts_U.tolist()
    assert world.deeds.depths_D[[begin[1], begin[2], begin[2] + 1]].tolist() == [2, 2, 3]
    assert world.deeds.days_ago_D[[begin[1], begin[2], begin[2] + 1]].tolist() == [6, 8, 7]
    assert world.neighbours_NN.toarray()[0].tolist() == [0, 0, 4]
    assert world.bought_with_NN.toarray()[0].tolist() == [0, 2, 0]
    with pytest.raises(PartitionMissing, match=f"dim_items has no partition {DAY}"):
        load_world(lake, DAY)
    with State.of(settings).lease("test", "build", 60, is_last=True) as lease:
        old = lake.read(names.HISTORIES, earlier).drop_columns(["item_depths"])
        Lake.of(settings, lease).replace(names.HISTORIES, earlier, old, inputs="of an older release")
    told = f"no column item_depths.*Build it anew: foretaste run --day {earlier}"
    with pytest.raises(PartitionMissing, match=told):
        load_world(lake, earlier)


def test_affinities_to_brands_are_read_by_the_brands_of_the_catalogue(tmp_path: Path) -> None:
    """Who is unknown and what the catalogue no longer names have no place; an item without a brand reads nothing."""
    share = {"feature_date": DAY, "affinity_micros": 250_000}
    given = [
        {**share, "user_id": "anna", "brand": "best"},
        {**share, "user_id": "anna", "brand": "gone"},
        {**share, "user_id": "zoe", "brand": "acme"},
    ]
    with State.of(load_settings(home=tmp_path)).lease("test", "build", 60, is_last=True) as lease:
        lake = Lake.of(load_settings(home=tmp_path), lease)
        rows = pa.Table.from_pylist(given, schema=arrow_schema(FEAT_USER_BRAND_DAILY))
        lake.replace(FEAT_USER_BRAND_DAILY.name, DAY, rows, inputs="by hand")
    users, brands = np.array(["anna", "ben"], dtype=object), pd.Series(["best", None, "acme"], name="brand")
    brand_N, affinity_UB = _affinity(lake, FEAT_USER_BRAND_DAILY.name, DAY, users, brands)
    assert brand_N.tolist() == [1, -1, 0]
    assert affinity_UB.toarray()[:, brand_N].tolist() == [[0.25, 0, 0], [0, 0, 0]]


@pytest.mark.parametrize("kind", ["category", "brand"])
def test_a_candidate_carries_the_affinity_to_its_own_category_and_brand(
    world: World, model: NextItemModel, kind: str
) -> None:
    proposer = Proposer(
        model.sasrec, model.item_ids, world, num_candidates=10, length=K, repeats_allowed=False
    )
    affinity, codes = {
        "category": (world.affinity_UC, world.category_N),
        "brand": (world.brand_affinity_UB, world.brand_N),
    }[kind]
    (candidates,) = proposer.propose(np.arange(NUM_USERS))
    expected = affinity.toarray()[candidates.block[candidates.rows_R], codes[candidates.items_R]]
    found = candidates.pair_RF[:, PAIR_FEATURES.index(f"{kind}_affinity")]
    np.testing.assert_array_equal(found, expected.astype(np.float32))


def test_a_training_set_is_cut_in_time(tmp_path: Path) -> None:
    before = DAY - timedelta(days=1)
    lake = training_set(
        tmp_path, ("anna", before, ["lamp", "vase"]), ("anna", DAY, ["rug"]), ("ben", DAY, ["rug"])
    )
    sequences = read_sequences(lake, DAY)
    cut = {user: items.tolist() for user, items in sequences.between(None, before).items()}
    assert cut == {"anna": ["lamp", "vase"]}
    assert {user: items.tolist() for user, items in sequences.between(before, DAY).items()} == {
        "anna": ["rug"],
        "ben": ["rug"],
    }
    assert sequences.between(DAY, DAY) == {}
