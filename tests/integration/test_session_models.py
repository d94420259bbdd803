"""The model that ranks sessions belongs to its version: it goes live, and back, and is lost, with it alone."""

from __future__ import annotations

from datetime import timedelta

import pytest

from contracts import names
from contracts.errors import StoreUnfit
from contracts.settings import Settings
from jobs.rollback import rollback
from tests.publishing import DAY, NOW, live, redis_of
from tests.serving_process import running_api, wait_for
from tests.session_shop import HISTORY, best, decided, linear, publish_with, shown, transformer, viewed

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

NEXT_DAY = DAY + timedelta(days=1)


def test_a_torn_model_costs_the_session_alone_and_health_tells(shop: Settings) -> None:
    publish_with(shop, DAY, "1", transformer())
    redis_of(shop).setrange(names.session_key("v0001"), 5_000, b"torn")
    with running_api(shop) as api:
        decision = decided(api, [viewed(20)])
        assert (decision["source"], decision["fallback"]) == ("personal", "session_missing")
        health = api.health()
        assert health["status"] == "degraded"
        assert "sessions of v0001 are not ranked: its model is not whole" in health["reasons"][0]


def test_each_version_has_its_own_model_and_a_rollback_brings_back_the_older(shop: Settings) -> None:
    publish_with(shop, DAY, "1", transformer())
    with running_api(shop) as api:

        def ranked_by(version: str) -> bool:
            decision = decided(api, [viewed(20)])
            return decision["version"] == version and decision["source"] == "session"

        assert ranked_by("v0001")
        publish_with(shop, NEXT_DAY, "2", linear())
        assert live(shop).champion == "2"
        wait_for(lambda: ranked_by("v0002"), 10)
        assert shown(decided(api, [viewed(20)])) == best(linear(), [*HISTORY, 20])
        rollback(shop, None, NOW)
        wait_for(lambda: ranked_by("v0001"), 2)
        assert shown(decided(api, [viewed(20)])) == best(transformer(), [*HISTORY, 20])


def test_a_version_that_has_lost_its_model_or_histories_is_not_whole(shop: Settings) -> None:
    publish_with(shop, DAY, "1", transformer())
    publish_with(shop, NEXT_DAY, "2", linear())
    redis_of(shop).delete(names.session_key("v0001"))
    with pytest.raises(StoreUnfit, match="v0001 is not whole any more"):
        rollback(shop, None, NOW)
