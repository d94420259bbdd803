"""What the doctor makes of what it finds."""

from __future__ import annotations

from jobs.doctor import Check, _java_version, _memory, _packages, _python, render
from jobs.services.probes import judge_redis

LOCK = "# pins\nnumpy==2.4.6\npandas==2.3.3 ; python_version >= '3.11'\n--hash=sha256:0==\nmoto[s3]==5.2.5\n"
INSTALLED = {"numpy": "2.4.6", "pandas": "2.3.3", "moto": "5.2.5"}


def installed(name: str) -> str:
    return INSTALLED.get(name, "")


def test_an_environment_as_locked_is_well() -> None:
    assert _packages(LOCK, installed) == Check("packages", True, "3 as locked")


def test_a_package_that_is_missing_or_another_version_is_named() -> None:
    check = _packages(LOCK + "scipy==1.17.1\nnumpy==2.5.0\n", installed)
    assert (check.ok, check.found) == (False, "numpy is 2.4.6, not 2.5.0; scipy is missing, not 1.17.1")
    assert check.mend == "make setup"


def test_java_has_to_be_17_or_newer() -> None:
    def is_well(told: str) -> bool:
        return _java_version(told, "java", "mend").ok

    assert is_well('openjdk version "17.0.15" 2025-04-15')
    assert is_well('openjdk version "21" 2023-09-19')
    assert not is_well('openjdk version "11.0.2" 2019-01-15')
    assert not is_well('java version "1.8.0_392"')
    assert not is_well("The operation couldn't be completed. Unable to locate a Java Runtime.")


def test_python_has_to_be_the_version_of_the_lock() -> None:
    assert _python((3, 11, 7)).ok
    assert not _python((3, 12, 0)).ok


def test_too_little_memory_is_told() -> None:
    assert _memory(8 << 30).ok
    assert not _memory(4 << 30).ok


def test_a_redis_that_may_forget_is_unfit() -> None:
    finding = judge_redis(policy="allkeys-lru", is_append_only=True, has_password=True, is_local=True)
    assert not finding.ok
    assert "allkeys-lru" in finding.found
    assert "noeviction" in finding.mend


def test_a_redis_that_lets_everybody_in_is_unfit_unless_only_this_machine_reaches_it() -> None:
    assert not judge_redis(policy="noeviction", is_append_only=True, has_password=False, is_local=False).ok
    assert judge_redis(policy="noeviction", is_append_only=True, has_password=False, is_local=True).ok
    assert judge_redis(policy="noeviction", is_append_only=False, has_password=True, is_local=False).ok


def test_a_wrong_check_is_told_with_the_way_to_mend_it() -> None:
    told = render([Check("java", False, "11", "Install Java 17."), Check("home", True, "/a home")])
    assert "WRONG  java" in told
    assert "→ Install Java 17." in told
    assert told.splitlines()[-1] == "1 of 2 need mending"
    assert render([Check("home", True, "/a home")]).splitlines()[-1] == "nothing needs mending"
