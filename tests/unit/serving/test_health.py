"""Health is judged from what the process sees alone, and says why it is not better."""

from __future__ import annotations

from datetime import timedelta

import pytest

from serving.health import judge
from serving.published import View
from tests.serving_shop import NOW, bundle

MAX_HOURS = 36


def test_the_live_version_in_its_time_is_ok() -> None:
    health = judge(View(bundle(), True, None, ""), NOW, MAX_HOURS)
    assert (health.status, health.reasons) == ("ok", [])
    assert (health.version, health.day, health.age_seconds) == ("v0002", "2026-01-04", 3600)


@pytest.mark.parametrize(("seconds", "status"), [(-5, "ok"), (5, "degraded")])
def test_a_version_older_than_its_limit_is_degraded(seconds: int, status: str) -> None:
    at = NOW + timedelta(hours=MAX_HOURS - 1, seconds=seconds)  # it was published an hour before NOW
    health = judge(View(bundle(), True, None, ""), at, MAX_HOURS)
    assert health.status == status
    assert bool(health.reasons) == (status == "degraded")


def test_a_rollback_does_not_make_a_version_younger() -> None:
    held = bundle(published_at="2026-01-01T11:00:00+00:00")  # the pointer says an hour ago
    health = judge(View(held, True, None, ""), NOW, MAX_HOURS)
    assert (health.status, health.age_seconds) == ("degraded", (4 * 24 + 1) * 3600)


def test_what_keeps_us_from_the_top_is_a_reason() -> None:
    health = judge(View(bundle(), False, "store_away", "the online store is away"), NOW, MAX_HOURS)
    assert (health.status, health.reasons) == ("degraded", ["the online store is away"])


def test_without_a_version_there_is_nothing_to_answer_with() -> None:
    health = judge(View(None, False, "store_away", "the online store is away"), NOW, MAX_HOURS)
    assert health.status == "unavailable"
    assert health.reasons == ["the online store is away", "no version was ever seen"]
