"""Who may ask what, and how often."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from contracts.api_keys import ADMIN, DECIDE, INGEST, ApiKey, keys_path, make_key, read_keys, to_json
from contracts.errors import SettingInvalid
from serving.keys import Bucket, Gate, KeyRing
from serving.problems import Problem

AT = "2026-01-05T12:00:00+00:00"


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = keys_path(tmp_path)
    path.parent.mkdir()
    return path


def write(path: Path, *keys: ApiKey) -> None:
    """As the command does it: a new file in the place of the old one."""
    staged = path.with_suffix(".new")
    staged.write_text(to_json(keys))
    staged.replace(path)


def refused(gate: Gate, authorization: str, scope: str = DECIDE) -> int:
    with pytest.raises(Problem) as caught:
        gate.admit(authorization, scope)
    return int(caught.value.status)


def test_the_file_holds_no_key(path: Path) -> None:
    key, kept = make_key("shop", [DECIDE], AT)
    write(path, kept)
    secret = key.split("_", 2)[2]
    assert len(secret) >= 43  # 256 bits
    assert secret not in path.read_text()
    assert read_keys(path) == [kept]


def test_two_keys_are_never_alike() -> None:
    assert len({make_key("shop", [DECIDE], AT)[0] for _ in range(100)}) == 100


def test_a_key_may_do_what_its_scopes_say_and_nothing_else(path: Path, clock: Clock) -> None:
    key, kept = make_key("shop", [DECIDE, INGEST], AT)
    write(path, kept)
    gate = Gate(KeyRing(path, clock), 10, clock)
    assert gate.admit(f"Bearer {key}", DECIDE) == kept
    assert gate.admit(f"bearer  {key}", INGEST) == kept
    assert refused(gate, f"Bearer {key}", ADMIN) == 403


@pytest.mark.parametrize(
    "authorization", ["", "Bearer", "Bearer ", "Bearer ft_00000000_x", "Basic {key}", "{key}", "Bearer {key}x", "Bearer {cut}"]
)  # fmt: skip
def test_no_key_and_a_wrong_one_are_told_the_same(path: Path, clock: Clock, authorization: str) -> None:
    key, kept = make_key("shop", [DECIDE], AT)
    write(path, kept)
    assert refused(Gate(KeyRing(path, clock), 10, clock), authorization.format(key=key, cut=key[:-1])) == 401


def test_without_a_file_nobody_may_do_anything(path: Path, clock: Clock) -> None:
    assert refused(Gate(KeyRing(path, clock), 10, clock), "Bearer x") == 401


def test_a_new_key_and_a_revoked_one_are_noticed_within_a_second(path: Path, clock: Clock) -> None:
    old, kept_old = make_key("shop", [DECIDE], AT)
    new, kept_new = make_key("shop", [DECIDE], AT)
    ring = KeyRing(path, clock)
    write(path, kept_old)
    assert ring.find(old) == kept_old
    write(path, kept_old, kept_new)
    clock.now += 1
    assert (ring.find(old), ring.find(new)) == (kept_old, kept_new)
    write(path, kept_new)
    clock.now += 1
    assert (ring.find(old), ring.find(new)) == (None, kept_new)
    path.unlink()
    clock.now += 1
    assert ring.find(new) is None


def test_a_torn_file_leaves_the_keys_that_were_read_before(path: Path, clock: Clock) -> None:
    key, kept = make_key("shop", [DECIDE], AT)
    write(path, kept)
    ring = KeyRing(path, clock)
    assert ring.find(key) == kept
    path.write_text(to_json([kept])[:-20])
    os.utime(path, ns=(1, 1))
    clock.now += 1
    assert ring.find(key) == kept


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"keys": [{}]}', '{"keys": 7}'])
def test_a_file_that_is_none_is_told_by_name(path: Path, text: str) -> None:
    path.write_text(text)
    with pytest.raises(SettingInvalid, match="api_keys.json"):
        read_keys(path)


def test_a_scope_that_there_is_not_is_refused(path: Path) -> None:
    write(path, make_key("shop", ["everything"], AT)[1])
    with pytest.raises(SettingInvalid, match="'everything'"):
        read_keys(path)


def test_who_asks_too_often_is_told_when_to_come_back(path: Path, clock: Clock) -> None:
    key, kept = make_key("shop", [DECIDE], AT)
    other, kept_other = make_key("other", [DECIDE], AT)
    write(path, kept, kept_other)
    gate = Gate(KeyRing(path, clock), 3, clock)
    for _ in range(3):
        gate.admit(f"Bearer {key}", DECIDE)
    with pytest.raises(Problem) as caught:
        gate.admit(f"Bearer {key}", DECIDE)
    assert (caught.value.status, caught.value.headers) == (429, {"retry-after": "1"})
    gate.admit(f"Bearer {other}", DECIDE)
    clock.now += 0.34
    gate.admit(f"Bearer {key}", DECIDE)
    assert refused(gate, f"Bearer {key}") == 429


def test_a_bucket_gives_its_rate_and_no_more_than_a_seconds_worth_at_once() -> None:
    bucket = Bucket(10, 0.0)
    assert sum(bucket.take(0.0) == 0 for _ in range(30)) == 10
    assert bucket.take(0.0) == pytest.approx(0.1)
    assert sum(bucket.take(1000.0) == 0 for _ in range(30)) == 10
    assert sum(bucket.take(1000 + number / 100) == 0 for number in range(100)) == 9


def test_a_rate_below_one_a_second_still_lets_one_through() -> None:
    bucket = Bucket(0.5, 0.0)
    assert bucket.take(0.0) == 0
    assert bucket.take(1.0) == pytest.approx(1.0)
    assert bucket.take(2.0) == 0
