"""What jobs publish, the API serves: each user's list with its reasons, from one version, and the way back."""

from __future__ import annotations

import csv
import gzip
import shlex
import threading
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode

from contracts import names
from contracts.consent import NEVER, digest_of_user
from contracts.decisions import MOST_RELATED, Related
from contracts.events import Event
from contracts.settings import Settings
from jobs.rollback import rollback
from jobs.ship import ship
from serving.client import Foretaste, RequestRefused
from simulator.api_calls import calls
from simulator.command import DemoFailed
from simulator.published import read_published
from tests.publishing import (
    DAY,
    ITEMS,
    NOW,
    NUM_USERS,
    K,
    listed,
    live,
    publish_new,
    reasons,
    redis_of,
    related,
)
from tests.serving_process import Caller, free_port, running_api, start_api, wait_for

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

NEXT_DAY = DAY + timedelta(days=1)


@pytest.fixture
def api(shop: Settings) -> Iterator[Caller]:
    publish_new(shop, DAY)
    with running_api(shop) as caller:
        yield caller


def shown(decision: dict[str, Any]) -> list[str]:
    return [item["item_id"] for item in decision["items"]]


def assert_is_whole(decision: dict[str, Any], user: int) -> None:
    """Everything in an answer is of the day that it names."""
    day = date.fromisoformat(decision["day"])
    assert shown(decision) == listed(user, day)
    assert {item["title"] for item in decision["items"]} == {f"{item} of {day}" for item in shown(decision)}


def test_everybody_gets_the_published_list_with_its_reasons(api: Caller) -> None:
    for user in range(NUM_USERS):
        decision = api.decide(f"u{user:04d}")
        assert (decision["source"], decision["version"], decision["fallback"]) == ("personal", "v0001", None)
        assert_is_whole(decision, user)
        told = [[reason["item_id"] for reason in item["reasons"]] for item in decision["items"]]
        first, second, third = reasons(user, DAY)
        assert told == [[first], [second, third], *([[]] * (K - 2))]


def test_the_client_asks_and_reports(api: Caller) -> None:
    with Foretaste(f"http://127.0.0.1:{api.port}", api.key, timeout=5) as shop:
        decision = shop.decide("home", user_id="u0001", count=3)
        assert [item.item_id for item in decision.items] == listed(1, DAY)[:3]
        event = Event("e1", decision.items[0].item_id, "view", datetime.now(UTC), user_id="u0001", decision_id=decision.decision_id)  # fmt: skip
        assert [shop.send([event]).accepted, shop.send([event]).duplicates] == [1, 1]
        with pytest.raises(RequestRefused, match="count: 0"):
            shop.decide("home", user_id="u0001", count=0)


def test_what_goes_with_an_item_is_of_the_version_that_the_answer_names_and_as_documented(
    shop: Settings, api: Caller
) -> None:
    told = schemathesis.openapi.from_url(f"http://127.0.0.1:{api.port}/openapi.json")
    operation = told["/v1/items/{item_id}/related"]["GET"]
    for item, count, status in (
        (ITEMS[0], 7, 200),
        (ITEMS[1], 7, 200),
        ("nothing", 7, 404),
        (ITEMS[0], 0, 422),
    ):
        case = operation.Case(path_parameters={"item_id": item}, query={"count": count})
        answer = case.call_and_validate(headers={"Authorization": f"Bearer {api.key}"})
        assert answer.status_code == status

    @settings(max_examples=30, deadline=None, database=None, suppress_health_check=[*HealthCheck])
    @given(st.one_of([operation.as_strategy(generation_mode=mode) for mode in GenerationMode]))
    def ask_anything(case: schemathesis.Case) -> None:
        case.call_and_validate(headers={"Authorization": f"Bearer {api.key}"})

    ask_anything()
    with Foretaste(f"http://127.0.0.1:{api.port}", api.key, timeout=5) as client:
        assert_related(client.related(ITEMS[0], MOST_RELATED), DAY)
        publish_new(shop, NEXT_DAY)
        wait_for(lambda: client.related(ITEMS[0]).version == "v0002", 5)
        assert_related(client.related(ITEMS[0], MOST_RELATED), NEXT_DAY)
        rollback(shop, None, NOW)
        wait_for(lambda: client.related(ITEMS[0]).version == "v0001", 5)
        assert_related(client.related(ITEMS[0], MOST_RELATED), DAY)


def test_a_version_that_has_lost_related_items_is_not_served(shop: Settings, api: Caller) -> None:
    publish_new(shop, NEXT_DAY)
    redis_of(shop).hdel(names.related_key("v0002"), ITEMS[0])
    with (
        running_api(shop) as another,
        Foretaste(f"http://127.0.0.1:{another.port}", another.key, timeout=5) as client,
    ):
        found = client.related(ITEMS[0], MOST_RELATED)
        assert (found.version, found.fallback) == ("v0001", "version_not_whole")
        assert_related(found, DAY)


def assert_related(found: Related, day: date) -> None:
    assert found.day == str(day)
    assert [item.item_id for item in found.items] == [other for other, _ in related(ITEMS[0], day)]
    assert {item.title for item in found.items} == {f"{item.item_id} of {day}" for item in found.items}


def test_a_stranger_and_who_has_withdrawn_consent_get_popular_items_and_are_told_why(
    shop: Settings, api: Caller
) -> None:
    stranger = api.decide("nobody", count=3)
    assert (stranger["source"], stranger["fallback"]) == ("popular", "unknown_user")
    assert shown(stranger) == ITEMS[-3:][::-1]  # popularity rises with the number
    redis_of(shop).hset(names.CONSENT_KEY, digest_of_user("u0007"), NEVER)
    withdrawn = api.decide("u0007", count=3)
    assert (withdrawn["source"], withdrawn["fallback"]) == ("popular", "consent")
    assert withdrawn["why"] == "consent was withdrawn"
    assert shown(withdrawn) == shown(stranger)
    assert api.decide("u0008")["source"] == "personal"


def test_a_rollback_is_served_within_a_second(shop: Settings, api: Caller) -> None:
    publish_new(shop, NEXT_DAY)
    assert wait_for(lambda: api.decide("u0001")["version"] == "v0002", 5) < 1
    begun = time.monotonic()
    rollback(shop, None, NOW)
    wait_for(lambda: api.decide("u0001")["version"] == "v0001", 5)
    assert time.monotonic() - begun < 1
    assert_is_whole(api.decide("u0001"), 1)


def test_no_answer_mixes_two_versions_while_versions_come_and_go(shop: Settings, api: Caller) -> None:
    problems: list[str] = []
    answers: list[tuple[str, str]] = []
    is_over = threading.Event()

    def read(first: int) -> None:
        user = first
        with api.another() as caller:
            while not is_over.is_set():
                user = (user + 7) % NUM_USERS
                decision = caller.decide(f"u{user:04d}")
                answers.append((decision["version"], decision["source"]))
                try:
                    assert_is_whole(decision, user)
                except AssertionError as error:
                    problems.append(str(error))

    readers = [threading.Thread(target=read, args=(first,)) for first in range(4)]
    for reader in readers:
        reader.start()
    for number in range(1, 6):
        publish_new(shop, DAY + timedelta(days=number))
        if number % 2 == 0:
            rollback(shop, None, NOW)
        time.sleep(0.2)
    is_over.set()
    for reader in readers:
        reader.join()
    assert problems == []
    assert {source for _, source in answers} == {"personal"}
    assert len({version for version, _ in answers}) >= 5
    assert len(answers) > 500


def test_a_version_that_is_not_whole_is_not_served(shop: Settings, api: Caller) -> None:
    publish_new(shop, NEXT_DAY)
    wait_for(lambda: api.decide("u0001")["version"] == "v0002", 5)
    store, pointer = redis_of(shop), live(shop)
    lost = names.lists_key("v0002", names.bucket_of("u0001", pointer.num_buckets))
    kept = store.dump(lost)
    store.delete(lost)
    store.set(names.LIVE_POINTER, pointer.to_json().replace('"fence": ', '"fence": 1'))
    wait_for(lambda: api.decide("u0001")["version"] == "v0001", 5)
    decision = api.decide("u0001")
    assert (decision["version"], decision["source"], decision["fallback"]) == (
        "v0001",
        "previous",
        "version_not_whole",
    )
    assert_is_whole(decision, 1)
    assert "v0002 holds" in api.health()["reasons"][0]
    store.restore(lost, 0, kept)
    wait_for(lambda: api.decide("u0001")["version"] == "v0002", 5)
    assert api.decide("u0001")["source"] == "personal"


def test_health_turns_degraded_when_the_version_is_older_than_its_limit(shop: Settings) -> None:
    publish_new(shop, DAY)  # it says NOW, which is long ago
    with running_api(shop, FORETASTE_VERSION_MAX_AGE_HOURS="1") as api:
        health = api.health()
    assert (health["status"], health["version"]) == ("degraded", "v0001")
    assert "more than 1 are too many" in health["reasons"][0]


def test_a_store_that_would_forget_lists_is_refused_at_the_start(shop: Settings) -> None:
    store = redis_of(shop)
    store.config_set("maxmemory-policy", "allkeys-lru")
    try:
        process = start_api(shop, free_port())
        told, _ = process.communicate(timeout=20)
    finally:
        store.config_set("maxmemory-policy", "noeviction")
    assert process.returncode == 1
    assert "maxmemory-policy is allkeys-lru" in told
    assert "CONFIG SET maxmemory-policy noeviction" in told


def test_what_was_shown_and_what_followed_become_a_delivery_of_the_feed(
    shop: Settings, api: Caller, tmp_path: Path
) -> None:
    decision = api.decide("u0007", count=3)
    now, item = datetime.now(UTC), decision["items"][1]["item_id"]
    clicked = {
        "event_id": "e1", "event_type": "view", "user_id": "u0007", "item_id": item,
        "occurred_at": now.isoformat(), "decision_id": decision["decision_id"],
    }  # fmt: skip
    assert [api.ask("POST", "/v1/events", clicked)[0] for _ in range(2)] == [202, 202]
    settings = shop.model_copy(update={"feed": str(tmp_path / "feed")})
    (told,) = ship(settings, now.date())
    assert (told["events"], told["decisions"], told["shown"]) == (1, 1, 3)
    (file,) = (tmp_path / "feed").rglob("events.csv.gz")
    viewed, *shown_rows = csv.DictReader(gzip.decompress(file.read_bytes()).decode().splitlines())
    assert (viewed["event_type"], viewed["item_id"], viewed["decision_id"]) == (
        "view", item, decision["decision_id"],
    )  # fmt: skip
    assert [(row["item_id"], row["position"], row["decision_id"]) for row in shown_rows] == [
        (each["item_id"], str(each["position"]), decision["decision_id"]) for each in decision["items"]
    ]


def test_what_the_demo_asks_is_answered_and_its_curl_asks_the_same(shop: Settings, api: Caller) -> None:
    published = read_published(shop)
    assert published is not None
    headers = {"Authorization": f"Bearer {api.key}"}
    with httpx.Client(base_url=f"http://127.0.0.1:{api.port}", headers=headers) as client:
        known, stranger, clicked, reported = calls(client, published, datetime.now(UTC))
        assert (known.answer["source"], stranger.answer["source"]) == ("personal", "popular")
        assert clicked.answer["fallback"] == "session_missing"  # these versions are published without a model
        assert reported.answer["accepted"] == 1
        words = shlex.split(known.curl.replace("$KEY", api.key))
        again = client.post(
            words[2], content=words[-1], headers=dict(each.split(": ") for each in words[4:7:2])
        )
        assert again.json()["items"] == known.answer["items"]
    with (
        httpx.Client(base_url=f"http://127.0.0.1:{api.port}") as client,
        pytest.raises(DemoFailed, match="POST /v1/decisions .* 401"),
    ):
        next(calls(client, published, datetime.now(UTC)))
