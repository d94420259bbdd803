"""The client asks again what may be asked again, never sooner than it is told, and says what is wrong otherwise."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import msgspec
import pytest

from contracts.events import MOST_EVENTS, Event, Received, Refusal
from serving.client import ApiAway, Foretaste, RequestRefused
from serving.problems import ProblemDetails

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds between tries."""
    found: list[float] = []
    monkeypatch.setattr("serving.client.time.sleep", found.append)
    return found


def client(*answers: httpx.Response | Exception) -> tuple[Foretaste, list[httpx.Request]]:
    """A client to which these answers are given in turn, and what it asked."""
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        found = answers[len(asked) - 1]
        if isinstance(found, Exception):
            raise found
        return found

    return Foretaste("http://api", "ft_key", transport=httpx.MockTransport(answer)), asked


def problem(status: int, **headers: str) -> httpx.Response:
    details = ProblemDetails("urn:x", "Wrong", status, "it is wrong", "Mend it.", "count", "0")
    given = {"content-type": "application/problem+json"}
    given |= {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(status, content=msgspec.json.encode(details), headers=given)


def received(*conflicts: int, accepted: int = 1, status: int = 202) -> httpx.Response:
    told = tuple(Refusal(index, f"e{index}", "event_id", "", "another", "mend it") for index in conflicts)
    headers = {"content-type": "application/json"}
    return httpx.Response(
        status, content=msgspec.json.encode(Received(accepted, 0, told, ())), headers=headers
    )


def event(number: int) -> Event:
    return Event(event_id=f"e{number}", item_id="i1", event_type="view", occurred_at=NOW, user_id="ada")


def test_events_are_sent_again_until_they_are_acknowledged(waits: list[float]) -> None:
    shop, asked = client(httpx.ReadTimeout("late"), problem(503), received())
    assert shop.send([event(1)]).accepted == 1
    assert len({request.content for request in asked}) == 1
    assert asked[0].headers["authorization"] == "Bearer ft_key"
    assert 0 < waits[0] < 2 * waits[1]


def test_nobody_is_asked_sooner_than_told(waits: list[float]) -> None:
    shop, _ = client(problem(429, retry_after="7"), received())
    shop.send([event(1)])
    assert waits == [7.0]


def test_a_retry_ends(waits: list[float]) -> None:
    shop, asked = client(*[problem(503)] * 9)
    with pytest.raises(ApiAway, match="Mend it"):
        shop.send([event(1)])
    assert len(asked) == 5
    assert waits == sorted(waits)


def test_many_events_go_in_several_requests_and_are_told_of_by_where_they_stood(waits: list[float]) -> None:
    shop, asked = client(received(accepted=MOST_EVENTS), received(2, accepted=9))
    told = shop.send([event(number) for number in range(MOST_EVENTS + 10)])
    assert [len(msgspec.json.decode(request.content)["events"]) for request in asked] == [MOST_EVENTS, 10]
    assert (told.accepted, [each.index for each in told.conflicts]) == (MOST_EVENTS + 9, [MOST_EVENTS + 2])
    assert waits == []


def test_a_request_in_which_no_event_is_good_is_told_of_and_not_sent_again(waits: list[float]) -> None:
    shop, asked = client(received(0, accepted=0, status=409))
    assert [each.event_id for each in shop.send([event(0)]).conflicts] == ["e0"]
    assert len(asked) == 1


@pytest.mark.parametrize("ask", [lambda shop: shop.decide("home"), lambda shop: shop.send([event(1)])])
def test_what_is_refused_names_the_field_and_the_way_out(
    ask: Callable[[Foretaste], Any], waits: list[float]
) -> None:
    shop, asked = client(problem(422))
    with pytest.raises(RequestRefused, match=r"it is wrong \(count: 0\). Mend it."):
        ask(shop)
    assert (len(asked), waits) == (1, [])


@pytest.mark.parametrize(
    "answer", [httpx.ConnectError("no"), problem(503, retry_after="1"), httpx.Response(502, text="<html>")]
)
def test_a_decision_is_tried_once(answer: httpx.Response | Exception, waits: list[float]) -> None:
    shop, asked = client(answer)
    with pytest.raises(ApiAway):
        shop.decide("home", user_id="ada")
    assert (len(asked), waits) == (1, [])
