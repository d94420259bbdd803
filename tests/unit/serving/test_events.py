"""What ``POST /v1/events`` takes, and what it refuses: a function of the request and the time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.events import MOST_EVENTS, Event
from contracts.feed import EVENT_COLUMNS, EVENT_COLUMNS_REQUIRED
from serving.event_rules import RequestUnfit, read_events
from serving.events import judge
from serving.journal import CONFLICTING, NEW, REPEATED

NOW = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)


def event(**changes: Any) -> dict[str, Any]:
    given = {"event_id": "e1", "item_id": "i1", "event_type": "view", "occurred_at": "2026-01-05T11:00:00Z"}
    return {name: value for name, value in {**given, **changes}.items() if value is not None}


def test_the_api_takes_the_columns_of_the_feed() -> None:
    fields = msgspec.structs.fields(Event)
    assert {field.name for field in fields} == set(EVENT_COLUMNS)
    assert {field.name for field in fields if field.required} == {*EVENT_COLUMNS_REQUIRED, "event_id"}


@pytest.mark.parametrize(
    ("field", "value", "why"),
    [
        ("event_id", None, "missing required field"),
        ("item_id", None, "missing required field"),
        ("colour", "red", "unknown field"),
        ("event_type", "glance", "Invalid enum value"),
        ("user_id", "", "length >= 1"),
        ("user_id", "x" * 129, "length <= 128"),
        ("user_id", "ü" * 100, "more than 128 bytes"),
        ("user_id", "a\x00b", "control or direction characters"),
        ("surface", "a\u202eb", "control or direction characters"),
        ("item_id", "\ud800", "control or direction characters"),
        ("session_id", "  ", "stands for nothing"),
        ("user_id", "NaN", "stands for nothing"),
        ("quantity", -1, ">= 0"),
        ("quantity", 1.5, "got `float`"),
        ("quantity", True, "got `bool`"),
        ("quantity", "2", "got `str`"),
        ("unit_price", float("nan"), ">= 0"),
        ("unit_price", float("inf"), "<= "),
        ("scroll_depth", 1.01, "<= 1"),
        ("position", 0, ">= 1"),
        ("propensity", 0, "> 0"),
        ("occurred_at", "2026-01-05T11:00:00", "timezone"),
        ("occurred_at", "2026-02-30T11:00:00Z", "Invalid RFC3339"),
        ("occurred_at", 1767610800, "got `int`"),
        ("occurred_at", "2026-01-05T12:05:01Z", "later than 2026-01-05T12:00:00Z"),
        ("occurred_at", "2025-12-29T23:59:59Z", "more than 6 days ago"),
    ],
)
def test_a_refusal_names_the_field_the_value_and_the_way_out(field: str, value: Any, why: str) -> None:
    told, refused = read_events({"events": [event(event_id="good"), event(**{field: value})]}, NOW)
    assert [each.event.event_id for each in told] == ["good"]
    (refusal,) = refused
    assert (refusal.index, refusal.field) == (1, field)
    assert why in refusal.why
    assert refusal.hint
    assert value is None or ascii(value).strip("'")[:97] in refusal.value
    assert len(refusal.value) <= 100
    assert refusal.value.isascii()


@pytest.mark.parametrize(
    "occurred_at", ["2026-01-05T12:05:00Z", "2025-12-30T00:00:00Z", "2026-01-05T13:00:00+02:00"]
)
def test_times_are_taken_from_six_days_ago_until_a_clock_that_is_a_little_fast(occurred_at: str) -> None:
    told, refused = read_events(event(occurred_at=occurred_at), NOW)
    assert (len(told), refused) == (1, [])


@pytest.mark.parametrize(
    "request_",
    [None, [], "e", 5, {"events": {}}, {"events": []}, {"events": [event()], "more": 1}, {"events": [event()] * (MOST_EVENTS + 1)}],
)  # fmt: skip
def test_what_is_neither_an_event_nor_a_batch_is_refused_whole(request_: Any) -> None:
    with pytest.raises(RequestUnfit):
        read_events(request_, NOW)


def test_an_event_has_one_spelling_whatever_order_and_offset_it_was_sent_in() -> None:
    first = event(user_id="jürgen", value=2)
    second = dict(
        reversed(event(user_id="ju\u0308rgen", value=2.0, occurred_at="2026-01-05T12:00:00+01:00").items())
    )
    other = event(user_id="jürgen", value=3)
    (one, two, three), _ = read_events({"events": [first, second, other]}, NOW)
    assert one.record == two.record
    assert one.record.id[:8] == three.record.id[:8]
    assert one.record.id != three.record.id


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
                    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*EVENT_COLUMNS, "events", "x"]), inner)))  # fmt: skip
def test_whatever_was_decoded_is_read_or_refused(request_: Any) -> None:
    try:
        told, refused = read_events(request_, NOW)
    except RequestUnfit:
        return
    assert told or refused


def test_the_answer_counts_every_event_once() -> None:
    told, refused = read_events({"events": [event(event_id=str(n)) for n in range(3)] + [{}]}, NOW)
    received = judge(told, [NEW, REPEATED, CONFLICTING], refused)
    assert (received.accepted, received.duplicates) == (1, 1)
    assert [each.index for each in received.conflicts] == [2]
    assert [each.index for each in received.refused] == [3]
    assert received.status == HTTPStatus.ACCEPTED
    assert judge([], [], refused).status == HTTPStatus.UNPROCESSABLE_ENTITY
    assert judge(told[:1], [CONFLICTING], []).status == HTTPStatus.CONFLICT
    assert judge(told[:1], [REPEATED], []).status == HTTPStatus.ACCEPTED


def test_a_line_is_read_back_as_the_event_that_was_sent() -> None:
    sent = event(
        user_id="u1", unit_price=2.5, position=3, propensity=0.25, decision_id="v0001:x", surface="home"
    )
    (told,), _ = read_events(sent, NOW)
    assert msgspec.json.decode(told.record.line) == sent
    assert told.record.arrived == NOW.date()


def test_a_repeat_on_a_later_day_has_the_same_spelling() -> None:
    (today,), _ = read_events(event(), NOW)
    (tomorrow,), _ = read_events(event(), NOW + timedelta(days=1))
    assert today.record.id == tomorrow.record.id
