"""One request and its answer over RSGI, granian's own interface: routes, keys, limits on the body, problems as answers."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from time import perf_counter
from typing import Any, Protocol

from granian.rsgi import ProtocolClosed, ProtocolError  # type: ignore[attr-defined]  # it has no __all__
from msgspec import Struct

from serving.keys import Gate
from serving.metrics import Metrics
from serving.problems import Problem
from serving.strict_json import decode_parameters

log = logging.getLogger("foretaste.serving")

JSON, PROBLEM_JSON = "application/json", "application/problem+json"
#: Seconds within which a body has to have arrived.
_BODY_TIMEOUT = 5.0
#: Requests that are answered at once; each of more would wait longer than an answer may take.
_MOST_AT_ONCE = 512

_LATE = "the body is late"
_CLOSE = {"connection": "close"}
_ALWAYS = (("cache-control", "no-store"), ("x-content-type-options", "nosniff"))
_PARAMETER = re.compile(r"\{(\w+)\}")
_BROKEN_OFF = (ProtocolClosed, ProtocolError)


class Headers(Protocol):
    """Of a request; names in lower case."""

    def get(self, name: str, otherwise: str, /) -> str: ...


class Scope(Protocol):
    """What a request asks, without its body."""

    @property
    def proto(self) -> str: ...
    @property
    def method(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def query_string(self) -> str: ...
    @property
    def headers(self) -> Headers: ...


class Transport(Protocol):
    """The body of a request, at once or piece by piece, and the way back."""

    def __call__(self) -> Awaitable[bytes]: ...
    def __aiter__(self) -> AsyncIterator[bytes]: ...
    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes, /) -> None: ...


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
        asks: the type that the parameters of the path and of the query make; None: there are none.
        most_bytes: of a body.
    """

    name: str
    method: str
    summary: str
    scope: str | None
    answer: Callable[[Any], Awaitable[Answer]]  # asked with what the parameters make, or else the body
    gives: Mapping[HTTPStatus, Given]
    takes: tuple[type, ...] = ()
    asks: type | None = None
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
        self._with_parameters = {
            path: re.compile(_PARAMETER.sub(r"(?P<\1>.+)", path)) for path in routes if "{" in path
        }
        self._num_open = 0

    async def __call__(self, scope: Scope, transport: Transport) -> None:
        begun = perf_counter()
        path, of_path = self._found(scope.path)
        route = self._routes.get(path)
        self._num_open += 1
        try:
            answer = await self._answer(route, of_path, scope, transport)
        except Problem as problem:
            answer = _told(problem)
        except Exception:  # the outer edge: whoever asks gets an answer, and we the trace
            log.exception("request_failed path=%s", ascii(scope.path)[:200])
            answer = _told(
                Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "this is a fault of ours", "Look at the API's log.")
            )
        finally:
            self._num_open -= 1
        _send(transport, answer)
        self._metrics.answered(path if route else "unknown", answer.status, perf_counter() - begun)

    def _found(self, path: str) -> tuple[str, Mapping[str, str]]:
        """The path of the route that a request's path is of, and the parameters in it."""
        if path not in self._routes:
            for each, pattern in self._with_parameters.items():
                if found := pattern.fullmatch(path):
                    return each, found.groupdict()
        return path, {}

    async def _answer(
        self, route: Route | None, of_path: Mapping[str, str], scope: Scope, transport: Transport
    ) -> Answer:
        if route is None:
            raise Problem(
                HTTPStatus.NOT_FOUND, "there is no such route", "See /openapi.json for those that there are."
            )
        if scope.method != route.method:
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
        headers = scope.headers
        self._gate.admit(headers.get("authorization", ""), route.scope)
        if route.asks is not None:
            return await route.answer(decode_parameters(of_path, scope.query_string, route.asks))
        if not route.takes:
            return await route.answer(b"")
        if headers.get("content-type", "").partition(";")[0].strip().lower() != JSON:
            raise Problem(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
                "the body is not said to be JSON",
                f"Send the header Content-Type: {JSON}",
            )
        return await route.answer(await _body(transport, headers, route.most_bytes))


def _told(problem: Problem) -> Answer:
    return Answer(problem.body(), problem.status, PROBLEM_JSON, problem.headers)


async def _body(transport: Transport, headers: Headers, most_bytes: int) -> bytes:
    """The body of a request; the timer is set by hand, as asyncio.timeout takes a tenth of an answer's time."""
    task = asyncio.current_task()
    assert task is not None
    late = asyncio.get_running_loop().call_later(_BODY_TIMEOUT, task.cancel, _LATE)
    try:
        length = headers.get("content-length", "")
        if length.isdecimal() and int(length) <= most_bytes:
            return await transport()
        return await _pieces(transport, most_bytes)
    except _BROKEN_OFF as error:
        raise Problem(HTTPStatus.BAD_REQUEST, "the body broke off", "Send it whole.") from error
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


async def _pieces(transport: Transport, most_bytes: int) -> bytes:
    """A body that does not say how long it is, or says that it is too long."""
    body = b""
    async for piece in transport:
        body += piece
        if len(body) > most_bytes:
            raise Problem(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f"the body is larger than {most_bytes:,} bytes",
                "Send less at once.",
                headers=_CLOSE,
            )
    return body


def _send(transport: Transport, answer: Answer) -> None:
    headers = [("content-type", answer.content_type), *_ALWAYS]
    if answer.headers:
        headers += answer.headers.items()
    with suppress(*_BROKEN_OFF):  # who asked has gone
        transport.response_bytes(answer.status, headers, answer.body)
