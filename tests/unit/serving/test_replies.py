"""What the store sends is the same replies however the network cuts it."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.replies import NoReply, Refused, Replies

REPLIES = st.recursive(
    st.binary(max_size=9) | st.integers(-9, 10**12) | st.none() | st.sampled_from(["OK", "-no"]),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=6,
)


def written(reply: Any) -> bytes:
    """As the store writes it: a text is what it says of itself, and begins with - where it refuses."""
    if reply is None:
        return b"$-1\r\n"
    if isinstance(reply, bytes):
        return b"$%d\r\n%b\r\n" % (len(reply), reply)
    if isinstance(reply, int):
        return b":%d\r\n" % reply
    if isinstance(reply, str):
        return (reply if reply[0] == "-" else f"+{reply}").encode() + b"\r\n"
    return b"*%d\r\n" % len(reply) + b"".join(map(written, reply))


def plain(reply: Any) -> Any:
    if isinstance(reply, list):
        return [plain(each) for each in reply]
    return f"-{reply}" if isinstance(reply, Refused) else reply


def expected(reply: Any) -> Any:
    if isinstance(reply, list):
        return [expected(each) for each in reply]
    return reply if not isinstance(reply, str) or reply[0] == "-" else reply.encode()


@given(st.lists(REPLIES, max_size=4), st.lists(st.integers(0, 99), max_size=5))
def test_replies_are_whole_however_they_are_cut(replies: list[Any], cuts: list[int]) -> None:
    text = b"".join(map(written, replies))
    borders = sorted({0, len(text), *(min(cut, len(text)) for cut in cuts)})
    reader, found = Replies(), []
    for begin, end in pairwise(borders):
        found += reader.read(text[begin:end])
    assert [plain(each) for each in found] == [expected(each) for each in replies]


@pytest.mark.parametrize("text", [b"HTTP/1.1 400 Bad Request\r\n", b"$x\r\n", b"*1\r\n:one\r\n"])
def test_another_protocol_is_refused(text: bytes) -> None:
    with pytest.raises(NoReply):
        Replies().read(text)
