"""A shop's side of the API, in Python: ``from serving.client import Foretaste``. It needs httpx and msgspec, and nothing of the server."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from http import HTTPStatus
from types import TracebackType
from typing import Any, TypeVar
from urllib.parse import quote

import httpx
import msgspec

from contracts.decisions import Decision, DecisionRequest, Related
from contracts.errors import ForetasteError
from contracts.events import MOST_EVENTS, Event, EventBatch, Received, Refusal
from serving.problems import ProblemDetails

#: Tries of one batch of events; between two of them twice as long is waited as before, or as long as the API says.
_MOST_TRIES = 5
_FIRST_WAIT, _LONGEST_WAIT = 0.2, 10.0
_TRIED_AGAIN = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)
_T = TypeVar("_T")


class ApiAway(ForetasteError):
    """The API has not answered, or has said that it cannot now."""

    def __init__(self, told: str, wait: float = 0.0) -> None:
        super().__init__(told)
        self.wait = wait  # seconds until it wants to be asked again, where it said so


class RequestRefused(ForetasteError):
    """What was asked cannot be answered; asked again, it is refused again."""

    def __init__(self, details: ProblemDetails) -> None:
        where = f" ({details.field}: {details.value})" if details.field else ""
        super().__init__(f"{details.detail}{where}. {details.hint}")
        self.details = details


class Foretaste(AbstractContextManager["Foretaste"]):
    """Asks the API; threads may share it.

    Args:
        url: of the API, say http://127.0.0.1:8008.
        key: that an operator has made: ``foretaste keys create``.
        timeout: seconds that one answer is waited for: less than a page of the shop waits for its items.
        transport: that httpx goes through, where its own will not do.
    """

    def __init__(
        self, url: str, key: str, *, timeout: float = 0.5, transport: httpx.BaseTransport | None = None
    ) -> None:
        self._client = httpx.Client(
            base_url=url, headers={"authorization": f"Bearer {key}"}, timeout=timeout, transport=transport
        )

    def decide(self, surface: str, **asked: Any) -> Decision:
        """Ranked items; ``asked`` are further fields of :class:`contracts.decisions.DecisionRequest`.

        It is tried once: a page that waits is worse than one that shows what the shop would show anyway.

        Raises:
            ApiAway: show what you would show without us.
            RequestRefused: mend what it names.
        """
        return self._answer(self._post("/v1/decisions", DecisionRequest(surface, **asked)), Decision)

    def related(self, item_id: str, count: int = 10) -> Related:
        """What people take together with an item; it is tried once.

        Raises:
            ApiAway: show what you would show without us.
            RequestRefused: the item is not known, or mend what it names.
        """
        path = f"/v1/items/{quote(item_id, safe='')}/related"
        return self._answer(self._asked("GET", path, params={"count": count}), Related)

    def send(self, events: Sequence[Event]) -> Received:
        """Report what people did: every event is durable when this returns, but for those that it names as refused.

        What is not acknowledged is sent again a few times, ever more slowly; nothing counts twice.

        Raises:
            ApiAway: not all were acknowledged. Keep them, and send them again later.
            RequestRefused: mend what it names; of events that are not good the answer tells.
        """
        accepted = duplicates = 0
        conflicts: list[Refusal] = []
        refused: list[Refusal] = []
        for begin in range(0, len(events), MOST_EVENTS):
            told = self._sent(EventBatch(list(events[begin : begin + MOST_EVENTS])))
            accepted, duplicates = accepted + told.accepted, duplicates + told.duplicates
            for every, of_batch in ((conflicts, told.conflicts), (refused, told.refused)):
                every += [msgspec.structs.replace(each, index=begin + each.index) for each in of_batch]
        return Received(accepted, duplicates, tuple(conflicts), tuple(refused))

    def close(self) -> None:
        self._client.close()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _sent(self, batch: EventBatch) -> Received:
        wait = _FIRST_WAIT
        for _ in range(_MOST_TRIES - 1):
            try:
                return self._answer(self._post("/v1/events", batch), Received)
            except ApiAway as away:
                # No two clients come back at the same instant, and none sooner than it was told.
                time.sleep(max(away.wait, wait * random.uniform(0.5, 1)))  # noqa: S311
                wait = min(2 * wait, _LONGEST_WAIT)
        return self._answer(self._post("/v1/events", batch), Received)

    def _post(self, path: str, body: msgspec.Struct) -> httpx.Response:
        headers = {"content-type": "application/json"}
        return self._asked("POST", path, content=msgspec.json.encode(body), headers=headers)

    def _asked(self, method: str, path: str, **given: Any) -> httpx.Response:
        try:
            return self._client.request(method, path, **given)
        except httpx.TransportError as error:
            url = self._client.base_url
            raise ApiAway(
                f"{url} has not answered: {type(error).__name__}. Is it there? GET {url}/v1/health"
            ) from error

    def _answer(self, answer: httpx.Response, wanted: type[_T]) -> _T:
        try:
            if answer.headers.get("content-type", "") == "application/json":
                return msgspec.json.decode(answer.content, type=wanted)
            details = msgspec.json.decode(answer.content, type=ProblemDetails)
        except msgspec.DecodeError as error:
            raise ApiAway(
                f"{answer.url} answered {answer.status_code}, and not as Foretaste does: does something stand in between?"
            ) from error
        if answer.status_code in _TRIED_AGAIN or answer.is_server_error:
            wait = answer.headers.get("retry-after", "")
            raise ApiAway(f"{details.detail}. {details.hint}", float(wait) if wait.isdecimal() else 0.0)
        raise RequestRefused(details)
