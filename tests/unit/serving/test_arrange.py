"""Rules applied to a list: what they take away, in which order the rest stands, and what they say of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.published_items import PublishedItem
from serving.arrange import Arranged, arrange
from tests.serving_shop import NOW, bundle

CUP = {"category": "kitchen", "brand": "ours"}
ITEMS = {
    0: PublishedItem("cup", "Cup", **CUP, price_cents=500, popularity=9, margin=0.1),
    1: PublishedItem("mug", "Mug", **CUP, price_cents=700, popularity=5, margin=0.4),
    2: PublishedItem("wine", "Wine", category="wine", brand="theirs", price_cents=1200, popularity=7),
    3: PublishedItem("lamp", "Lamp", category="light", brand="ours", popularity=1, margin=0.9),
    4: PublishedItem("tent", "Tent", attributes={"season": ("summer",), "size": ("2", "4")}),
    5: PublishedItem("sled", "Sled", price_cents=3000, attributes={"season": ("winter",)}),
}
ALL = tuple(ITEMS)


def arranged(
    rules: Mapping[str, Any],
    candidates: Sequence[int] = ALL,
    count: int = 10,
    bought: Sequence[int] = (),
    blocked: Sequence[str] = (),
    items: Mapping[int, PublishedItem] = ITEMS,
    at: datetime = NOW,
    surface: str = "home",
) -> Arranged:
    active = bundle(items, rules).under(frozenset(blocked), frozenset(), at.timestamp()).rules
    return arrange(candidates, active.of(surface), count, frozenset(bought))


def ids(found: Arranged) -> list[str]:
    return [ITEMS[index].item_id for index in found.indices]


def test_without_rules_a_list_stands_as_it_was_scored() -> None:
    found = arranged({}, [3, 1, 2], count=2)
    assert (ids(found), found.applied, found.dropped) == (["lamp", "mug"], (), ())


def test_the_default_holds_for_surfaces_without_rules_of_their_own() -> None:
    hide = [{"name": "no-wine", "hide": {"categories": ["wine"]}}]
    rules = {"default": {"filters": hide}, "surfaces": {"cellar": {}}}
    assert "wine" not in ids(arranged(rules))
    assert "wine" in ids(arranged(rules, surface="cellar"))


@pytest.mark.parametrize(
    ("condition", "hidden"),
    [
        ({"items": ["cup", "sled"]}, {"cup", "sled"}),
        ({"categories": ["kitchen", "wine"]}, {"cup", "mug", "wine"}),
        ({"brands": ["ours"]}, {"cup", "mug", "lamp"}),
        ({"brands": ["ours"], "categories": ["light"]}, {"lamp"}),
        ({"price_at_least": 7}, {"mug", "wine", "sled"}),  # what has no price is in no range
        ({"price_at_most": 7}, {"cup", "mug"}),
        ({"price_at_least": 6, "price_at_most": 12}, {"mug", "wine"}),
        ({"attributes": {"season": ["winter", "summer"]}}, {"tent", "sled"}),
        ({"attributes": {"season": ["winter", "summer"], "size": ["4"]}}, {"tent"}),
        ({"attributes": {"colour": ["red"]}}, set()),
    ],
)
def test_a_filter_hides_what_its_condition_holds_for_or_keeps_it_alone(
    condition: dict[str, Any], hidden: set[str]
) -> None:
    everything = {item.item_id for item in ITEMS.values()}
    found = arranged({"default": {"filters": [{"name": "f", "hide": condition}]}})
    assert set(ids(found)) == everything - hidden
    assert list(found.applied) == (["filter:f"] if hidden else [])
    kept = arranged({"default": {"filters": [{"name": "f", "keep": condition}]}})
    assert set(ids(kept)) == (hidden or everything)
    assert (list(kept.applied), list(kept.dropped)) == ((["filter:f"], []) if hidden else ([], ["filter:f"]))


@pytest.mark.parametrize(
    ("kind", "rule"),
    [
        ("filters", {"hide": {"items": ["cup"]}}),
        ("boosts", {"where": {"items": ["mug"]}, "factor": 100}),
        ("pins", {"item": "mug", "position": 1}),
    ],
)
def test_a_rule_holds_from_its_start_up_to_its_end(kind: str, rule: dict[str, Any]) -> None:
    period = {"starts_at": NOW, "ends_at": NOW + timedelta(hours=1)}
    rules = {"default": {kind: [{"name": "r", **rule, **period}]}}

    def first(at: datetime) -> str:
        return ids(arranged(rules, at=at))[0]

    second = timedelta(seconds=1)
    assert [first(NOW - second), first(NOW), first(NOW + timedelta(hours=1))] == ["cup", "mug", "cup"]
    active = bundle(ITEMS, rules).under(frozenset(), frozenset(), NOW.timestamp()).rules
    assert datetime.fromtimestamp(active.until, UTC) == NOW + timedelta(hours=1)


def test_what_is_not_for_sale_at_this_instant_is_not_shown() -> None:
    hour = timedelta(hours=1)
    items = {
        0: PublishedItem("gone", available_until=NOW),
        1: PublishedItem("here", available_from=NOW, available_until=NOW + hour),
        2: PublishedItem("soon", available_from=NOW + hour),
        3: PublishedItem("always"),
    }
    now = arranged({}, range(4), items=items)
    assert (list(now.indices), list(now.applied)) == ([1, 3], ["availability"])
    assert list(arranged({}, range(4), items=items, at=NOW + hour).indices) == [2, 3]
    assert (
        bundle(items).under(frozenset(), frozenset(), NOW.timestamp()).rules.until == (NOW + hour).timestamp()
    )


def test_a_rule_that_would_leave_nothing_is_dropped_and_those_above_it_hold() -> None:
    rules = {
        "default": {
            "filters": [
                {"name": "first", "keep": {"categories": ["kitchen"]}},
                {"name": "second", "keep": {"categories": ["light"]}},
                {"name": "third", "hide": {"items": ["cup"]}},
            ]
        }
    }
    found = arranged(rules)
    assert ids(found) == ["mug"]
    assert (list(found.applied), list(found.dropped)) == (["filter:first", "filter:third"], ["filter:second"])


def test_what_was_bought_is_out_unless_everything_was() -> None:
    found = arranged({}, bought=[0, 3])
    assert (ids(found), list(found.applied)) == (["mug", "wine", "tent", "sled"], ["bought"])
    everything = arranged({}, bought=ALL)
    assert (ids(everything)[0], list(everything.dropped)) == ("cup", ["bought"])


def test_blocking_is_never_dropped() -> None:
    every = [item.item_id for item in ITEMS.values()]
    found = arranged({}, blocked=every)
    assert (ids(found), list(found.applied), list(found.dropped)) == ([], ["blocked"], [])
    pinned = {"default": {"pins": [{"name": "p", "item": "cup", "position": 1}]}}
    found = arranged(pinned, blocked=["cup"])
    assert ids(found)[0] == "mug"
    assert (list(found.applied), list(found.dropped)) == (["blocked"], ["pin:p"])


def test_a_pin_takes_its_place_or_the_last_one_and_stands_nowhere_else() -> None:
    def pinned(position: int, candidates: Sequence[int], count: int) -> list[str]:
        pins = [{"name": "p", "item": "sled", "position": position}]
        return ids(arranged({"default": {"pins": pins}}, candidates, count))

    assert pinned(2, [0, 1, 2, 5], 4) == ["cup", "sled", "mug", "wine"]
    assert pinned(2, [0, 1], 4) == ["cup", "sled", "mug"]  # no list names it
    assert pinned(9, [0, 5, 1], 10) == ["cup", "mug", "sled"]
    assert pinned(9, [0, 5, 1], 2) == ["cup", "mug"]


def test_a_boost_lifts_an_item_by_the_worth_of_places() -> None:
    def boosted(factor: float) -> list[str]:
        boosts = [{"name": "b", "where": {"items": ["tent"]}, "factor": factor}]
        return ids(arranged({"default": {"boosts": boosts}}))

    # Place 5 is worth 1 / log2(6) = 0.387, the second 0.631, the third 0.5.
    assert boosted(1.29).index("tent") == 3
    assert boosted(1.30).index("tent") == 2
    assert boosted(1.64).index("tent") == 1
    assert boosted(3).index("tent") == 0
    assert boosted(0.01).index("tent") == 5


def test_a_list_may_be_as_long_as_the_catalogue() -> None:
    items = {index: PublishedItem(f"i{index}") for index in range(1500)}
    boosts = [{"name": "b", "where": {"items": ["i1499"]}, "factor": 100}]
    assert arranged({"default": {"boosts": boosts}}, range(1500), items=items).indices[:2] == [1499, 0]


def test_weights_trade_relevance_for_margin_and_novelty() -> None:
    def weighted(**weights: float) -> list[str]:
        return ids(arranged({"default": {"weights": weights}}, [0, 1, 2, 3]))

    assert weighted(relevance=1) == ["cup", "mug", "wine", "lamp"]
    assert weighted(relevance=0, margin=1) == [
        "lamp",
        "mug",
        "wine",
        "cup",
    ]  # wine has none: the middle, after mug
    assert weighted(relevance=0, novelty=1) == ["lamp", "mug", "wine", "cup"]
    assert weighted(relevance=1, novelty=2)[0] == "lamp"


def test_a_cap_holds_among_the_first_places_and_says_where_it_cannot() -> None:
    rules = {"default": {"caps": [{"by": "category", "most": 1, "first": 3}]}}
    found = arranged(rules, [0, 1, 2, 3])
    assert ids(found) == ["cup", "wine", "lamp", "mug"]
    assert (list(found.applied), list(found.dropped)) == (["cap:category"], [])
    found = arranged(rules, [0, 1, 2])
    assert ids(found) == ["cup", "wine", "mug"]
    assert (list(found.applied), list(found.dropped)) == ([], ["cap:category"])
    assert ids(arranged(rules, [4, 5, 0])) == ["tent", "sled", "cup"]  # of no category: no two are alike


def test_a_pin_counts_in_a_cap_before_the_items_that_stand_above_it() -> None:
    surface = {
        "pins": [{"name": "p", "item": "mug", "position": 2}],
        "caps": [{"by": "category", "most": 1, "first": 3}],
    }
    found = arranged({"default": surface}, [0, 2, 3])
    assert ids(found) == ["wine", "mug", "lamp", "cup"]
    assert list(found.applied) == ["pin:p", "cap:category"]


def test_diversity_prefers_what_is_unlike_what_stands_above() -> None:
    def diverse(strength: float) -> list[str]:
        return ids(arranged({"default": {"diversity": {"strength": strength}}}, [0, 1, 2, 3]))

    assert diverse(0.01) == ["cup", "mug", "wine", "lamp"]
    assert diverse(0.5)[:2] == ["cup", "wine"]  # a mug is a cup's like by category and by brand


CONDITIONS = st.sampled_from(
    [{"categories": ["a"]}, {"categories": ["a", "b"]}, {"brands": ["x"]}, {"price_at_most": 5}, {"items": ["i0"]}]
)  # fmt: skip


@st.composite
def shops(draw: st.DrawFn) -> tuple[dict[int, PublishedItem], dict[str, Any], list[int], int]:
    """Items, rules, a list and how many are asked for."""
    words = st.sampled_from(["a", "b", "c", None])
    items = {
        index: PublishedItem(
            f"i{index}", category=draw(words), brand=draw(st.sampled_from(["x", "y", None])),
            price_cents=draw(st.sampled_from([None, 100, 900])), popularity=draw(st.integers(0, 3)),
        )
        for index in range(draw(st.integers(1, 12)))
    }  # fmt: skip
    kinds = st.sampled_from(["hide", "keep"])
    filters = [
        {"name": f"f{number}", draw(kinds): draw(CONDITIONS)} for number in range(draw(st.integers(0, 3)))
    ]
    pinned = draw(st.permutations(range(len(items))))[: draw(st.integers(0, 2))]
    pins = [
        {"name": f"p{number}", "item": f"i{index}", "position": 2 * number + draw(st.integers(1, 2))}
        for number, index in enumerate(pinned)
    ]
    caps = [
        {"by": by, "most": draw(st.integers(1, 3)), "first": draw(st.integers(1, 8))}
        for by in draw(st.sampled_from([[], ["category"], ["category", "brand"]]))
    ]
    surface: dict[str, Any] = {"filters": filters, "pins": pins, "caps": caps}
    if draw(st.booleans()):
        surface["boosts"] = [{"name": "b", "where": draw(CONDITIONS), "factor": draw(st.floats(0.1, 9))}]
    if draw(st.booleans()):
        surface["diversity"] = {"strength": draw(st.floats(0.1, 0.9))}
    if draw(st.booleans()):
        surface["weights"] = {"relevance": 1, "novelty": draw(st.floats(0, 2))}
    listed = draw(st.permutations(range(len(items))))[: draw(st.integers(0, len(items)))]
    return items, {"default": surface}, listed, draw(st.integers(1, 12))


def meets(item: PublishedItem, condition: Mapping[str, Any]) -> bool:
    """The same rule, told once more and differently."""
    told = {
        "categories": lambda: item.category in condition["categories"],
        "brands": lambda: item.brand in condition["brands"],
        "items": lambda: item.item_id in condition["items"],
        "price_at_most": lambda: item.price_cents is not None and item.price_cents <= 500,
    }
    return all(told[name]() for name in condition)


@settings(deadline=None, max_examples=100)
@given(shops(), st.sets(st.integers(0, 11)), st.sets(st.integers(0, 11)))
def test_no_rule_is_broken_that_is_not_told_of(
    shop: tuple[dict[int, PublishedItem], dict[str, Any], list[int], int], blocked: set[int], bought: set[int]
) -> None:
    items, rules, listed, count = shop
    names = [f"i{index}" for index in blocked]

    def once() -> Arranged:
        return arranged(rules, listed, count, bought=[*bought], blocked=names, items=items)

    found, surface = once(), rules["default"]
    shown = [*found.indices]
    assert found == once()
    assert len(shown) == len(set(shown)) <= count
    assert not set(shown) & blocked
    assert set(shown) <= {*listed, *(int(pin["item"][1:]) for pin in surface["pins"])}
    assert not {*found.applied} & {*found.dropped}
    if "bought" not in found.dropped:
        assert not set(shown) & bought
    for rule in surface["filters"]:
        if f"filter:{rule['name']}" not in found.dropped:
            wanted = "keep" in rule
            condition = rule.get("keep") or rule["hide"]
            assert all(meets(items[index], condition) == wanted for index in shown)
    for cap in surface["caps"]:
        of = [getattr(items[index], cap["by"]) for index in shown[: cap["first"]]]
        most = max((of.count(word) for word in of if word is not None), default=0)
        assert (most > cap["most"]) == (f"cap:{cap['by']}" in found.dropped)
    for pin in surface["pins"]:
        index = int(pin["item"][1:])
        if f"pin:{pin['name']}" in found.applied:
            # Its place, or a higher one where the list has ended before it.
            place, pinned = shown.index(index) + 1, {int(pin["item"][1:]) for pin in surface["pins"]}
            assert place == pin["position"] or (place < pin["position"] and pinned >= {*shown[place - 1 :]})
    if not surface["pins"] and any(index not in blocked for index in listed):
        assert shown  # rules empty no list
