"""Experiments and exploration in a decision: whose rules hold, what is drawn, and what is said of both."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from pydantic import ValidationError

from contracts.decisions import Context, Decision, DecisionRequest
from contracts.serving_rules import ServingRules
from serving.bundle import Bundle
from serving.decide import Told, decide, shadow_of
from tests.serving_shop import LIST, NOW, bundle

KNOWN = Told(LIST, None, None)  # of i5, i3, i4
BOLD = {"filters": [{"name": "no-i5", "hide": {"items": ["i5"]}}]}


def rules(is_shadow: bool = False, **more: Any) -> dict[str, Any]:
    variants = [
        {"name": "control", "weight": 1},
        {"name": "bolder", "weight": 1, "rules": "bold", "is_shadow": is_shadow},
    ]
    return {
        "surfaces": {"bold": BOLD},
        "experiments": [{"name": "hero", "surfaces": ["home"], "buckets": [0, 9000], "variants": variants}],
    } | more


def of(version: Bundle, user: str, surface: str = "home", number: int = 0, **context: Any) -> Decision:
    request = DecisionRequest(surface=surface, user_id=user, count=3, **context)
    return decide(request, version, KNOWN, user_id=user, fallback=None, decision_id=f"v1:{number}", now=NOW)


def shown(decision: Decision) -> list[str]:
    return [item.item_id for item in decision.items]


def by_variant(version: Bundle, surface: str = "home") -> dict[str | None, Decision]:
    return {found.variant: found for found in (of(version, f"u{number}", surface) for number in range(200))}


def test_a_variant_has_its_rules_and_who_is_in_none_the_surface_s() -> None:
    found = by_variant(bundle(rules=rules()))
    assert {variant: shown(decision) for variant, decision in found.items()} == {
        None: ["i5", "i3", "i4"],
        "hero:control": ["i5", "i3", "i4"],
        "hero:bolder": ["i3", "i4"],
    }
    assert by_variant(bundle(rules=rules()), "cart").keys() == {None}


def test_nobody_takes_part_in_an_experiment_that_is_stopped() -> None:
    stopped = bundle(rules=rules()).under(frozenset(), frozenset({"hero"}), NOW.timestamp())
    assert by_variant(stopped).keys() == {None}


def test_a_shadow_is_told_to_the_log_and_not_shown() -> None:
    version = bundle(rules=rules(is_shadow=True))
    found = by_variant(version)
    assert {tuple(shown(decision)) for decision in found.values()} == {("i5", "i3", "i4")}
    request = DecisionRequest(surface="home", user_id="u", count=3)
    shadows = {
        (of(version, f"u{number}").variant, tuple(shadow_of(request, version, KNOWN, user_id=f"u{number}")))
        for number in range(200)
    }
    assert shadows == {(None, ()), ("hero:control", ()), ("hero:bolder", ("i3", "i4"))}


def test_an_item_is_not_shown_beside_itself_though_a_rule_pins_it() -> None:
    version = bundle(rules={"default": {"pins": [{"name": "hero", "item": "i3", "position": 1}]}})
    assert shown(of(version, "ada"))[0] == "i3"
    beside = of(version, "ada", context=Context(item_id="i3"))
    assert (shown(beside), beside.rules_dropped) == (["i5", "i4"], ["pin:hero"])


SLOT = {"place": 2, "items": ["i1", "i2", "i0"], "probabilities": [0.4, 0.3, 0.2, 0.1]}


def test_a_place_is_drawn_for_and_the_answer_says_how_probable_what_stands_there_was() -> None:
    hidden = {"filters": [{"name": "no-i2", "hide": {"items": ["i2"]}}]}
    version = bundle(rules={"default": hidden, "slots": {"default": [SLOT]}})
    version = version.under(frozenset({"i0"}), frozenset(), NOW.timestamp())
    answers = [of(version, "ada", number=number) for number in range(2000)]
    counts = Counter(shown(answer)[1] for answer in answers)
    assert counts.keys() == {"i3", "i1"}  # i2 is filtered, i0 blocked
    told = {answer.items[1].item_id: answer.items[1].propensity for answer in answers}
    assert told == {"i3": pytest.approx(4 / 7), "i1": pytest.approx(3 / 7)}
    assert counts["i1"] / 2000 == pytest.approx(3 / 7, abs=0.06)
    assert {(answer.items[place].item_id, answer.items[place].propensity) for answer in answers for place in (0, 2)} == {("i5", 1.0), ("i4", 1.0)}  # fmt: skip
    beside = of(version, "ada", context=Context(item_id="i1"))
    assert (shown(beside)[1], beside.items[1].propensity) == ("i3", 1.0)


def test_exploration_can_be_what_a_variant_does() -> None:
    version = bundle(rules=rules(surfaces={"bold": {}}, slots={"surfaces.bold": [SLOT]}))
    found = [of(version, f"u{number}", number=number) for number in range(300)]
    drawn = {(decision.variant, decision.items[1].propensity < 1) for decision in found}
    assert drawn == {(None, False), ("hero:control", False), ("hero:bolder", True)}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"surfaces": {}}, "no section .surfaces.bold."),
        ({"default": {"explore": {"policy": "thompson", "places": []}}}, "at least 1"),
        ({"default": {"explore": {"policy": "thompson", "places": [2, 2]}}}, "name one twice"),
        ({"default": {"explore": {"policy": "greedy", "places": [2]}}}, "thompson"),
    ],
)
def test_what_cannot_be_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        ServingRules.model_validate(rules() | changes)
