"""decide is a function: what was asked and what was read give the decision, and it says how it came about."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from contracts.consent import NEVER
from contracts.decisions import Context, Decision, DecisionRequest, Fallback
from serving.decide import Told, decide
from serving.session_ranker import SessionList
from serving.sessions import SessionAnswer
from tests.serving_shop import LIST, NOW, POINTER, bundle

STRANGER = Told(None, None, None)
KNOWN = Told(LIST, None, None)


def decided(told: Told | None, count: int = 3, fallback: Fallback | None = None, **changes: Any) -> Decision:
    request = DecisionRequest(surface="home", user_id="ada", count=count)
    return decide(
        request, bundle(**changes), told, user_id="ada", fallback=fallback, decision_id="d1", now=NOW
    )


def shown(decision: Decision) -> list[str]:
    return [item.item_id for item in decision.items]


def test_a_known_user_gets_the_list_of_the_live_version_with_reasons() -> None:
    decision = decided(KNOWN)
    assert (decision.source, decision.fallback, decision.why) == ("personal", None, "")
    assert shown(decision) == ["i5", "i3", "i4"]
    assert [item.position for item in decision.items] == [1, 2, 3]
    assert [[reason.item_id for reason in item.reasons] for item in decision.items] == [[], ["i1", "i0"], []]
    assert {item.propensity for item in decision.items} == {1.0}


def test_an_answer_says_which_version_it_is_of_and_how_old() -> None:
    decision = decided(KNOWN)
    assert (decision.version, decision.day, decision.age_seconds) == ("v0002", "2026-01-04", 3600)
    assert (decision.surface, decision.decision_id, decision.made_from) == ("home", "d1", "personal")


def test_the_count_cuts_the_list_and_its_reasons() -> None:
    decision = decided(KNOWN, count=1)
    assert shown(decision) == ["i5"]
    assert not decision.is_short


def test_a_list_that_cannot_fill_the_count_says_so() -> None:
    assert decided(KNOWN, count=4).is_short
    assert not decided(KNOWN, count=3).is_short


def test_who_has_no_list_gets_popular_items() -> None:
    decision = decided(STRANGER)
    assert (decision.source, decision.fallback, decision.made_from) == ("popular", "unknown_user", "popular")
    assert shown(decision) == ["i0", "i1", "i2"]
    assert decision.why


@pytest.mark.parametrize(
    ("told", "why"),
    [
        (Told(LIST, NEVER, None), "consent was withdrawn"),
        (Told(LIST, None, NEVER), "no consent was given"),
        (Told(LIST, "2026-01-05", None), "made before 2026-01-05"),
    ],
)
def test_who_has_withdrawn_consent_gets_popular_items_and_the_reason(told: Told, why: str) -> None:
    decision = decided(told)
    assert (decision.source, decision.fallback) == ("popular", "consent")
    assert why in decision.why
    assert shown(decision) == ["i0", "i1", "i2"]


def test_who_has_granted_again_before_the_versions_day_gets_the_own_list() -> None:
    assert decided(Told(LIST, "2026-01-04", NEVER)).source == "personal"


@pytest.mark.parametrize(
    ("told", "first"), [(KNOWN, ["i3", "i4"]), (STRANGER, ["i0", "i2"]), (Told(LIST, NEVER, None), ["i0", "i2"]), (None, ["i0", "i2"])]
)  # fmt: skip
def test_a_blocked_item_is_on_no_rung_and_no_reason(told: Told | None, first: list[str]) -> None:
    blocked = bundle().under(frozenset({"i5", "i1"}), frozenset(), NOW.timestamp())
    request = DecisionRequest(surface="home", user_id="ada", count=2)
    decision = decide(request, blocked, told, user_id="ada", fallback=None, decision_id="d1", now=NOW)
    assert shown(decision) == first
    assert (decision.rules_applied, decision.rules_dropped) == (["blocked"], [])
    reasons = {reason.item_id for item in decision.items for reason in item.reasons}
    assert reasons == ({"i0"} if told is KNOWN else set())  # i1 was the other


def test_reasons_follow_their_item_where_rules_move_it() -> None:
    decision = decided(KNOWN, rules={"default": {"pins": [{"name": "p", "item": "i3", "position": 1}]}})
    assert [[reason.item_id for reason in item.reasons] for item in decision.items] == [["i1", "i0"], [], []]
    assert shown(decision) == ["i3", "i5", "i4"]


def test_what_was_bought_since_is_out_where_the_feed_has_no_repeats() -> None:
    request = DecisionRequest(surface="home", user_id="ada", count=3)
    for repeats_allowed, expected in ((True, ["i5", "i3", "i4"]), (False, ["i5", "i4"])):
        version = bundle(pointer=replace(POINTER, repeats_allowed=repeats_allowed))
        decision = decide(
            request,
            version,
            KNOWN,
            user_id="ada",
            fallback=None,
            decision_id="d1",
            now=NOW,
            bought=frozenset({"i3"}),
        )
        assert shown(decision) == expected


def test_what_was_bought_is_not_even_pinned() -> None:
    pins = [{"name": "hero", "item": "i2", "position": 1}]  # on no list of hers
    version = bundle(pointer=replace(POINTER, repeats_allowed=False), rules={"default": {"pins": pins}})
    request = DecisionRequest(surface="home", user_id="ada", count=3)
    decision = decide(
        request,
        version,
        KNOWN,
        user_id="ada",
        fallback=None,
        decision_id="d1",
        now=NOW,
        bought=frozenset({"i2"}),
    )
    assert (shown(decision), decision.rules_dropped) == (["i5", "i3", "i4"], ["pin:hero"])


def test_a_list_of_the_version_before_says_so() -> None:
    decision = decided(KNOWN, fallback="version_not_whole")
    assert (decision.source, decision.fallback) == ("previous", "version_not_whole")
    assert shown(decision) == ["i5", "i3", "i4"]


@pytest.mark.parametrize("fallback", ["store_away", "store_empty", "version_not_whole"])
def test_without_the_store_everybody_gets_what_is_remembered(fallback: Fallback) -> None:
    decision = decided(None, fallback=fallback)
    assert (decision.source, decision.fallback) == ("snapshot", fallback)
    assert shown(decision) == ["i0", "i1", "i2"]
    assert decision.why


def test_a_store_that_goes_while_it_is_asked_is_away() -> None:
    assert decided(None).fallback == "store_away"


def turned(told: Told, session: SessionAnswer, count: int = 3, fallback: Fallback | None = None) -> Decision:
    request = DecisionRequest(surface="home", user_id="ada", count=count)
    return decide(
        request, bundle(), told, user_id="ada", fallback=fallback, decision_id="d1", now=NOW, session=session
    )


RANKED = SessionAnswer(SessionList((2, 3), "personal", frozenset([5])), None)


def test_a_session_turns_the_list_and_is_told() -> None:
    decision = turned(KNOWN, RANKED, count=2)
    assert (decision.source, decision.made_from, decision.fallback) == ("session", "personal", None)
    assert shown(decision) == ["i2", "i3"]


def test_a_short_session_list_goes_on_as_it_would_without_but_for_what_must_not_be_shown() -> None:
    decision = turned(KNOWN, RANKED, count=4)
    assert shown(decision) == ["i2", "i3", "i4"]  # of 5, 3 and 4
    assert decision.is_short


def test_a_stranger_with_a_session_lacks_nothing() -> None:
    decision = turned(STRANGER, RANKED, count=3)
    assert (decision.source, decision.fallback, decision.why) == ("session", None, "")
    assert shown(decision) == ["i2", "i3", "i0"]


def test_a_session_in_the_version_before_says_so() -> None:
    decision = turned(KNOWN, RANKED, fallback="version_not_whole")
    assert (decision.source, decision.fallback) == ("session", "version_not_whole")


@pytest.mark.parametrize("told", [KNOWN, STRANGER])
@pytest.mark.parametrize("session", [None, RANKED])
def test_an_item_is_not_shown_beside_itself(told: Told, session: SessionAnswer | None) -> None:
    def beside(item_id: str) -> Decision:
        request = DecisionRequest("home", user_id="ada", count=2, context=Context(item_id))
        return decide(
            request, bundle(), told, user_id="ada", fallback=None, decision_id="d1", now=NOW, session=session
        )

    first, *others = shown(beside("another"))
    decision = beside(first)
    assert shown(decision)[:1] == others
    assert [item.position for item in decision.items] == [1, 2]
    if session is None and told is KNOWN:  # the reasons stay with their item
        assert [reason.item_id for reason in decision.items[0].reasons] == ["i1", "i0"]


@pytest.mark.parametrize("why", ["session_missing", "session_unknown", "session_busy"])
def test_a_session_that_could_not_be_ranked_leaves_the_list_and_says_why(why: Any) -> None:
    decision = turned(KNOWN, SessionAnswer(None, why))
    assert (decision.source, decision.fallback) == ("personal", why)
    assert decision.why
    assert shown(decision) == ["i5", "i3", "i4"]
    assert turned(STRANGER, SessionAnswer(None, why)).fallback == "unknown_user"  # what is missing first
