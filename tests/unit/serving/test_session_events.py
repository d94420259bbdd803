"""What somebody did a moment ago: which events say what is wanted, each once, in their order, and for how long."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from contracts.decisions import SessionEvent
from contracts.events import Event
from serving import session_events
from serving.session_events import (
    MOST_OF_ONE,
    SENT_SECONDS,
    TAKEN_SECONDS,
    TakenEvents,
    fresh_events,
)
from tests.serving_shop import NOW

AT = NOW.timestamp()


def sent(item_id: str, seconds_ago: float = 60, event_type: Any = "view", **more: Any) -> SessionEvent:
    return SessionEvent(item_id, event_type, NOW - timedelta(seconds=seconds_ago), **more)


def taken(item_id: str, seconds_ago: float = 60, event_id: str = "", user_id: str | None = "ada") -> Event:
    at = NOW - timedelta(seconds=seconds_ago)
    return Event(event_id or f"{item_id}-{seconds_ago}", item_id, "view", at, user_id)


def items(*events: SessionEvent, remembered: Any = ()) -> list[str]:
    return [each.item_id for each in fresh_events(events, remembered, AT)]


def test_events_are_read_in_the_order_of_time_whatever_the_order_they_come_in() -> None:
    assert items(sent("b", 10), sent("a", 20), sent("c", 0)) == ["a", "b", "c"]


def test_an_event_that_says_nothing_of_what_is_wanted_is_not_read() -> None:
    events = [
        sent("shown", event_type="impression"), sent("sent back", event_type="return"),
        sent("bad", event_type="rating", value=3.4), sent("unrated", event_type="rating"),
        sent("good", event_type="rating", value=3.5),
    ]  # fmt: skip
    assert items(*events) == ["good"]


def test_how_far_an_event_went_is_what_histories_call_it() -> None:
    events = [sent("a", 3), sent("b", 2, "cart"), sent("c", 1, "purchase")]
    assert [each.depth for each in fresh_events(events, (), AT)] == [1, 2, 3]


def test_what_is_old_or_yet_to_come_is_not_read() -> None:
    assert items(sent("old", SENT_SECONDS + 1), sent("new", SENT_SECONDS - 1), sent("soon", -299)) == [
        "new",
        "soon",
    ]
    assert items(sent("tomorrow", -3600)) == []


def test_an_event_that_is_sent_along_and_was_taken_counts_once() -> None:
    memory = TakenEvents(lambda: AT)
    memory.add([taken("a", 60, "e1"), taken("b", 50, "e2")])
    assert items(sent("a", 60, event_id="e1"), remembered=memory.of("ada")) == ["a", "b"]
    assert items(sent("a", 60), remembered=memory.of("ada")) == [
        "a",
        "a",
        "b",
    ]  # nobody knows that it is the same


def test_what_was_taken_is_remembered_of_everybody_apart_and_for_a_while() -> None:
    now = AT
    memory = TakenEvents(lambda: now)
    memory.add([taken("a", 10), taken("b", 5, user_id="bob"), taken("c", 5, user_id=None)])
    assert [each.item_id for each in memory.of("ada")] == ["a"]
    assert [each.item_id for each in memory.of("bob")] == ["b"]
    now += TAKEN_SECONDS - 7
    assert memory.of("ada") == []
    assert [each.item_id for each in memory.of("bob")] == ["b"]


def test_memory_is_bounded_and_keeps_who_did_something_last(monkeypatch: Any) -> None:
    monkeypatch.setattr(session_events, "MOST_PEOPLE", 2)
    memory = TakenEvents(lambda: AT)
    memory.add([taken("a", user_id=user) for user in ("ada", "bob", "ada", "cid")])
    assert [len(memory.of(user)) for user in ("ada", "bob", "cid")] == [2, 0, 1]
    memory.add([taken(f"i{number}", 50 - number / 10) for number in range(MOST_OF_ONE + 5)])
    found = [each.item_id for each in memory.of("ada")]
    assert (len(found), found[-1]) == (MOST_OF_ONE, f"i{MOST_OF_ONE + 4}")
