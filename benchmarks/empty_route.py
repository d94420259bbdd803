"""The least that an application can do under the API's server: read a body, answer ``{}``. The reference of serve.precomputed."""

from __future__ import annotations

import sys

from serving.__main__ import server
from serving.exchange import Receive, Scope, Send

_HEADERS = [(b"content-type", b"application/json"), (b"content-length", b"2")]


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer whatever is asked."""
    if scope["type"] != "http":
        return
    await receive()
    await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
    await send({"type": "http.response.body", "body": b"{}"})


def create() -> object:
    """The application, as the server wants it."""
    return app


if __name__ == "__main__":
    server("benchmarks.empty_route:create", "127.0.0.1", int(sys.argv[1])).serve()
