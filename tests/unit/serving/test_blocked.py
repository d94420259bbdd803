"""What is blocked stays blocked until a later word says otherwise, whatever the store or the disk lose."""

from __future__ import annotations

from pathlib import Path

import pytest

from contracts.blocked import pack_blocked
from serving.blocked import Blocked

AT = "2026-01-05T12:00:00+00:00"
LATER = "2026-01-05T13:00:00+00:00"
TWO = pack_blocked(["cup", "mug"], AT)


@pytest.fixture
def blocked(tmp_path: Path) -> Blocked:
    found = Blocked(tmp_path / "serving" / "blocked")
    assert found.hear(TWO)
    return found


def test_what_is_heard_holds_until_something_else_is_said(blocked: Blocked) -> None:
    assert blocked.items == {"cup", "mug"}
    assert not blocked.hear(TWO)
    assert blocked.hear(pack_blocked(["cup"], AT))
    assert blocked.hear(pack_blocked([], LATER))
    assert blocked.items == set()


@pytest.mark.parametrize(
    "text", [None, b"", b"{}", b'{"items": 3}', pack_blocked([], ""), pack_blocked(["tent"], "2026-01-05T11:00:00+00:00")]
)  # fmt: skip
def test_a_store_that_has_lost_it_or_is_of_before_unblocks_nothing(
    blocked: Blocked, text: bytes | None
) -> None:
    assert not blocked.hear(text)
    assert blocked.items == {"cup", "mug"}


def test_a_process_that_starts_again_remembers(blocked: Blocked, tmp_path: Path) -> None:
    blocked.keep()
    again = Blocked(tmp_path / "serving" / "blocked")
    again.remember()
    assert again.items == {"cup", "mug"}
    assert not again.hear(TWO)


def test_a_file_that_broke_off_or_changed_is_no_memory(blocked: Blocked, tmp_path: Path) -> None:
    blocked.keep()
    path = tmp_path / "serving" / "blocked"
    whole = path.read_bytes()
    for spoilt in (whole[:-1], whole.replace(b"cup", b"cap")):
        path.write_bytes(spoilt)
        again = Blocked(path)
        again.remember()
        assert again.items == set()


def test_a_word_that_is_not_taken_up_does_not_reach_the_disk(blocked: Blocked, tmp_path: Path) -> None:
    blocked.hear(pack_blocked([], ""))
    blocked.keep()
    again = Blocked(tmp_path / "serving" / "blocked")
    again.remember()
    assert again.items == {"cup", "mug"}
