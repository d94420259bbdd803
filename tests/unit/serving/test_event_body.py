"""A body means one thing, or is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.event_body import decode_events
from serving.event_rules import RequestUnfit


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"nonsense", b'{"a": NaN}', b'{"a": 1e999}', b'{"a": -Infinity}', b'{"a": "\xff"}', b'{"a": "\\ud800"}', b'{"a": 1} 2',
        b"[" * 100_000, b'{"a":' * 100_000,
        b'{"a": 1, "a": 1}', b'{"a" : 1, "b": 2, "b"\t: 3}', b'{"events": [{"a": 1, "a": 2}]}', b'{"events": [{"x": {"a": 1, "a": 2}}]}',
        b'{"a": 1, "\\u0061": 2}', b'{"a": ":x", "b": 1, "b": 2}', b'{"a": "\\":", "b\\\\": 1, "b\\\\": 2}',
    ],
)  # fmt: skip
def test_what_readers_could_take_for_different_things_is_refused(body: bytes) -> None:
    with pytest.raises(RequestUnfit):
        decode_events(body)


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
        with pytest.raises(RequestUnfit, match="stands twice"):
            decode_events(body)
    else:
        assert decode_events(body) == json.loads(body)
