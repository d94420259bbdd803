"""Before a version is written every list of every user is looked at, digested and packed."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.errors import GateRefused
from contracts.lists import PERSONAL, POPULAR, SESSION, SOURCES, list_digest, pack, unpack
from contracts.serving_rules import ServingRules
from contracts.tables import LISTS
from jobs.edition import Edition, edition_of, pack_all, popular_list, read_lists
from jobs.io.schemas import arrow_schema

Row = dict[str, Any]
LENGTH = 3
RULES = ServingRules()
#: z is the most popular and not for sale; e has never been bought.
CATALOGUE = pa.table(
    {
        "item_id": ["d", "c", "b", "a", "z", "e"],
        "title": ["Dish", "Cup", None, "Äpfel", "Zither", "Egg"],
        "category": ["c"] * 6,
        "brand": ["b", None, "b", "b", "b", "b"],
        "price_cents": [100, 200, 300, None, 500, 600],
        "available_from": pa.nulls(6, pa.timestamp("us")),
        "available_until": pa.array([datetime(2011, 3, 2), *[None] * 5], pa.timestamp("us")),
        "attributes": [
            '{"margin": 0.2, "season": ["winter", 4], "colour": "red"}',
            "[]",
            None,
            None,
            None,
            None,
        ],
        "is_available": [True, True, True, True, False, True],
    }
)
POPULARITY = pa.table({"item_id": ["a", "b", "c", "z", "gone"], "popularity_7d": [2, 5, 2, 90, 1]})

NEIGHBOURS = pa.table(
    {
        "item_id": ["z", "z", "z", "gone"],
        "neighbour_id": ["c", "z", "b", "a"],
        "weight": [1, 5, 2, 9],
    }
)


def row(user: str, items: str = "abc", **changes: Any) -> Row:
    scores = [float(len(items) - place) for place in range(len(items))]
    return {
        "user_id": user,
        "source": PERSONAL,
        "is_short": len(items) < LENGTH,
        "item_ids": list(items),
        "scores": scores,
        "reason_places": [],
        "reason_item_ids": [],
        **changes,
    }


def edition(rows: list[Row], rules: ServingRules = RULES, length: int = LENGTH) -> Edition:
    table = pa.Table.from_pylist(rows, schema=arrow_schema(LISTS))
    return edition_of(table, CATALOGUE, POPULARITY, NEIGHBOURS, length, rules)


def test_an_edition_holds_every_list_and_the_items_they_name() -> None:
    made = edition([row("u1", "dca"), row("u2", "", source=POPULAR), row("u3", "a", source=SESSION)])
    items = [json.loads(item) for item in made.items]
    # What no list names, and is related to nothing, is no part of the version; the popular list names b.
    assert [item["item_id"] for item in items] == ["a", "b", "c", "d"]
    assert items[0] == {
        "item_id": "a", "title": "Äpfel", "category": "c", "brand": "b", "price_cents": None, "available_from": None,
        "available_until": None, "popularity": 2.0, "margin": None, "attributes": {},
    }  # fmt: skip
    assert made.related.keys() == set("abcdez")
    goes_with = unpack(made.related["z"])  # sold out, but not without what goes with it
    assert [items[index]["item_id"] for index in goes_with.indices] == ["b", "c"]
    assert goes_with.scores == pytest.approx([2 / 8, 1 / 8])
    assert unpack(made.related["a"]).indices == ()
    lists = {user: unpack(packed) for user, packed in zip(made.user_ids, made.packed_U, strict=True)}
    assert {user: [items[index]["item_id"] for index in found.indices] for user, found in lists.items()} == {
        "u1": ["d", "c", "a"], "u2": [], "u3": ["a"],
    }  # fmt: skip
    assert [(found.source, found.is_short) for found in lists.values()] == [
        (PERSONAL, False), (POPULAR, True), (SESSION, True),
    ]  # fmt: skip
    assert lists["u1"].scores == (3.0, 2.0, 1.0)


def test_an_edition_tells_reasons_also_where_they_are_sold_out() -> None:
    made = edition([row("u1", reason_places=[1, 3, 3], reason_item_ids=["z", "d", "z"]), row("u2")])
    items = [json.loads(item)["item_id"] for item in made.items]
    told, plain = map(unpack, made.packed_U)
    found = [[items[index] for index in told.reasons_of(place)] for place in (1, 2, 3)]
    assert (found, plain.reasons) == ([["z"], [], ["d", "z"]], ())
    assert (
        [items[index] for index in told.indices] == [items[index] for index in plain.indices] == list("abc")
    )
    assert "z" not in [items[index] for index in unpack(made.popular).indices]


def test_strangers_get_what_is_popular_and_for_sale_ties_by_id() -> None:
    found = unpack(edition([row("u1", "abc")]).popular)
    assert (found.indices, found.source, found.is_short) == ((1, 0, 2), POPULAR, False)
    assert found.scores == pytest.approx([0.05, 0.02, 0.02])
    places, shares = popular_list(np.zeros(2), POPULARITY.slice(0, 0), 5)
    assert (places.tolist(), shares.tolist()) == ([0, 1], [0.0, 0.0])


def test_a_catalogue_of_fewer_items_than_a_list_makes_a_popular_list_that_says_it_is_short() -> None:
    rows = pa.Table.from_pylist([row("u1", "a")], schema=arrow_schema(LISTS))
    assert unpack(
        edition_of(rows, CATALOGUE.slice(3, 2), POPULARITY, NEIGHBOURS, LENGTH, RULES).popular
    ).is_short


def test_an_item_is_published_with_what_rules_look_at() -> None:
    rules = ServingRules.model_validate(
        {"default": {"filters": [{"name": "cold", "keep": {"attributes": {"season": ["winter"]}}}]}}
    )
    (dish,) = [json.loads(item) for item in edition([row("u1", "d")], rules).items if b'"d"' in item]
    assert dish["available_until"] == "2011-03-02T00:00:00Z"
    assert (dish["margin"], dish["popularity"]) == (0.2, 0.0)
    assert dish["attributes"] == {"season": ["winter", "4"]}  # no rule names the colour


def test_an_item_that_a_rule_gives_a_place_is_published_though_no_list_names_it() -> None:
    pins = [{"name": "hero", "item": "e", "position": 1}]
    rules = ServingRules.model_validate({"surfaces": {"home": {"pins": pins}}})
    assert any(b'"e"' in item for item in edition([row("u1")], rules).items)
    assert not any(b'"e"' in item for item in edition([row("u1")]).items)


@st.composite
def ragged_rows(draw: st.DrawFn) -> list[Row]:
    lengths = draw(st.lists(st.integers(0, 5), min_size=1, max_size=12))
    rows = []
    for number, length in enumerate(lengths):
        places = sorted(draw(st.lists(st.integers(1, length), max_size=3))) if length else []
        reasons = draw(st.lists(st.sampled_from("abcde"), min_size=len(places), max_size=len(places)))
        items = draw(st.permutations("abcde"))[:length]
        scores = sorted(draw(st.lists(st.floats(-1e4, 1e4), min_size=length, max_size=length)), reverse=True)
        source = draw(st.sampled_from(SOURCES))
        rows.append(
            row(
                f"u{number:02d}",
                "".join(items),
                scores=scores,
                source=source,
                is_short=draw(st.booleans()),
                reason_places=places,
                reason_item_ids=reasons,
            )
        )
    return rows


@settings(deadline=None, max_examples=40)
@given(ragged_rows())
def test_packing_and_digesting_many_is_packing_and_digesting_each(rows: list[Row]) -> None:
    vocabulary = pa.array(list("abcde"))
    table = pa.Table.from_pylist(rows, schema=arrow_schema(LISTS))
    lists = read_lists(table, vocabulary, np.ones(len(vocabulary), bool))
    for num_items, shift in ((5, 0), (70_000, 65_000)):
        index_N = np.arange(5) + shift
        assert pack_all(lists, index_N, num_items) == [
            pack(
                [index_N["abcde".index(item)] for item in each["item_ids"]],
                each["scores"], each["source"], each["is_short"], num_items,
                [
                    (place, index_N["abcde".index(item)])
                    for place, item in zip(each["reason_places"], each["reason_item_ids"], strict=True)
                ],
            )
            for each in rows
        ]  # fmt: skip


@settings(deadline=None, max_examples=40)
@given(ragged_rows())
def test_the_digest_of_an_edition_is_the_contracts(rows: list[Row]) -> None:
    for each in rows:
        each["is_short"] = len(each["item_ids"]) < 5
    made = edition(rows, length=5)
    assert made.digest == list_digest((each["user_id"], each["item_ids"], each["scores"]) for each in rows)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (row("u5", "aba"), "'u5' names an item twice"),
        (row("u5", "abx"), "'u5' names 'x', which is not for sale"),
        (row("u5", "abz"), "'u5' names 'z', which is not for sale"),
        (row("u5", scores=[2.0, float("nan"), 1.0]), "'u5' has scores that are not finite"),
        (row("u5", scores=[float("inf"), 2.0, 1.0]), "'u5' has scores that are not finite"),
        (row("u5", scores=[1.0, 2.0, 0.0]), "'u5' has scores that rise"),
        (row("u5", scores=[2.0, 1.0]), "'u5' has not one score an item"),
        (row("u5", "ab", is_short=False), "'u5' holds 2 of 3 items and says is_short=False"),
        (row("u5", "abc", is_short=True), "'u5' holds 3 of 3 items and says is_short=True"),
        (row("u5", "abcd", is_short=False), "'u5' holds 4 of 3 items"),
        (
            row("u5", source="guess"),
            "'u5' has a source that is none of personal, session, content, segment, popular",
        ),
        (row("u4"), "'u4' is nobody's, or out of order, or a second one"),
        (row("u3"), "'u3' is nobody's, or out of order, or a second one"),
        (row("u5", scores=[3.0, None, 1.0]), "column scores of the lists has missing values"),
        (row("u5", item_ids=["a", None, "c"]), "column item_ids of the lists has missing values"),
        (row("u5", item_ids=None, scores=None), "column item_ids of the lists has missing values"),
        (row("u5", is_short=None), "column is_short of the lists has missing values"),
        (row("u5", reason_places=None), "column reason_places of the lists has missing values"),
        (
            row("u5", reason_places=[1], reason_item_ids=[None]),
            "column reason_item_ids of the lists has missing",
        ),
        (row("u5", reason_places=[1, 1], reason_item_ids=["d"]), "'u5' has not one place a reason"),
        (row("u5", reason_places=[1], reason_item_ids=["x"]), "'u5' has a reason of no item"),
        (row("u5", reason_places=[0], reason_item_ids=["d"]), "'u5' has a reason of no item"),
        (row("u5", reason_places=[4], reason_item_ids=["d"]), "'u5' has a reason of no item"),
    ],
)
def test_one_list_that_nobody_may_be_given_stops_the_publication(wrong: Row, message: str) -> None:
    rows = [row("u1"), row("u4", "dcb"), wrong, row("u6", "a")]
    edition([rows[0], rows[1], row("u5"), rows[3]])
    with pytest.raises(GateRefused, match=message):
        edition(rows)


def test_lists_that_were_scored_before_there_was_a_column_are_refused_by_its_name() -> None:
    rows = pa.Table.from_pylist([row("u1")], schema=arrow_schema(LISTS)).drop_columns(["reason_places"])
    with pytest.raises(GateRefused, match="the lists have no column reason_places"):
        edition_of(rows, CATALOGUE, POPULARITY, NEIGHBOURS, LENGTH, RULES)


def test_a_list_of_nobody_and_no_list_at_all_are_refused() -> None:
    with pytest.raises(GateRefused, match="'' is nobody's"):
        edition([row("")])
    with pytest.raises(GateRefused, match="not one list"):
        edition([])


@pytest.mark.parametrize("place", [0, 4095, 4096, 8999])
def test_every_list_is_looked_at_not_a_sample(place: int) -> None:
    rows = [row(f"u{user:05d}", "abc"[: 1 + user % 3]) for user in range(9000)]
    rows[place]["item_ids"][0] = "z"
    with pytest.raises(GateRefused, match=rf"'u{place:05d}' names 'z'.*\(1 of 9,000 lists\)"):
        edition(rows)
