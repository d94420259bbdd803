"""What somebody did a moment ago turns the list at once, by the champion that was published with the version."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from contracts import names
from contracts.consent import NEVER, digest_of_user
from contracts.settings import Settings
from tests.publishing import DAY, ITEMS, fresh_home, redis_of
from tests.serving_process import Caller, running_api
from tests.session_shop import HISTORY, best, decided, publish_with, shown, transformer, viewed

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def shop(stores: Settings, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    settings = fresh_home(stores, tmp_path_factory.mktemp("sessions") / "home")
    publish_with(settings, DAY, "1", transformer())
    return settings


@pytest.fixture(scope="module")
def api(shop: Settings) -> Iterator[Caller]:
    with running_api(shop) as caller:
        yield caller


def test_last_clicks_turn_the_list_of_who_is_known_and_make_that_of_who_is_not(api: Caller) -> None:
    assert decided(api)["source"] == "personal"
    known = decided(api, [viewed(20, 10), viewed(8, 20)])
    assert (known["source"], known["made_from"], known["fallback"]) == ("session", "personal", None)
    assert shown(known) == best(transformer(), [*HISTORY, 8, 20])
    assert known["items"][0]["title"] == f"{shown(known)[0]} of {DAY}"
    stranger = decided(api, [viewed(20)], anonymous_id="cookie-1")
    assert (stranger["source"], stranger["fallback"]) == ("session", None)
    assert shown(stranger) == best(transformer(), [20])


def test_the_item_that_is_looked_at_turns_the_list_and_is_not_in_it(api: Caller) -> None:
    decision = decided(api, [viewed(8)], beside=20)
    expected = best(transformer(), [*HISTORY, 8, 20], 11)
    assert decision["source"] == "session"
    assert shown(decision) == [item for item in expected if item != ITEMS[20]][:10]


def test_events_that_were_reported_turn_the_list_without_being_sent_along(api: Caller) -> None:
    event = viewed(20, event_id="e1", user_id="u0010")
    assert api.ask("POST", "/v1/events", event)[0] == 202
    reported = decided(api, user_id="u0010")
    assert (reported["source"], shown(reported)) == ("session", best(transformer(), [*HISTORY, 20]))
    again = decided(api, [viewed(20, event_id="e1")], user_id="u0010")
    assert shown(again) == shown(reported)
    assert decided(api, user_id="u0008")["source"] == "personal"


def test_who_has_withdrawn_consent_is_shown_nothing_of_what_was_done_or_is_sent(
    shop: Settings, api: Caller
) -> None:
    redis_of(shop).hset(names.CONSENT_KEY, digest_of_user("u0009"), NEVER)
    decision = decided(api, [viewed(20)], user_id="u0009")
    assert (decision["source"], decision["fallback"]) == ("popular", "consent")
    assert shown(decision) == ITEMS[-10:][::-1]


def test_what_cannot_be_ranked_leaves_the_list_and_is_told(api: Caller) -> None:
    decision = decided(api, [{**viewed(0), "item_id": "new"}, viewed(1, 90_000)])
    assert (decision["source"], decision["fallback"]) == ("personal", "session_unknown")
    assert decision["why"]
