"""Whom the champion does not know gets the best that is known of them, and each list says what it was made from."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy.sparse import csr_matrix, lil_matrix

from contracts.lists import CONTENT, PERSONAL, POPULAR, SEGMENT, SESSION
from jobs.ranking.ladder import filled_up
from jobs.ranking.next_item import NextItemModel
from jobs.ranking.world import World
from jobs.score import rank_everyone
from tests.tiny_world import NUM_ITEMS, NUM_USERS, tiny_model, tiny_world

K = 5
#: An item that came after the champion was trained, and its like.
NEW, ALSO_NEW = NUM_ITEMS - 1, NUM_ITEMS - 2
NOTHING = np.empty(0, np.int64)


@pytest.fixture(scope="module")
def model() -> NextItemModel:
    return tiny_model(tiny_world())


@pytest.fixture
def world() -> World:
    """A tiny world in which nothing is known of anybody: no history, no neighbours, no affinity, no words."""
    return dataclasses.replace(
        tiny_world(),
        histories=[NOTHING] * NUM_USERS,
        seen=[NOTHING] * NUM_USERS,
        neighbours_NN=csr_matrix((NUM_ITEMS, NUM_ITEMS)),
        bought_with_NN=csr_matrix((NUM_ITEMS, NUM_ITEMS)),
        affinity_UC=csr_matrix((NUM_USERS, 5)),
        titles_N=np.full(NUM_ITEMS, "", dtype=object),
        item_words={name: np.full(NUM_ITEMS, "", dtype=object) for name in ("category", "brand")},
    )


def list_of(world: World, model: NextItemModel | None, user: int, **options):
    chosen = {"length": K, "num_candidates": 10, "repeats_allowed": False, **options}
    row = rank_everyone(world, model, **chosen).to_pylist()[user]
    assert row["scores"] == sorted(row["scores"], reverse=True)
    return row["source"], [int(item.removeprefix("item-")) for item in row["item_ids"]]


def acted_upon(world: World, user: int, *items: int) -> World:
    histories, seen = list(world.histories), list(world.seen)
    histories[user], seen[user] = np.array(items), np.unique(items)
    return dataclasses.replace(world, histories=histories, seen=seen)


def with_neighbours(world: World, name: str, item: int, **weights: int) -> World:
    neighbours_NN = lil_matrix(getattr(world, name))
    for neighbour, weight in weights.items():
        neighbours_NN[item, int(neighbour.removeprefix("item"))] = weight
    return dataclasses.replace(world, **{name: csr_matrix(neighbours_NN)})


def popular(world: World, *, without: tuple[int, ...] = ()) -> list[int]:
    order = np.lexsort((np.arange(NUM_ITEMS), -world.popularity_N)).tolist()
    return [item for item in order if world.is_available_N[item] and item not in without]


def test_of_whom_nothing_is_known_the_list_is_what_is_popular(world: World, model: NextItemModel) -> None:
    assert list_of(world, model, 5) == (POPULAR, popular(world)[:K])


def test_a_user_whose_items_the_champion_does_not_know_gets_what_others_took_with_them(
    world: World, model: NextItemModel
) -> None:
    world = with_neighbours(acted_upon(world, 5, NEW), "neighbours_NN", NEW, item7=3, item9=1)
    world = with_neighbours(world, "bought_with_NN", NEW, item11=2)
    source, items = list_of(world, model, 5)
    assert (source, items[:3]) == (SESSION, [11, 7, 9])  # 2 of 2 buyers, 3 of 4, 1 of 4
    assert items[3:] == popular(world, without=(7, 9, 11, NEW))[:2]  # filled up from below


def test_what_was_looked_at_last_counts_most(world: World, model: NextItemModel) -> None:
    world = with_neighbours(acted_upon(world, 5, NEW, ALSO_NEW), "neighbours_NN", NEW, item7=1)
    world = with_neighbours(world, "neighbours_NN", ALSO_NEW, item8=1)
    assert list_of(world, model, 5)[1][:2] == [8, 7]


def test_a_champion_that_knows_one_of_the_items_ranks_the_list_itself(
    world: World, model: NextItemModel
) -> None:
    world = with_neighbours(acted_upon(world, 5, 2, NEW), "neighbours_NN", NEW, item7=3)
    assert list_of(world, model, 5)[0] == PERSONAL


def test_without_a_champion_everybody_goes_down_the_ladder(world: World) -> None:
    world = with_neighbours(acted_upon(world, 5, 2), "neighbours_NN", 2, item7=3)
    assert list_of(world, None, 5)[0] == SESSION
    assert list_of(world, None, 4) == (POPULAR, popular(world)[:K])


def test_a_neighbour_that_was_seen_or_is_sold_out_is_not_shown(world: World, model: NextItemModel) -> None:
    world = acted_upon(world, 5, 7, NEW)
    world = with_neighbours(world, "neighbours_NN", NEW, item7=3, item3=2, item9=1)  # 3 is sold out
    without_champion = list_of(world, None, 5)
    assert without_champion[0] == SESSION
    assert without_champion[1][0] == 9
    assert not {3, 7} & set(without_champion[1])
    assert list_of(world, None, 5, repeats_allowed=True)[1][0] == 7


def described(world: World, **titles: str) -> World:
    titles_N = world.titles_N.copy()
    for item, title in titles.items():
        titles_N[int(item.removeprefix("item"))] = title
    return dataclasses.replace(world, titles_N=titles_N)


def test_a_user_whose_items_nobody_else_took_gets_what_is_like_them(
    world: World, model: NextItemModel
) -> None:
    """Among them an item that nobody has acted upon yet: that is how it gets its first place."""
    world = described(
        acted_upon(world, 5, NEW),
        item29="Red clay teapot",
        item28="teapot of clay",
        item6="Red scarf",
        item8="Blue scarf",
    )
    popularity_N = world.popularity_N.copy()
    popularity_N[ALSO_NEW] = 0
    world = dataclasses.replace(world, popularity_N=popularity_N)
    source, items = list_of(world, model, 5)
    assert (source, items[:2]) == (CONTENT, [ALSO_NEW, 6])
    assert items[2:] == popular(world, without=(ALSO_NEW, 6, NEW))[:3]


def test_of_what_is_equally_alike_the_more_popular_comes_first(world: World, model: NextItemModel) -> None:
    categories = np.array(["lamps" if item % 2 else "" for item in range(NUM_ITEMS)], dtype=object)
    world = dataclasses.replace(
        acted_upon(world, 5, NEW), item_words={**world.item_words, "category": categories}
    )
    lamps = [item for item in popular(world, without=(NEW,)) if item % 2]
    assert list_of(world, model, 5) == (CONTENT, lamps[:K])


def test_what_others_took_comes_before_what_is_alike(world: World, model: NextItemModel) -> None:
    world = described(acted_upon(world, 5, NEW), item29="Red scarf", item6="Red scarf")
    world = with_neighbours(world, "neighbours_NN", NEW, item7=3)
    source, items = list_of(world, model, 5)
    assert (source, items[:2]) == (SESSION, [7, 6])


def test_a_user_of_whom_only_a_taste_is_known_gets_what_is_popular_in_the_dearest_category(
    world: World, model: NextItemModel
) -> None:
    affinity_UC = np.zeros((NUM_USERS, 5))
    affinity_UC[5, 1:3] = 0.3, 0.7
    world = dataclasses.replace(world, affinity_UC=csr_matrix(affinity_UC))
    source, items = list_of(world, model, 5, length=10)
    of_category = [item for item in popular(world) if item % 4 == 2 and world.popularity_N[item]]
    assert (source, items[: len(of_category)]) == (SEGMENT, of_category)
    assert items[len(of_category) :] == popular(world, without=tuple(of_category))[: 10 - len(of_category)]


def test_a_category_in_which_nothing_was_wanted_lately_is_no_segment(
    world: World, model: NextItemModel
) -> None:
    affinity_UC = np.zeros((NUM_USERS, 5))
    affinity_UC[5, 2] = 1
    popularity_N = np.where(world.category_N == 2, 0, world.popularity_N).astype(np.float32)
    world = dataclasses.replace(world, affinity_UC=csr_matrix(affinity_UC), popularity_N=popularity_N)
    assert list_of(world, model, 5)[0] == POPULAR


@pytest.mark.parametrize("repeats_allowed", [True, False])
def test_no_list_is_short_while_there_is_something_to_show(
    world: World, model: NextItemModel, repeats_allowed: bool
) -> None:
    world = with_neighbours(acted_upon(world, 5, NEW), "neighbours_NN", NEW, item7=3)
    _, items = list_of(world, model, 5, length=NUM_ITEMS, repeats_allowed=repeats_allowed)
    assert len(set(items)) == len(items) == NUM_ITEMS - 2 - (not repeats_allowed)


def test_a_list_is_filled_up_with_what_it_lacks_and_scores_go_on_falling() -> None:
    items_UK, scores_UK = filled_up(
        np.array([[4, 2, -1, -1], [-1, -1, -1, -1], [6, 5, 4, 3], [1, -1, -1, -1]]),
        np.array([[0.5, 0.3, -np.inf, -np.inf], [-np.inf] * 4, [4.0, 3.0, 2.0, 1.0], [-2.0, *[-np.inf] * 3]]),
        np.array([[2, 7, 4, 9], [2, 7, -1, -1], [1, 2, 7, 8], [0, 2, 3, 4]]),
        np.array([[9.0, 8.0, 7.0, 6.0], [9.0, 8.0, -np.inf, -np.inf], [9.0] * 4, [0.75, 0.5, 0.25, 0.0]]),
    )
    assert items_UK.tolist() == [[4, 2, 7, 9], [2, 7, -1, -1], [6, 5, 4, 3], [1, 0, 2, 3]]
    assert scores_UK[0].tolist() == [0.5, 0.3, 0.3, -1.7]
    assert scores_UK[1].tolist() == [9.0, 8.0, -np.inf, -np.inf]
    assert scores_UK[3].tolist() == [-2.0, -2.0, -2.25, -2.5]


def test_a_list_from_the_ladder_does_not_depend_on_who_else_is_scored(
    world: World, model: NextItemModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    for user in range(NUM_USERS):
        world = acted_upon(world, user, *range(user % 4, NUM_ITEMS, 7))
    world = with_neighbours(world, "neighbours_NN", 7, item8=3, item12=4)
    options = {"length": K, "num_candidates": 10, "repeats_allowed": False}
    together = rank_everyone(world, None, **options)
    monkeypatch.setattr("jobs.ranking.shares.SHARE", 1)
    assert rank_everyone(world, None, **options) == together
