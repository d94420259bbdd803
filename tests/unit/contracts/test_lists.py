"""What jobs pack, readers unpack; what a version is, its pointer says."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts import names
from contracts.lists import (
    CONTENT,
    PERSONAL,
    POPULAR,
    SEGMENT,
    SESSION,
    SOURCES,
    Pointer,
    list_digest,
    pack,
    unpack,
)

POINTER = Pointer(
    version="v0007", day="2011-03-01", kind="daily", fence=12, sha256="ab", num_users=3, num_items=9, num_buckets=4,
    champion="2", repeats_allowed=True, published_at="2011-03-02T03:10:00+00:00", previous="v0006",
)  # fmt: skip


@settings(deadline=None, max_examples=60)
@given(
    st.data(),
    st.sampled_from([2, 0xFFFF, 0x10000, 1 << 31]),
    st.sampled_from(SOURCES),
    st.booleans(),
)
def test_what_is_packed_is_unpacked(data: st.DataObject, num_items: int, source: str, is_short: bool) -> None:
    indices = data.draw(st.lists(st.integers(0, num_items - 1), max_size=30))
    scores = data.draw(
        st.lists(st.floats(width=32, allow_nan=False), min_size=len(indices), max_size=len(indices))
    )
    reasons = data.draw(st.lists(st.tuples(st.integers(1, 255), st.integers(0, num_items - 1)), max_size=20))
    packed = pack(indices, scores, source, is_short, num_items, reasons)
    width = 2 if num_items < 0x10000 else 4
    told = 2 + len(reasons) * (1 + width) if reasons else 0  # without reasons a list is what it always was
    assert len(packed) == 1 + len(indices) * (4 + width) + told
    found = unpack(packed)
    assert (list(found.indices), list(found.scores), found.source, found.is_short) == (
        indices,
        scores,
        source,
        is_short,
    )
    assert list(found.reasons) == reasons


def test_a_packed_list_is_the_documented_bytes() -> None:
    assert pack([5, 258], [1.0, 0.5], PERSONAL, True, 300) == bytes(
        [0b11, 5, 0, 2, 1, 0, 0, 128, 63, 0, 0, 0, 63]
    )
    assert pack([5, 258], [1.0, 0.5], PERSONAL, False, 300, [(1, 258), (2, 7)]) == bytes(
        [0b1_0001, 2, 0, 5, 0, 2, 1, 0, 0, 128, 63, 0, 0, 0, 63, 1, 2, 2, 1, 7, 0]
    )
    assert pack([5], [1.0], POPULAR, False, 70_000) == bytes([0b1000_0000, 5, 0, 0, 0, 0, 0, 128, 63])


def test_what_was_packed_before_there_was_a_ladder_is_still_read() -> None:
    """A version outlives the upgrade that follows it: bit 0 said personal, and without it a list was popular."""
    assert [unpack(bytes([first])).source for first in (0b00, 0b01, 0b10, 0b11)] == [
        POPULAR, PERSONAL, POPULAR, PERSONAL,
    ]  # fmt: skip
    assert [pack([], [], source, False, 9)[0] for source in (SESSION, CONTENT, SEGMENT)] == [4, 8, 12]


def test_a_first_byte_that_names_no_source_is_refused() -> None:
    with pytest.raises(ValueError, match="0x05, which names no source"):
        unpack(bytes([0b0101]))


@pytest.mark.parametrize(
    "torn",
    [
        b"",
        b"\x01\x00",
        b"\x01" + bytes(7),
        b"\x81" + bytes(12),
        b"\x11\x00",
        b"\x11\x02\x00" + bytes(11),
        b"\x11\x01\x00" + bytes(8),
    ],
)
def test_torn_bytes_are_refused(torn: bytes) -> None:
    with pytest.raises(ValueError, match="packed list"):
        unpack(torn)


def test_the_digest_is_over_users_items_in_order_and_rounded_scores() -> None:
    rows = [("u1", ["a", "b"], [1.5, 0.25]), ("u2", [], []), ("u3", ["c"], [-0.0000014])]
    text = "u1\x1fa\x1f1500000\x1fb\x1f250000\nu2\x1f\nu3\x1fc\x1f-1\n"
    assert list_digest(rows) == hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize(
    "changed",
    [
        [("u1", ["b", "a"], [2.0, 1.0])],
        [("u1", ["a", "b"], [2.0, 1.000001])],
        [("u2", ["a", "b"], [2.0, 1.0])],
        [("u1", ["a"], [2.0])],
        [("u1", ["a", "b"], [2.0, 1.0]), ("u2", [], [])],
    ],
)
def test_the_digest_changes_with_whatever_a_reader_would_see(
    changed: list[tuple[str, list[str], list[float]]],
) -> None:
    rows = [("u1", ["a", "b"], [2.0, 1.0])]
    assert list_digest(rows) == list_digest([("u1", ["a", "b"], [2.0, 1.0000004])])
    assert list_digest(rows) != list_digest(changed)


def test_a_pointer_is_read_as_it_was_written_and_one_without_a_predecessor_too() -> None:
    assert Pointer.from_json(POINTER.to_json()) == POINTER
    first = POINTER.to_json().replace(', "previous": "v0006"', "")
    assert "previous" not in first
    assert Pointer.from_json(first).previous is None


def test_versions_are_ordered_by_their_numbers() -> None:
    assert sorted(["v10000", "v0002", "v9999"], key=names.version_number) == ["v0002", "v9999", "v10000"]
    assert [names.version_number(names.version_name(number)) for number in (1, 9999, 123456)] == [
        1,
        9999,
        123456,
    ]
    assert [text for text in ("v0001", "live.json", "v", "vx", "w1") if names.is_version(text)] == ["v0001"]


def test_a_user_stays_in_one_bucket_whatever_the_process() -> None:
    # CRC-32's published check value is 0xCBF43926.
    assert [names.bucket_of("123456789", num_buckets) for num_buckets in (1, 256, 1 << 16)] == [
        0,
        0x26,
        0x3926,
    ]
