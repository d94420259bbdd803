"""One request and its answer over ASGI: routes, keys, limits on the body, problems as answers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from time import perf_counter
from typing import Any, cast

from msgspec import Struct

from serving.keys import Gate
from serving.metrics import Metrics
from serving.problems import Problem

log = logging.getLogger("foretaste.serving")

JSON, PROBLEM_JSON = "application/json", "application/problem+json"
#: Seconds within which a body has to have arrived.
_BODY_TIMEOUT = 5.0
#: Requests that are answered at once; each of more would wait longer than an answer may take.
_MOST_AT_ONCE = 512

_LATE = "the body is late"
_CLOSE = {"connection": "close"}
_ALWAYS = ((b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"))

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class Answer(Struct, frozen=True, gc=False):
    """What goes back."""

    body: bytes
    status: int = HTTPStatus.OK
    content_type: str = JSON
    headers: dict[str, str] | None = None


#: What is answered with a status: in words, as which media type, and the type that is encoded.
Given = tuple[str, str, type]


@dataclass(frozen=True, slots=True)
class Route:
    """Who may ask, how much may be sent, who answers, and how that is described.

    Args:
        name: of the operation.
        scope: that a key must have; None: anybody may ask.
        takes: the types that a body may have; without any none is read.
        most_bytes: of a body.
    """

    name: str
    method: str
    summary: str
    scope: str | None
    answer: Callable[[bytes], Awaitable[Answer]]
    gives: Mapping[HTTPStatus, Given]
    takes: tuple[type, ...] = ()
    most_bytes: int = 0

    @property
    def types(self) -> set[type]:
        """What has to be described beside the route."""
        found = {*self.takes, *(type_ for _, _, type_ in self.gives.values())}
        return {type_ for type_ in found if issubclass(type_, Struct)}


class Exchange:
    """Answers requests by the table of routes."""

    def __init__(self, routes: Mapping[str, Route], gate: Gate, metrics: Metrics) -> None:
        self._routes, self._gate, self._metrics = routes, gate, metrics
        self._num_open = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = perf_counter()
        path = scope["path"]
        route = self._routes.get(path)
        self._num_open += 1
        try:
            answer = await self._answer(route, scope, receive)
        except Problem as problem:
            answer = _told(problem)
        except Exception:  # the outer edge: whoever asks gets an answer, and we the trace
            log.exception("request_failed path=%s", ascii(path)[:200])
            answer = _told(
                Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "this is a fault of ours", "Look at the API's log.")
            )
        finally:
            self._num_open -= 1
        await _send(send, answer)
        self._metrics.answered(path if route else "unknown", answer.status, perf_counter() - begun)

    async def _answer(self, route: Route | None, scope: Scope, receive: Receive) -> Answer:
        if route is None:
            raise Problem(
                HTTPStatus.NOT_FOUND, "there is no such route", "See /openapi.json for those that there are."
            )
        if scope["method"] != route.method:
            raise Problem(
                HTTPStatus.METHOD_NOT_ALLOWED,
                f"this route takes {route.method} alone",
                "See /openapi.json.",
                headers={"allow": route.method},
            )
        if route.scope is None:
            return await route.answer(b"")
        if self._num_open > _MOST_AT_ONCE:
            raise Problem(
                HTTPStatus.SERVICE_UNAVAILABLE,
                f"{_MOST_AT_ONCE} requests are being answered already",
                "Ask again after the seconds of Retry-After, or start a further process.",
                headers={"retry-after": "1"},
            )
        headers = scope["headers"]
        self._gate.admit(_header(headers, b"authorization"), route.scope)
        if not route.takes:
            return await route.answer(b"")
        if _header(headers, b"content-type").partition(";")[0].strip().lower() != JSON:
            raise Problem(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
                "the body is not said to be JSON",
                f"Send the header Content-Type: {JSON}",
            )
        return await route.answer(await _body(receive, route.most_bytes))


def _told(problem: Problem) -> Answer:
    return Answer(problem.body(), problem.status, PROBLEM_JSON, problem.headers)


def _header(headers: Any, name: bytes) -> str:
    for each, value in headers:
        if each == name:
            found: str = value.decode("latin-1")
            return found
    return ""


async def _body(receive: Receive, most_bytes: int) -> bytes:
    """The body of a request; the timer is set by hand, as asyncio.timeout takes a tenth of an answer's time."""
    task = asyncio.current_task()
    assert task is not None
    late = asyncio.get_running_loop().call_later(_BODY_TIMEOUT, task.cancel, _LATE)
    body = b""
    try:
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Problem(HTTPStatus.BAD_REQUEST, "the body broke off", "Send it whole.")
            body += cast("bytes", message.get("body", b""))
            if len(body) > most_bytes:
                raise Problem(
                    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                    f"the body is larger than {most_bytes:,} bytes",
                    "Send less at once.",
                    headers=_CLOSE,
                )
            if not message.get("more_body"):
                return body
    except asyncio.CancelledError as error:
        if error.args != (_LATE,):
            raise
        raise Problem(
            HTTPStatus.REQUEST_TIMEOUT,
            f"the body did not arrive within {_BODY_TIMEOUT:g} seconds",
            "Send it whole.",
            headers=_CLOSE,
        ) from error
    finally:
        late.cancel()


async def _send(send: Send, answer: Answer) -> None:
    headers = [
        (b"content-type", answer.content_type.encode()),
        (b"content-length", b"%d" % len(answer.body)),
        *_ALWAYS,
        *((name.encode(), value.encode()) for name, value in (answer.headers or {}).items()),
    ]
    await send({"type": "http.response.start", "status": int(answer.status), "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})
