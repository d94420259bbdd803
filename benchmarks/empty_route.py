"""The least that an application can do under the API's server: read a body, answer ``{}``. The reference of serve.precomputed."""

from __future__ import annotations

import sys

from serving.__main__ import server
from serving.exchange import Scope, Transport


class EmptyRoute:
    """Answers whatever is asked."""

    async def __rsgi__(self, scope: Scope, transport: Transport) -> None:
        await transport()
        transport.response_bytes(200, [("content-type", "application/json")], b"{}")


def create() -> EmptyRoute:
    """The application, as the server wants it."""
    return EmptyRoute()


if __name__ == "__main__":
    server("benchmarks.empty_route:create", "127.0.0.1", int(sys.argv[1])).serve()
