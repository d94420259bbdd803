"""The offline and the online score of one history are one number, whatever the champion is made of."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pytest
import torch

from contracts.decisions import Item
from contracts.histories import pack_history, unpack_history
from contracts.lists import PERSONAL, SESSION
from contracts.tables import HISTORIES
from jobs.io.schemas import arrow_schema
from jobs.ranking.next_item import NextItemModel
from jobs.ranking.score_model import Model, ScoreModel
from jobs.ranking.session import session_model, with_most_popular
from jobs.ranking.world import Deeds, World
from jobs.score import rank_everyone
from jobs.session_edition import pack_histories
from models.events import DAY as DAY_OF
from models.events import ITEM, TYPE
from models.gaps import gaps_between
from models.session_bytes import from_bytes, to_bytes
from serving.session_events import Fresh
from serving.session_ranker import SessionRanker, load_ranker
from tests.serving_shop import POINTER
from tests.tiny_world import DAY, NUM_ITEMS, NUM_USERS, tiny_blend, tiny_model, tiny_world

pytestmark = pytest.mark.contract

#: Sums of floats depend on how many histories are read at once: offline many, online few.
TOLERANCE = 1e-5
RECOMMENDERS = ("sasrec", "gru4rec", "ease", "als", "covisitation", "content")
EVERYTHING = [*RECOMMENDERS, "blend", "ranker", "events", "no champion"]
K = NUM_ITEMS


@pytest.fixture(scope="module")
def world() -> World:
    return tiny_world()


def champion_of(kind: str, world: World) -> Model | None:
    """A champion, and of a ranker the part of it that works from histories."""
    if kind in ("ranker", "events"):
        return tiny_model(world, reads_events=kind == "events")
    blend = tiny_blend(world)
    if kind == "blend":
        return blend
    if kind == "no champion":
        return None
    return ScoreModel(blend.item_ids, {kind: blend.recommenders[kind]}, {kind: 1.0})


def offline(model: Model | None, world: World, repeats_allowed: bool) -> list[dict]:
    """Everybody's list as jobs/score.py makes it; of a ranker, by its transformer alone."""
    if isinstance(model, NextItemModel):
        model = ScoreModel(model.item_ids, {"sasrec": model.sasrec}, {"sasrec": 1.0})
    rows = rank_everyone(world, model, length=K, num_candidates=K, repeats_allowed=repeats_allowed)
    return rows.to_pylist()


def published(model: Model | None, world: World, *, repeats_allowed: bool = True) -> SessionRanker:
    """As the API holds it: version indices are not places in the catalogue."""
    index_N = np.arange(world.num_items) + 3
    pointer = replace(POINTER, day=str(DAY), num_items=world.num_items + 3, repeats_allowed=repeats_allowed)
    items = {index: Item(item_id) for index, item_id in zip(index_N.tolist(), world.item_ids, strict=True)}
    return load_ranker(to_bytes(session_model(model, world, index_N)), pointer, items | {0: Item("other")})


@pytest.mark.parametrize("repeats_allowed", [True, False])
@pytest.mark.parametrize("kind", EVERYTHING)
def test_offline_and_online_scores_of_one_history_are_one_number(
    world: World, kind: str, repeats_allowed: bool
) -> None:
    model = champion_of(kind, world)
    ours = published(model, world).model
    compared = 0
    for user, row in enumerate(offline(model, world, repeats_allowed)):
        if row["source"] not in (PERSONAL, SESSION):
            continue
        history = world.events(user) if ours.reads_events else world.histories[user]
        hidden = world.seen[user][:0] if repeats_allowed else world.seen[user]
        (found,) = ours.rank([history], [hidden], K)
        assert found.is_of_champion == (row["source"] == PERSONAL)
        num = len(found.items_K)
        assert world.item_ids[found.items_K].tolist() == row["item_ids"][:num]
        np.testing.assert_allclose(found.scores_K, row["scores"][:num], rtol=0, atol=TOLERANCE)
        compared += 1
    assert compared >= NUM_USERS - 2


@pytest.mark.parametrize("repeats_allowed", [True, False])
@pytest.mark.parametrize("kind", ["blend", "events", "no champion"])
def test_a_click_does_online_what_it_does_offline(world: World, kind: str, repeats_allowed: bool) -> None:
    """The list of a published history and a click is that of a night in whose world the click has happened."""
    model, clicked, depth = champion_of(kind, world), 17, 2
    ranker = published(model, world, repeats_allowed=repeats_allowed)
    after = clicked_on(world, clicked, depth)
    vocabulary = pa.array(["a", "b", "c", *world.item_ids], pa.string())
    users, packed = pack_histories(rows_of(world), vocabulary, repeats_allowed=repeats_allowed)
    nights = offline(model, after, repeats_allowed)
    fresh = [Fresh(None, world.item_ids[clicked], depth, at=next_day_seconds())]
    compared = 0
    for user, history in zip(users, packed, strict=True):
        row = nights[[*world.user_ids].index(user)]
        question = ranker.question(history, fresh)
        assert question is not None
        (found,) = ranker.rank([question], K)
        shown = [world.item_ids[index - 3] for index in found.indices]
        assert shown == row["item_ids"][: len(shown)]
        assert found.made_from == row["source"]
        compared += 1
    assert compared == len(users) == NUM_USERS


def test_a_history_survives_packing(world: World) -> None:
    model = session_model(tiny_model(world, reads_events=True), world, np.arange(world.num_items) + 3)
    vocabulary = pa.array(["a", "b", "c", *world.item_ids], pa.string())
    users, packed = pack_histories(rows_of(world), vocabulary, repeats_allowed=False)
    for user, text in zip(users, packed, strict=True):
        found, place = unpack_history(text), [*world.user_ids].index(user)
        assert pack_history(found, len(vocabulary)) == text
        events = world.events(place)
        assert [index - 3 for index in found.indices] == events[:, ITEM].tolist()
        assert list(found.depths) == events[:, TYPE].tolist()
        assert {*found.indices, *found.hidden} == {index + 3 for index in world.seen[place]}
        days = torch.tensor([[today() - ago for ago in found.days_ago]])
        assert torch.equal(gaps_between(days), gaps_between(torch.tensor(events[None, :, DAY_OF])))
    assert model.reads_events


def test_of_a_large_catalogue_the_most_popular_are_ranked(world: World) -> None:
    small = with_most_popular(world, 10)
    standing = sorted(
        np.flatnonzero(world.is_available_N), key=lambda item: (-world.popularity_N[item], item)
    )
    assert [*small.item_ids] == sorted(world.item_ids[standing[:10]])
    model = champion_of("blend", world)
    whole, part = (session_model(model, each, np.arange(each.num_items)) for each in (world, small))
    history = np.array([0])
    (found,) = part.rank([history], [history[:0]], K)
    assert len(found.items_K) == 10
    assert len(whole.rank([history], [history[:0]], K)[0].items_K) == NUM_ITEMS - 2  # two are sold out


@pytest.mark.parametrize("kind", EVERYTHING)
def test_the_same_model_gives_the_same_bytes_and_comes_back_as_it_was(world: World, kind: str) -> None:
    model = session_model(champion_of(kind, world), world, np.arange(world.num_items))
    saved = to_bytes(model)
    assert (
        to_bytes(from_bytes(saved))
        == saved
        == to_bytes(session_model(champion_of(kind, world), world, np.arange(world.num_items)))
    )


def test_torn_bytes_are_no_model(world: World) -> None:
    saved = to_bytes(session_model(None, world, np.arange(world.num_items)))
    for torn in (b"", saved[:-1], saved[:100], b"\0" * 200):
        with pytest.raises(ValueError, match="no session model"):
            from_bytes(torn)


def clicked_on(world: World, item: int, depth: int) -> World:
    """The world a day later, in which everybody has clicked on an item."""
    steps, lengths = world.steps, [len(history) for history in world.histories]
    parts = [slice(begin, begin + num) for begin, num in zip(steps.starts_U, lengths, strict=True)]
    return replace(
        world,
        cutoff=DAY + timedelta(days=1),
        histories=[np.append(history, item) for history in world.histories],
        seen=[np.union1d(seen, [item]) for seen in world.seen],
        steps=Deeds(
            np.cumsum([0, *(num + 1 for num in lengths)])[:-1],
            np.concatenate([np.append(steps.depths_D[part], depth) for part in parts]),
            np.concatenate([np.append(steps.days_ago_D[part] + 1, 0) for part in parts]),
        ),
    )


def rows_of(world: World) -> pa.Table:
    """The histories of a world as the lake holds them."""
    ids, parts = world.item_ids, []
    for user, history in enumerate(world.histories):
        begin = world.steps.starts_U[user]
        parts.append(slice(begin, begin + len(history)))
    columns = {
        "user_id": [*world.user_ids],
        "item_ids": [[*ids[history]] for history in world.histories],
        "item_depths": [world.steps.depths_D[part].tolist() for part in parts],
        "item_days_ago": [world.steps.days_ago_D[part].tolist() for part in parts],
        "seen_item_ids": [[*ids[seen]] for seen in world.seen],
        "seen_depths": [[1] * len(seen) for seen in world.seen],
        "seen_days_ago": [[0] * len(seen) for seen in world.seen],
    }
    return pa.table(columns, schema=arrow_schema(HISTORIES))


def today() -> int:
    return int(np.datetime64(DAY).astype(np.int64))


def next_day_seconds() -> float:
    return (today() + 1) * 86_400 + 3600.0
