"""Ports, settings and words of the embedded servers: what can be told without starting any."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest

from contracts.errors import SettingInvalid
from contracts.settings import Settings
from jobs.services import ServiceStatus, render
from jobs.services.ports import Ports, claim
from jobs.services.server import Process, given_settings
from jobs.services.statuses import without_password

HOME = Path("/a home")


def all_but(*taken: int) -> Callable[[int], bool]:
    return lambda port: port not in taken


@pytest.fixture(autouse=True)
def _nobody_else_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.services.ports.claim", lambda port: nullcontext())


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has names that leave no file")
def test_two_starts_at_once_never_choose_one_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.services.ports.claim", claim)
    with Ports(Settings(home=HOME), in_use={}, last={"redis_port": 31_993}, is_free=all_but(6379)) as one:
        assert one.named("redis_port") == 31_993
        with Ports(
            Settings(home=HOME), in_use={}, last={"redis_port": 31_993}, is_free=all_but(6379)
        ) as other:
            assert other.named("redis_port") not in (6379, 31_993)
        back = claim(6379)  # it was looked at and is somebody's: whoever that is may have it back
        assert back is not None
        back.__exit__(None, None, None)
        by_hand = Ports(Settings(home=HOME, redis_port=31_993), in_use={}, last={}, is_free=all_but())
        with pytest.raises(SettingInvalid, match="FORETASTE_REDIS_PORT=31993.*is taken"), by_hand:
            by_hand.named("redis_port")
    with Ports(Settings(home=HOME), in_use={"redis_port": 31_993}, last={}, is_free=all_but()) as later:
        assert later.named("redis_port") == 31_993
        assert claim(31_993) is None  # a server of ours that is stopped and started again gets it back


def test_a_default_port_that_is_free_is_taken() -> None:
    ports = Ports(Settings(home=HOME), in_use={}, last={"redis_port": 7777}, is_free=all_but())
    assert ports.named("redis_port") == 6379


def test_a_default_port_that_is_taken_gives_way_to_the_last_one() -> None:
    ports = Ports(Settings(home=HOME), in_use={}, last={"redis_port": 7777}, is_free=all_but(6379))
    assert ports.named("redis_port") == 7777


def test_a_default_port_that_is_taken_gives_way_to_any_free_one() -> None:
    ports = Ports(Settings(home=HOME), in_use={}, last={}, is_free=all_but(6379))
    assert 20_000 <= ports.named("redis_port") < 32_000


def test_a_port_set_by_hand_that_is_taken_is_refused_by_its_name() -> None:
    ports = Ports(Settings(home=HOME, redis_port=7001), in_use={}, last={}, is_free=all_but(7001))
    with pytest.raises(SettingInvalid, match=r"FORETASTE_REDIS_PORT=7001.*port 7001 .* is taken"):
        ports.named("redis_port")


def test_a_port_set_by_hand_may_be_our_own_running_server() -> None:
    ports = Ports(
        Settings(home=HOME, redis_port=7001), in_use={"redis_port": 7001}, last={}, is_free=all_but(7001)
    )
    assert ports.named("redis_port") == 7001


def test_a_port_set_by_hand_moves_a_server_that_runs_elsewhere() -> None:
    ports = Ports(
        Settings(home=HOME, redis_port=7002), in_use={"redis_port": 7001}, last={}, is_free=all_but(7001)
    )
    assert ports.named("redis_port") == 7002


def test_two_settings_with_one_port_are_refused() -> None:
    ports = Ports(Settings(home=HOME, redis_port=7001, s3_port=7001), in_use={}, last={}, is_free=all_but())
    ports.named("redis_port")
    with pytest.raises(SettingInvalid, match="FORETASTE_S3_PORT=7001"):
        ports.named("s3_port")


def test_a_free_port_that_the_server_cannot_use_gives_way_too() -> None:
    ports = Ports(Settings(home=HOME), in_use={}, last={"s3_port": 7777}, is_free=all_but())
    assert ports.named("s3_port", is_spoilt=lambda port: port == 8333) == 7777
    by_hand = Ports(Settings(home=HOME, s3_port=8333), in_use={}, last={}, is_free=all_but())
    with pytest.raises(SettingInvalid, match="FORETASTE_S3_PORT=8333"):
        by_hand.named("s3_port", is_spoilt=lambda port: port == 8333)


def test_no_two_servers_get_one_port() -> None:
    last = {"a": 25_000, "b": 25_000, "c": 25_000}
    ports = Ports(Settings(home=HOME), in_use={"other": 25_001}, last=last, is_free=all_but())
    assert len({ports.any("a"), ports.any("b"), ports.any("c"), 25_001}) == 4


def test_tasks_see_the_settings_that_were_given_and_not_what_the_files_say() -> None:
    settings = Settings(
        home=HOME, seed=3, redis_url="redis://:secret@host:1/0", mlflow_url="http://127.0.0.1:5000"
    )
    known = {"mlflow_url": ["http://127.0.0.1:5001", "http://127.0.0.1:5000"], "seed": ["4"]}
    assert given_settings(settings, known) == {
        "FORETASTE_HOME": "/a home",
        "FORETASTE_SEED": "3",
        "FORETASTE_REDIS_URL": "redis://:secret@host:1/0",
    }


@pytest.mark.parametrize("change", ["command", "environment", "configuration"])
def test_a_server_is_another_one_when_anything_that_it_reads_changes(change: str) -> None:
    as_it_was = {"command": ("weed", "-a"), "environment": {"A": "1"}, "configuration": "x"}
    changed = {"command": ("weed", "-b"), "environment": {"A": "2"}, "configuration": "y"}
    before = Process("weed", **as_it_was)  # type: ignore[arg-type]
    after = Process("weed", **{**as_it_was, change: changed[change]})  # type: ignore[arg-type]
    assert before.digest() == Process("weed", **as_it_was).digest() != after.digest()  # type: ignore[arg-type]


def test_an_address_is_told_without_its_password() -> None:
    assert without_password("rediss://user:secret@shop.example:6380/0") == "rediss://shop.example:6380/0"
    assert without_password("http://127.0.0.1:5000") == "http://127.0.0.1:5000"
    assert without_password("aws") == "aws"


def test_what_runs_is_told_with_its_address_and_login() -> None:
    statuses = [
        ServiceStatus("airflow", "running", "http://127.0.0.1:8080", "operator / abc", (1,), 12.34),
        ServiceStatus("mlflow", "stopped"),
    ]
    told = render(statuses).splitlines()
    assert told[0].split() == [
        "airflow",
        "ready",
        "in",
        "12.3",
        "s",
        "http://127.0.0.1:8080",
        "operator",
        "/",
        "abc",
    ]
    assert told[1].split() == ["mlflow", "stopped"]
