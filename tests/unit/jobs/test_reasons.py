"""A reason is an event without which the item would score less; the deletion of events says so."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from contracts.lists import EXPLAINED_PLACES, PERSONAL, REASONS_PER_PLACE
from jobs.ranking.next_item import NextItemModel, Ranking
from jobs.ranking.proposer import PAIR_FEATURES, Candidates, Encoded, Proposer
from jobs.ranking.reasons import EXPLAINED_EVENTS, _ranks, strongest
from jobs.ranking.world import Deeds, World
from jobs.score import rank_everyone
from models.mlp_ranker import MLPRanker, MLPRankerConfig
from models.training import TrainConfig, fit
from tests.tiny_world import NUM_ITEMS, NUM_USERS, tiny_model, tiny_world

OPTIONS = {"length": 12, "num_candidates": 10, "repeats_allowed": True}


def of_people(world: World, histories: Sequence[np.ndarray], users: Sequence[int]) -> World:
    """The world with other people in it, who have these histories and what else somebody of the world has."""
    seen = [np.unique(history) for history in histories]
    ends_U, users = np.cumsum([len(items) for items in seen]), np.asarray(users)
    return dataclasses.replace(
        world,
        user_ids=np.array([f"user-{number:04d}" for number in range(len(histories))], dtype=object),
        histories=list(histories),
        seen=seen,
        deeds=Deeds(np.append(0, ends_U[:-1]), np.full(ends_U[-1], 2), np.full(ends_U[-1], 9)),
        user_features_UF=world.user_features_UF[users],
        affinity_UC=world.affinity_UC[users],
        brand_affinity_UB=world.brand_affinity_UB[users],
    )


@pytest.fixture(scope="module")
def world() -> World:
    """Sixty people, each of whom goes through five of the thirty items again and again, in another order and some others too."""
    rng = np.random.default_rng(4)
    groups = np.arange(NUM_ITEMS).reshape(6, 5)
    histories = [
        np.where(rng.random(9) < 0.7, rng.choice(groups[user % 6], 9), rng.integers(0, NUM_ITEMS, 9))
        for user in range(60)
    ]
    counts_NN = np.zeros((NUM_ITEMS, NUM_ITEMS))
    for history in histories:
        np.add.at(counts_NN, (history[:-1], history[1:]), 1)
    world = dataclasses.replace(
        tiny_world(), neighbours_NN=csr_matrix(counts_NN), bought_with_NN=csr_matrix(counts_NN + counts_NN.T)
    )
    return of_people(world, histories, np.arange(60) % NUM_USERS)


@pytest.fixture(scope="module")
def model(world: World) -> NextItemModel:
    """A transformer and a ranker that have learnt from these people, each of whom wanted another item of the five next."""
    plain, rng = tiny_model(tiny_world()), np.random.default_rng(5)
    known = [history[history < NUM_ITEMS - 2] for history in world.histories]
    for _ in fit(plain.sasrec, known, TrainConfig(epochs=12, batch_size=16, learning_rate=1e-2)):
        pass
    proposer = Proposer(plain.sasrec, plain.item_ids, world, **OPTIONS)
    (candidates,) = proposer.propose(np.arange(60))
    is_wanted_R = (candidates.items_R // 5 == candidates.rows_R % 6) & (
        rng.random(len(candidates.items_R)) < 0.5
    )
    users_R = candidates.block[candidates.rows_R]
    features = np.concatenate(
        [
            candidates.pair_RF,
            plain.preparation.of_items(world)[candidates.items_R],
            plain.preparation.of_users(world)[users_R],
        ],
        axis=1,
    )
    ranker, _ = MLPRanker.fit(
        MLPRankerConfig(widths=(8,), epochs=8),
        PAIR_FEATURES + plain.preparation.columns,
        features,
        np.searchsorted(candidates.rows_R, np.arange(61)),
        is_wanted_R,
        scaled=plain.preparation.columns,
    )
    return dataclasses.replace(plain, ranker=ranker)


def scores(ranking: Ranking, items: Sequence[int]) -> np.ndarray:
    """What one item of each user scores, everything about the user read anew."""
    found = []
    for block in ranking.proposer.propose(np.arange(len(items)), [np.array([item]) for item in items]):
        wanted_R = np.asarray(items)[block.block[block.rows_R]] == block.items_R
        found.append(ranking.scores(block)[wanted_R])
    return np.concatenate(found)


def test_a_score_falls_further_without_the_events_that_are_named_than_without_others(
    world: World, model: NextItemModel
) -> None:
    """The mean of the difference is above zero by its 95 % interval over people, and most pairs agree."""
    rng, ranked = (
        np.random.default_rng(6),
        model.ranking(world, **OPTIONS, num_explained=4).rank(np.arange(60)),
    )
    histories: list[np.ndarray] = []
    items, users = [], []
    for user, (items_K, reasons_KE) in enumerate(zip(ranked.items_UK, ranked.reasons_UKE, strict=True)):
        history = world.histories[user]
        for item, reasons_E in zip(items_K[:4].tolist(), reasons_KE, strict=True):
            named = reasons_E[reasons_E >= 0]
            others = np.setdiff1d(history, named)
            if not len(named) or len(others) < len(named):
                continue
            other = rng.choice(others, len(named), replace=False)
            histories += [history, history[~np.isin(history, named)], history[~np.isin(history, other)]]
            items, users = items + [item] * 3, users + [user] * 3
    assert len(items) > 3 * 150
    of_each = of_people(world, histories, users)
    before, without_named, without_others = scores(model.ranking(of_each, **OPTIONS), items).reshape(-1, 3).T
    gains, people = without_others - without_named, np.asarray(users[::3])
    means = np.array([gains[people == user].mean() for user in np.unique(people)])
    assert (before - without_named).mean() > 0
    assert means.mean() > 1.96 * means.std(ddof=1) / np.sqrt(len(means))
    assert (gains > 0).mean() > 0.75


def test_how_far_a_score_falls_is_what_deleting_the_item_gives(world: World, model: NextItemModel) -> None:
    """Where the item stands among the others is estimated, all else computed: the two differ little."""
    ranking, told, found = model.ranking(world, **OPTIONS, num_explained=1), [], []
    histories, items, users = [], [], []
    for user in range(0, 60, 3):
        item = (7 * user) % NUM_ITEMS
        for reason, fall in ranking.explain(user, item).falls:
            history = world.histories[user]
            is_recent = np.arange(len(history)) >= len(history) - EXPLAINED_EVENTS
            histories += [history, history[~(is_recent & (history == reason))]]
            items, users, told = [*items, item, item], [*users, user, user], [*told, fall]
    of_each = of_people(world, histories, users)
    before, after = scores(model.ranking(of_each, **OPTIONS), items).reshape(-1, 2).T
    found = before - after
    assert np.corrcoef(told, found)[0, 1] > 0.9
    assert np.mean(np.sign(told) == np.sign(found)) > 0.85


def test_a_score_that_falls_by_less_than_a_rounding_keeps_its_rank() -> None:
    """It did not: the best was taken for better than itself, and its rank fell below the first."""
    pair_RF = np.zeros((3, len(PAIR_FEATURES)), np.float32)
    pair_RF[:, PAIR_FEATURES.index("sasrec_score")] = [1.0, 0.5, -2.0]
    block, last = np.arange(256), np.array([255])
    nothing = Encoded(np.zeros((256, 8), np.float32), np.zeros(256), np.ones(256))
    candidates = Candidates(block, np.full(3, 255), np.arange(3), pair_RF, np.ones(256, bool), nothing)
    before_VK = pair_RF[:, PAIR_FEATURES.index("sasrec_score")][None, :]
    for fall, ranks in ((1e-12, [0, 1, 2]), (0.6, [1, 1, 2]), (2.6, [1, 2, 2])):
        standard_VK = before_VK.astype(np.float64) - [[fall, fall, 0]]
        assert _ranks(candidates, standard_VK, before_VK, last).tolist() == [ranks]


def test_what_somebody_did_with_an_item_goes_with_its_events() -> None:
    """Where it is the item itself that is deleted, it is neither seen nor in the cart any more: a ranker that goes by that
    lets it fall."""
    plain, people = tiny_world(), range(3, NUM_USERS)
    world, model = of_people(plain, plain.histories, range(NUM_USERS)), tiny_model(plain)
    state = model.ranker.state()
    for name in ("is_seen", "is_left_in_cart"):
        state["line.weight"][0, model.ranker.feature_names.index(name)] = 2.0
    model = dataclasses.replace(model, ranker=MLPRanker.from_state(model.ranker.config, state))
    items = [int(world.histories[user][-2]) for user in people]
    ranking = model.ranking(world, **OPTIONS, num_explained=1)
    told = [dict(ranking.explain(user, item).falls)[item] for user, item in zip(people, items, strict=True)]
    whole = [world.histories[user] for user in people]
    gone = [history[history != item] for history, item in zip(whole, items, strict=True)]
    before, after = (
        scores(model.ranking(of_people(plain, each, people), **OPTIONS), items) for each in (whole, gone)
    )
    assert np.mean(before - after) > 1
    np.testing.assert_allclose(told, before - after, atol=0.2 * np.mean(before - after))


def test_the_transformer_is_asked_without_the_right_item_also_where_it_knows_not_all(
    world: World, model: NextItemModel
) -> None:
    proposer = Proposer(model.sasrec, model.item_ids, world, **OPTIONS, num_events=EXPLAINED_EVENTS)
    (candidates,) = proposer.propose(np.arange(60))
    assert candidates.deleted is not None
    is_strange, without, found = [], [], []
    for history, items_T, states_TD in zip(
        world.histories, candidates.deleted.items_BT, candidates.deleted.without_BTD, strict=True
    ):
        known = history[history < NUM_ITEMS - 2][-model.sasrec.config.max_length :]
        is_recent = np.arange(len(known)) >= len(known) - EXPLAINED_EVENTS
        for item, state_D in zip(items_T[items_T >= 0], states_TD[items_T >= 0], strict=True):
            is_strange.append(len(known) < len(history))
            without.append(known[~(is_recent & (known == item))])
            found.append(state_D)
    assert np.sum(is_strange) > 50
    np.testing.assert_allclose(found, model.sasrec.encode(without), atol=1e-4)


def test_asking_for_reasons_changes_no_list(world: World, model: NextItemModel) -> None:
    plain, told = (
        model.ranking(world, **OPTIONS, num_explained=number).rank(np.arange(60)) for number in (0, 5)
    )
    np.testing.assert_array_equal(plain.items_UK, told.items_UK)
    np.testing.assert_allclose(plain.scores_UK, told.scores_UK, rtol=0, atol=1e-5)
    assert (plain.reasons_UKE.shape, told.reasons_UKE.shape) == ((60, 0, 2), (60, 5, 2))


def test_reasons_are_of_the_user_s_own_last_items_and_other_lists_have_none() -> None:
    world, stranger = tiny_world(), NUM_ITEMS - 1  # no model knows the last item
    nothing_NN = csr_matrix((NUM_ITEMS, NUM_ITEMS))
    without = {"neighbours_NN": nothing_NN, "bought_with_NN": nothing_NN}
    world = dataclasses.replace(
        of_people(world, [np.array([stranger]), *world.histories[1:]], range(NUM_USERS)), **without
    )
    rows = rank_everyone(world, tiny_model(world), length=12, num_candidates=10, repeats_allowed=True)
    told = 0
    for row, history in zip(rows.to_pylist(), world.histories, strict=True):
        assert set(row["reason_item_ids"]) <= set(world.item_ids[history[-EXPLAINED_EVENTS:]])
        places = row["reason_places"]
        assert places == sorted(places)
        assert all(
            1 <= place <= EXPLAINED_PLACES and places.count(place) <= REASONS_PER_PLACE for place in places
        )
        assert row["source"] == PERSONAL or not places
        told += len(places)
    assert rows.column("source")[0].as_py() != PERSONAL
    assert told > 50


def test_the_farthest_falls_are_reasons_the_younger_of_equals_and_nothing_that_hardly_matters() -> None:
    items_BT = np.array([[7, -1, 5, 3]])
    falls_BTK = np.array([[[0.5, 0.1, 0.001], [-np.inf] * 3, [0.5, -0.2, 0.0], [0.9, 0.1, -1.0]]])
    assert strongest(falls_BTK, items_BT).tolist() == [[[3, 7], [7, 3], [-1, -1]]]
    assert strongest(falls_BTK[:, :1], items_BT[:, :1]).tolist() == [[[7, -1], [7, -1], [-1, -1]]]


def test_an_item_is_explained_as_it_stands_in_the_list(world: World, model: NextItemModel) -> None:
    ranking = model.ranking(world, **OPTIONS, num_explained=10)
    ranked = ranking.rank(np.arange(60))
    for place in (0, 4):
        item = int(ranked.items_UK[9, place])
        told = ranking.explain(9, item)
        assert (told.rank, told.is_candidate) == (place + 1, True)
        assert told.score == pytest.approx(ranked.scores_UK[9, place], abs=1e-5)
        named = [reason for reason, fall in told.falls if fall >= 0.01][:REASONS_PER_PLACE]
        assert named == [reason for reason in ranked.reasons_UKE[9, place].tolist() if reason >= 0]
        assert list(told.features) == list(PAIR_FEATURES)
    sold_out = ranking.explain(9, 3)
    assert (sold_out.is_candidate, np.isfinite(sold_out.score)) == (False, True)
