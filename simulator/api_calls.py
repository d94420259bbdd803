"""A shop's calls to the running decision API, each shown as the curl that makes it, with its answer."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx

from contracts.settings import Settings
from simulator.command import DemoFailed, console, foretaste
from simulator.published import Published

#: Seconds that the API may take to serve what was published last, with all that belongs to it.
_PATIENCE = 30.0
_COUNT = 3


@dataclass(frozen=True)
class Call:
    """What was asked, and what came of it."""

    about: str
    curl: str
    answer: dict[str, Any]


def show_calls(settings: Settings, published: Published) -> None:
    """Make a key, and print a few calls with it."""
    key = foretaste(
        "keys", "create", "demo", "--scope", "decide", "--scope", "ingest", is_shown=False
    ).strip()
    console.print(
        f"\n[bold]The shop asks the API at {settings.api_url}[/bold]. KEY=$(foretaste keys create demo --scope decide --scope ingest)"
    )
    with httpx.Client(base_url=settings.api_url, headers={"Authorization": f"Bearer {key}"}) as client:
        _wait_until_well(client)
        for call in calls(client, published, datetime.fromtimestamp(time.time(), UTC)):
            console.print(f"\n   {call.about}:", markup=False)
            console.print(f"   {call.curl}", markup=False, style="bold", soft_wrap=True)
            console.print(f"   {json.dumps(call.answer, ensure_ascii=False)}", markup=False, soft_wrap=True)


def calls(client: httpx.Client, published: Published, now: datetime) -> Iterator[Call]:
    """A known user, an unknown one, one whose last clicks turn the list, and a click that is reported.

    Raises:
        DemoFailed: an answer is not what a shop needs.
    """
    users = sorted(published.lists)
    user, other = users[len(users) // 2], users[0]
    asked: dict[str, Any] = {"surface": "home", "user_id": user, "count": _COUNT}
    known = _call(client, "A known user gets a list, and what speaks for each item", "decisions", asked)
    yield known
    stranger = {"surface": "home", "anonymous_id": "a-new-cookie", "count": _COUNT}
    yield _call(client, "Whom nobody knows gets what is popular", "decisions", stranger)
    clicked = next(item for item in published.lists[other] if item not in published.lists[user])
    at = now.isoformat(timespec="seconds").replace("+00:00", "Z")
    session = [{"item_id": clicked, "event_type": "view", "occurred_at": at}]
    title = published.titles[clicked]
    yield _call(
        client, f"The same user a moment after a click on {title!r}: the list turns", "decisions", {**asked, "session": session}
    )  # fmt: skip
    first = known.answer["items"][0]["item_id"]
    event = {
        "event_id": f"demo-{at}", "event_type": "view", "user_id": user, "item_id": first, "occurred_at": at,
        "decision_id": known.answer["decision_id"],
    }  # fmt: skip
    yield _call(
        client,
        "What the user then does is reported, with the decision that it followed from",
        "events",
        event,
    )


def _call(client: httpx.Client, about: str, route: str, body: dict[str, Any]) -> Call:
    text = json.dumps(body, ensure_ascii=False)
    answer = client.post(f"/v1/{route}", content=text, headers={"Content-Type": "application/json"})
    if answer.is_error:
        raise DemoFailed(f"POST /v1/{route} {text}: {answer.status_code} {answer.text}")
    curl = (
        f'curl -s {client.base_url}/v1/{route} -H "Authorization: Bearer $KEY" -H "Content-Type: application/json" '
        f"-d '{text}'"
    )
    return Call(about, curl, answer.json())


def _wait_until_well(client: httpx.Client) -> None:
    """Until the API serves what is live with all that belongs to it; an API that does not get well is asked all the same."""
    last = time.monotonic() + _PATIENCE
    while time.monotonic() < last:
        try:
            if client.get("/v1/health").json()["status"] == "ok":
                return
        except httpx.TransportError:
            pass  # it is being started
        time.sleep(0.2)
