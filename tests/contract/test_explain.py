"""`foretaste explain` says where an item stands with a user, what speaks for it, and what keeps it out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest

from contracts.errors import PartitionMissing
from contracts.lists import PERSONAL, POPULAR, PackedList, Pointer
from contracts.settings import Settings
from jobs.explain import explain, render
from jobs.io.lake import Lake
from jobs.io.online import ListRead
from jobs.ranking.reasons import EXPLAINED_EVENTS
from jobs.ranking.world import World, load_world
from jobs.score import rank_everyone
from tests.tiny_day import tiny_day
from tests.tiny_world import DAY, tiny_model, tiny_world

pytestmark = pytest.mark.contract
USER, SOLD_OUT = "user-05", "item-04"


@dataclass
class Store:
    """An online store that holds one list, whoever asks."""

    answer: ListRead

    def read(self, user_id: str, count: int) -> ListRead:
        return self.answer


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return tiny_day(tmp_path_factory.mktemp("explain") / "home", sold_out=SOLD_OUT)


@pytest.fixture(scope="module")
def world(settings: Settings) -> World:
    return load_world(Lake.of(settings), DAY)


def listed(world: World, repeats_allowed: bool) -> dict[str, Any]:
    """The row of the user whom everybody asks about."""
    options = {"length": 10, "num_candidates": 20, "repeats_allowed": repeats_allowed}
    rows = rank_everyone(world, tiny_model(tiny_world()), **options).to_pylist()
    (row,) = (row for row in rows if row["user_id"] == USER)
    return row


def published(row: dict[str, Any], repeats_allowed: bool) -> ListRead:
    at = "2011-03-02T00:00:00+00:00"
    pointer = Pointer("v0001", str(DAY), "daily", 1, "", 12, 30, 1, "1", repeats_allowed, at)
    items = [json.dumps({"item_id": item}).encode() for item in row["item_ids"]]
    packed = PackedList(tuple(range(len(items))), tuple(row["scores"]), PERSONAL, False)
    return ListRead(pointer, packed, items, [[] for _ in items], True, "")


@pytest.fixture
def ask(settings: Settings, world: World, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The answer about an item, given what is published."""

    def asked(item: str, *, user: str = USER, repeats_allowed: bool = True, **changes: Any) -> dict[str, Any]:
        read = replace(published(listed(world, repeats_allowed), repeats_allowed), **changes)

        @contextmanager
        def opened(*_: Any, **__: Any) -> Iterator[Store]:
            yield Store(read)

        monkeypatch.setattr("jobs.explain.open_online_store", opened)
        return explain(settings, user, item)

    return asked


def test_what_stands_in_the_list_is_explained_by_its_score_its_rank_and_its_reasons(
    ask: Any, world: World
) -> None:
    row = listed(world, True)
    for place in (1, 3):
        answer = ask(row["item_ids"][place - 1])
        assert (answer["place"], answer["rank"], answer["is_candidate"]) == (place, place, True)
        assert answer["score"] == pytest.approx(row["scores"][place - 1], abs=2e-6)
        named = [
            item for at, item in zip(row["reason_places"], row["reason_item_ids"], strict=True) if at == place
        ]
        assert [reason["item_id"] for reason in answer["because"]][: len(named)] == named
        assert {reason["item_id"] for reason in answer["because"]} == set(
            world.item_ids[world.histories[5][-EXPLAINED_EVENTS:]]
        )
    told = render(answer)
    assert (
        f"{USER}: {answer['item_id']} ({answer['title']}) is at place 3 of the personal list of {DAY}, version v0001"
        in told
    )
    assert f"Score {answer['score']:.4f}, rank 3 of {answer['num_candidates']} candidates\n" in told
    assert f"  {answer['because'][0]['item_id']}  {answer['because'][0]['title']}\n" in told
    assert "covisitation_score" in told


def test_what_is_sold_out_or_was_had_or_nobody_proposes_is_told(ask: Any, world: World) -> None:
    sold_out = ask(SOLD_OUT)
    assert (sold_out["place"], sold_out["is_available"], sold_out["is_candidate"]) == (None, False, False)
    assert f"({SOLD_OUT.capitalize()}) is not in the personal list" in render(sold_out)
    assert "It is not for sale." in render(sold_out)
    assert "; it would not be one of them by itself" in render(sold_out)
    had = str(world.item_ids[world.histories[5][0]])
    assert ask(had, repeats_allowed=True)["is_kept_out"] is False
    kept_out = ask(had, repeats_allowed=False)
    assert (kept_out["is_kept_out"], kept_out["is_candidate"], kept_out["place"]) == (True, False, None)
    assert "The user has had it, and this shop recommends nothing again." in render(kept_out)


def test_nothing_of_a_person_is_computed_for_whom_the_list_is_not_the_model_s(ask: Any, world: World) -> None:
    item = listed(world, True)["item_ids"][0]
    popular = PackedList(tuple(range(10)), (0.1,) * 10, POPULAR, False)
    withheld = ask(item, found=popular, is_known=False, withheld="consent was withdrawn")
    stranger = ask(item, user="nobody", found=popular, is_known=False)
    for answer in (withheld, stranger):
        assert (answer["score"], answer["because"], answer["features"]) == (None, [], {})
    assert "withheld: consent was withdrawn. Nothing is computed." in render(withheld)
    assert "This list is not the model's" in render(stranger)


def test_who_or_what_is_unknown_is_said(ask: Any, world: World) -> None:
    with pytest.raises(PartitionMissing, match="the catalogue of 2011-03-01 has no item 'ghost'"):
        ask("ghost")
    with pytest.raises(PartitionMissing, match="knows nothing of 'erased'"):
        ask(listed(world, True)["item_ids"][0], user="erased")
