"""A model of scores ranks the whole catalogue by what its recommenders say, and shows nothing that may not be shown."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from contracts.lists import PERSONAL, REASONS_PER_PLACE, SEGMENT
from jobs.ranking import score_model
from jobs.ranking.proposer import allowed_items
from jobs.ranking.reasons import EXPLAINED_EVENTS
from jobs.ranking.score_model import ScoreModel
from jobs.ranking.world import World
from jobs.score import rank_everyone
from models.ease import EASE
from models.popularity import Popularity
from models.topk import top_k
from tests.tiny_world import NUM_ITEMS, NUM_USERS, tiny_blend, tiny_world

K = 5
KNOWN = NUM_ITEMS - 2  # the last two items are new to the models
USERS = np.arange(NUM_USERS)


@pytest.fixture(scope="module")
def world() -> World:
    titles_N = np.array([f"sort{index % 6}" for index in range(NUM_ITEMS)], dtype=object)
    return dataclasses.replace(tiny_world(), titles_N=titles_N)


@pytest.fixture(scope="module")
def model(world: World) -> ScoreModel:
    return tiny_blend(world)


def only(model: ScoreModel, *names: str) -> ScoreModel:
    return ScoreModel(
        model.item_ids, {name: model.recommenders[name] for name in names}, dict.fromkeys(names, 1.0)
    )


def ranked(world: World, model: ScoreModel, users=USERS, *, length: int = K, repeats_allowed: bool = False):
    return model.rank(world, users, length=length, num_candidates=3, repeats_allowed=repeats_allowed)


@pytest.mark.parametrize("repeats_allowed", [True, False])
def test_lists_hold_distinct_items_that_may_be_shown(
    world: World, model: ScoreModel, repeats_allowed: bool
) -> None:
    found = ranked(world, model, length=40, repeats_allowed=repeats_allowed)
    for user, (items, scores) in enumerate(zip(found.items_UK, found.scores_UK, strict=True)):
        shown = items[items >= 0]
        allowed = np.flatnonzero(world.is_available_N)
        if not repeats_allowed:
            allowed = np.setdiff1d(allowed, world.seen[user])
        assert sorted(shown.tolist()) == allowed.tolist()  # every one of them, once
        assert (items[len(shown) :] == -1).all()
        assert np.isneginf(scores[len(shown) :]).all()
        assert (np.diff(scores[: len(shown)]) <= 0).all()


def test_one_recommender_ranks_as_it_scores(world: World, model: ScoreModel) -> None:
    ease = model.recommenders["ease"]
    assert isinstance(ease, EASE)
    scores_UV = ease.score([history[history < KNOWN] for history in world.histories])
    allowed_UV = allowed_items(world, USERS, False)[:, :KNOWN]
    best_UK, _ = top_k(np.where(allowed_UV, scores_UV, -np.inf), 3)
    with_history = slice(2, None)
    found = ranked(world, only(model, "ease"), length=3)
    np.testing.assert_array_equal(found.items_UK[with_history], best_UK[with_history])


@pytest.mark.parametrize("cells", [1 << 23, 2 * NUM_ITEMS])
def test_a_list_does_not_depend_on_who_else_is_scored(
    world: World, model: ScoreModel, monkeypatch: pytest.MonkeyPatch, cells: int
) -> None:
    monkeypatch.setattr(score_model, "_CELLS", cells)
    together = ranked(world, model)
    assert len(list(model.ranking(world, length=K, num_candidates=3, repeats_allowed=True).score(USERS))) == (
        1 if cells > 1 << 20 else NUM_USERS // 2
    )
    for user in USERS:
        alone = ranked(world, model, np.array([user]))
        np.testing.assert_array_equal(alone.items_UK[0], together.items_UK[user])


def test_nobody_asked_for_gets_nothing(world: World, model: ScoreModel) -> None:
    found = ranked(world, model, np.empty(0, np.int64))
    assert found.items_UK.shape == found.scores_UK.shape == (0, K)


def test_whoever_has_no_history_goes_down_the_ladder_and_is_told(world: World, model: ScoreModel) -> None:
    rows = rank_everyone(world, model, length=K, num_candidates=3, repeats_allowed=True).to_pylist()
    popular = rank_everyone(world, None, length=K, num_candidates=3, repeats_allowed=True).to_pylist()
    assert rows[0] == popular[0]
    assert [row["source"] for row in rows] == [SEGMENT] + [PERSONAL] * (NUM_USERS - 1)
    alone = only(model, "popularity")
    assert (
        rank_everyone(world, alone, length=K, num_candidates=3, repeats_allowed=True).to_pylist() == popular
    )


@pytest.mark.parametrize("names", [("ease",), ("gru4rec",), ("ease", "covisitation", "sasrec", "popularity")])
def test_a_reason_is_what_a_place_would_score_less_without(
    world: World, model: ScoreModel, names: tuple[str, ...]
) -> None:
    def ranking(world: World):
        return only(model, *names).ranking(
            world, length=K, num_candidates=3, repeats_allowed=True, num_explained=2
        )

    found = ranking(world).rank(USERS)
    assert found.reasons_UKE.shape == (NUM_USERS, 2, REASONS_PER_PLACE)
    assert (found.reasons_UKE[0] == -1).all()  # no history, no reason
    named = 0
    for user in range(1, NUM_USERS):
        item = int(found.items_UK[user, 1])
        told = ranking(world).explain(user, item)
        assert (told.rank, told.is_candidate) == (2, True)
        assert told.score == pytest.approx(found.scores_UK[user, 1], abs=1e-5)
        for event, fall in told.falls:
            history = world.histories[user]
            is_recent = np.arange(len(history)) >= len(history) - EXPLAINED_EVENTS
            shorter = history[~((history == event) & is_recent)]
            histories = [shorter if other == user else each for other, each in enumerate(world.histories)]
            without = ranking(dataclasses.replace(world, histories=histories)).explain(user, item)
            assert told.score - without.score == pytest.approx(fall, abs=1e-5)
        strongest = [event for event, fall in told.falls if fall >= 0.01][:REASONS_PER_PLACE]
        reasons = found.reasons_UKE[user, 1]
        assert reasons[reasons >= 0].tolist() == strongest
        named += len(strongest)
    assert named > NUM_USERS


def test_what_may_not_be_shown_is_explained_and_told_to_be_none(world: World, model: ScoreModel) -> None:
    sold_out = int(np.flatnonzero(~world.is_available_N)[0])
    ranking = model.ranking(world, length=K, num_candidates=3, repeats_allowed=True, num_explained=1)
    told = ranking.explain(3, sold_out)
    assert not told.is_candidate
    assert told.num_candidates == int(world.is_available_N.sum()) + 1
    assert 1 <= told.rank <= told.num_candidates
    assert set(told.features) == set(model.recommenders)
    stays = dataclasses.replace(world, is_available_N=np.ones(NUM_ITEMS, bool))
    of_others = np.setdiff1d(np.flatnonzero(~world.is_available_N), sold_out)
    stays.is_available_N[of_others] = False
    shown = dataclasses.replace(ranking, world=stays).explain(3, sold_out)
    assert shown.is_candidate
    assert dict(told.falls) == pytest.approx(dict(shown.falls))  # what is for sale changes no reason


def test_who_has_no_say_makes_no_list_personal(world: World, model: ScoreModel) -> None:
    weights = dict.fromkeys(model.weights, 0.0) | {"popularity": 1.0}
    assert not ranked(world, dataclasses.replace(model, weights=weights)).is_personal_U.any()


@pytest.mark.parametrize(
    "name", ["sasrec", "gru4rec", "ease", "als", "covisitation", "content", "popularity"]
)
def test_everybody_who_has_a_say_is_heard(world: World, model: ScoreModel, name: str) -> None:
    louder = dataclasses.replace(model, weights=dict(model.weights) | {name: 50.0})
    assert (ranked(world, louder).items_UK != ranked(world, model).items_UK).any()
    np.testing.assert_array_equal(
        ranked(world, louder, np.array([5]), length=2).items_UK,
        ranked(world, only(model, name), np.array([5]), length=2).items_UK,
    )


@pytest.mark.parametrize(
    ("name", "read"),
    [("covisitation", "neighbours_NN"), ("content", "titles_N"), ("popularity", "popularity_N")],
)
def test_neighbours_words_and_popularity_are_those_of_the_day(
    world: World, model: ScoreModel, name: str, read: str
) -> None:
    now, order = getattr(world, read), np.random.default_rng(1).permutation(NUM_ITEMS)
    changed = now[:, order] if read == "neighbours_NN" else now[order]
    later = dataclasses.replace(world, **{read: changed})
    alone = only(model, name)
    here, there = (
        alone.ranking(each, length=K, num_candidates=3, repeats_allowed=False) for each in (world, later)
    )
    assert (
        here.rank(USERS).items_UK != there.rank(USERS).items_UK
    ).any()  # neither leaves a trace in the other


def test_what_nobody_tells_apart_goes_by_recent_popularity_and_then_by_id(
    world: World, model: ScoreModel
) -> None:
    popularity_N = world.popularity_N // 10
    empty = dataclasses.replace(
        world, neighbours_NN=csr_matrix((NUM_ITEMS, NUM_ITEMS)), popularity_N=popularity_N
    )
    found = ranked(empty, only(model, "covisitation"), length=NUM_ITEMS, repeats_allowed=True)
    order = np.lexsort((np.arange(NUM_ITEMS), -popularity_N))
    expected = [item for item in order if world.is_available_N[item]]
    for items in found.items_UK:
        assert items[items >= 0].tolist() == expected


def test_popularity_decides_nothing_that_a_recommender_tells_apart(world: World, model: ScoreModel) -> None:
    alone = only(model, "als")
    turned = dataclasses.replace(world, popularity_N=world.popularity_N.max() - world.popularity_N)
    np.testing.assert_array_equal(ranked(world, alone).items_UK[3:], ranked(turned, alone).items_UK[3:])


def test_a_shop_without_words_is_told_nothing_by_content(world: World, model: ScoreModel) -> None:
    nothing = np.full(NUM_ITEMS, "", dtype=object)
    silent = dataclasses.replace(world, titles_N=nothing, item_words=dict.fromkeys(world.item_words, nothing))
    assert not ranked(silent, only(model, "content")).is_personal_U.any()
    assert ranked(world, only(model, "content")).is_personal_U[3:].all()


def test_an_item_that_is_new_to_a_recommender_is_its_last_and_another_may_lift_it(
    world: World, model: ScoreModel
) -> None:
    new = [KNOWN, KNOWN + 1]
    hit = dataclasses.replace(
        world, popularity_N=np.where(np.arange(NUM_ITEMS) >= KNOWN, 9000, world.popularity_N)
    )
    by_ease = ranked(hit, only(model, "ease"), np.arange(3, NUM_USERS))
    assert not np.isin(by_ease.items_UK, new).any()
    lifted = ranked(hit, only(model, "ease", "popularity"), np.arange(3, NUM_USERS))
    assert np.isin(lifted.items_UK, new).any()


def test_a_model_that_knows_no_item_of_the_shop_says_nothing(world: World, model: ScoreModel) -> None:
    strange = dataclasses.replace(
        model, item_ids=np.array([f"x{number:02d}" for number in range(KNOWN)], object)
    )
    assert not ranked(world, only(strange, "ease")).is_personal_U.any()


@pytest.mark.parametrize("weight", [-0.1, np.nan, np.inf])
def test_a_weight_below_0_is_refused(world: World, weight: float) -> None:
    with pytest.raises(ValueError, match="the weight of popularity is"):
        ScoreModel(world.item_ids, {"popularity": Popularity()}, {"popularity": weight})


def test_weights_of_others_are_refused(world: World) -> None:
    with pytest.raises(ValueError, match=r"weights of \['ease'\] for \['popularity'\]"):
        ScoreModel(world.item_ids, {"popularity": Popularity()}, {"ease": 1.0})
