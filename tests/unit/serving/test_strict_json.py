"""What two readers could take for different things is refused, with the field, its value and the way out."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.decisions import DecisionRequest
from serving.problems import Problem
from serving.strict_json import MOST_DEPTH, decode, parse


def refused(body: bytes) -> Problem:
    with pytest.raises(Problem) as caught:
        decode(body, DecisionRequest)
    return caught.value


def test_what_is_asked_for_is_read() -> None:
    request = decode(b'{"surface": "home", "user_id": "\xc3\x84da", "count": 3}', DecisionRequest)
    assert (request.surface, request.user_id, request.count) == ("home", "Äda", 3)


@pytest.mark.parametrize(
    ("body", "status", "told"),
    [
        (b"", 400, "no JSON"),
        (b"{", 400, "no JSON"),
        (b"\xff{}", 400, "no UTF-8"),
        (b"\xef\xbb\xbf{}", 400, "no JSON"),
        ('{"surface": "home"}'.encode("utf-16"), 400, "no UTF-8"),
        (b'{"count": NaN}', 400, "NaN"),
        (b'{"count": -Infinity}', 400, "Infinity"),
        (b'{"count": 1e400}', 400, "too large"),
        (b'{"count": ' + b"9" * 5000 + b"}", 400, "too large"),
        (b'{"surface": "home", "surface": "cart"}', 400, "twice"),
        (b'{"surface": "home", "user_id": {"a": 1, "a": 2}}', 400, "twice"),
        (b'{"surface": "ho\nme"}', 400, "no JSON"),
        (b'{"surface": "home", "user_id": "a\\u0000b"}', 422, "control character"),
        (b'{"surface": "home", "user_id": "a\\n"}', 422, "control character"),
        (b'{"surface": "home", "user_id": "a\\ud800"}', 422, "surrogate"),
        (b'{"surface": "home", "user_id": "a\x7f"}', 422, "control character"),
        (b'{"surface": "home", "user_id": "a\xe2\x80\xaeb"}', 422, "matching regex"),
        (b'{"surface": "home", "a\\u0000": 1}', 422, "control character"),
        (b'{"surface": "home", "user_id": ""}', 422, "length >= 1"),
        (b'{"surface": "home", "user_id": "' + b"x" * 129 + b'"}', 422, "length <= 128"),
        (b'{"surface": "home", "user_id": null}', 422, "got `null`"),
        (b'{"surface": "home", "user_id": 7}', 422, "got `int`"),
        (b'{"surface": "home", "extra": 1}', 422, "unknown field"),
        (b'{"user_id": "ada"}', 422, "missing required"),
        (b"[]", 422, "Expected `object`"),
    ],
)
def test_it_is_refused(body: bytes, status: int, told: str) -> None:
    problem = refused(body)
    assert problem.status == status
    assert told in problem.details.detail
    assert problem.details.hint


@pytest.mark.parametrize("count", ["0", "-1", "101", "1000000000", '"ten"', "1.5", "true", "null"])
def test_a_count_that_cannot_be_is_refused_with_its_value(count: str) -> None:
    details = refused(f'{{"surface": "home", "user_id": "ada", "count": {count}}}'.encode()).details
    assert (details.status, details.field) == (422, "count")
    assert details.value is not None or count == "null"


@pytest.mark.parametrize(("begin", "end"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_deep_nesting_is_refused_before_it_is_read(begin: bytes, end: bytes) -> None:
    parse(begin * MOST_DEPTH + b"1" + end * MOST_DEPTH)
    with pytest.raises(Problem, match="deep"):
        parse(begin * (MOST_DEPTH + 1) + b"1" + end * (MOST_DEPTH + 1))
    with pytest.raises(Problem, match="deep"):
        parse(begin * 8_000)


def test_brackets_within_texts_are_no_nesting() -> None:
    text = "[{" * 20 + '\\" ['
    assert parse(f'{{"a": "{text}"}}'.encode()) == {"a": "[{" * 20 + '" ['}


def test_a_value_is_told_back_short_and_harmless() -> None:
    shown = refused(b'{"surface": "home", "user_id": "\\u001b[31m' + b"x" * 5000 + b'"}').details.value
    assert shown is not None
    assert len(shown) < 120
    assert shown.isprintable()
    assert shown.isascii()


@given(st.binary(max_size=200))
def test_whatever_is_sent_is_read_or_refused(body: bytes) -> None:
    try:
        decode(body, DecisionRequest)
    except Problem as problem:
        assert problem.status in (400, 422)  # noqa: PT017


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"nonsense", b'{"a": NaN}', b'{"a": 1e999}', b'{"a": -Infinity}', b'{"a": "\xff"}', b'{"a": "\\ud800"}', b'{"a": 1} 2',
        b'{"a": 1, "a": 1}', b'{"a" : 1, "b": 2, "b"\t: 3}', b'{"events": [{"a": 1, "a": 2}]}', b'{"events": [{"x": {"a": 1, "a": 2}}]}',
        b'{"a": 1, "\\u0061": 2}', b'{"a": ":x", "b": 1, "b": 2}', b'{"a": "\\":", "b\\\\": 1, "b\\\\": 2}',
    ],
)  # fmt: skip
def test_what_readers_could_take_for_different_things_is_refused(body: bytes) -> None:
    with pytest.raises(Problem) as caught:
        parse(body)
    assert caught.value.details.hint


KEYS = st.sampled_from(["a", "b", "events", ":", '":', "\\", " "])
TEXTS = st.sampled_from(["x", ":x", '":', '" :', "\\", '\\":'])


@given(
    st.recursive(
        TEXTS | st.integers(0, 9),
        lambda inner: st.lists(inner, max_size=3) | st.lists(st.tuples(KEYS, inner), max_size=3).map(tuple),
    ),
    st.sampled_from([":", " :", ": ", "\t:\n"]),
)
def test_a_key_that_stands_twice_is_found_wherever_it_stands(value: Any, colon: str) -> None:
    repeated = False

    def written(each: Any) -> str:
        nonlocal repeated
        if isinstance(each, tuple):
            repeated |= len({key for key, _ in each}) < len(each)
            return "{" + ",".join(f"{json.dumps(key)}{colon}{written(inner)}" for key, inner in each) + "}"
        if isinstance(each, list):
            return "[" + ",".join(map(written, each)) + "]"
        return json.dumps(each)

    body = written(value).encode()
    if repeated:
        with pytest.raises(Problem, match="stands twice"):
            parse(body)
    else:
        assert parse(body) == json.loads(body)
