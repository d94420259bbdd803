"""A load of HTTP requests from a process of its own: ``python -m benchmarks.http_load``, as wrk would make it.

It keeps so many connections busy, each with one request at a time, reads every answer whole, and prints JSON: requests
a second, percentiles of latency in milliseconds, and how many requests got no 200. Bodies come from standard input, one a
line. Written for this purpose, as no load generator comes with the lock: what it takes of the second core is the same for
every server that is measured.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Sequence
from functools import partial
from itertools import cycle
from typing import cast

import uvloop

_END = b"\r\n\r\n"
_LENGTH = b"content-length: "


class Connection(asyncio.Protocol):
    """Sends one request after the other and notes how long each took."""

    def __init__(self, requests: Sequence[bytes], first: int) -> None:
        self._requests = cycle([*requests[first:], *requests[:first]])
        self._received = bytearray()
        self._transport: asyncio.Transport | None = None
        self.seconds: list[float] = []
        self.num_refused = self.num_broken = 0
        self._is_over = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none of asyncio's class
        self._ask()

    def _ask(self) -> None:
        assert self._transport is not None
        self._asked_at = time.perf_counter()
        self._transport.write(next(self._requests))

    def data_received(self, data: bytes) -> None:
        received = self._received
        received += data
        end = received.find(_END)
        if end < 0:
            return
        head = bytes(received[:end]).lower()
        at = head.index(_LENGTH) + len(_LENGTH)
        length = int(head[at:].partition(b"\r")[0])
        if len(received) < end + len(_END) + length:
            return
        self.seconds.append(time.perf_counter() - self._asked_at)
        self.num_refused += not head.startswith(b"http/1.1 200")
        received.clear()
        if not self._is_over:
            self._ask()

    def connection_lost(self, exc: Exception | None) -> None:
        self.num_broken += not self._is_over

    def stop(self) -> None:
        """Ask no more."""
        self._is_over = True

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


async def load(
    port: int, requests: Sequence[bytes], num_connections: int, seconds: float
) -> dict[str, float]:
    """What a server bears for so long, after a second that is not counted."""
    loop = asyncio.get_running_loop()
    connections = []
    for number in range(num_connections):
        first = number * len(requests) // num_connections
        connections.append(Connection(requests, first))
        await loop.create_connection(partial(_one, connections[-1]), "127.0.0.1", port)
    await asyncio.sleep(1)
    num_before = sum(len(connection.seconds) for connection in connections)
    for connection in connections:
        connection.seconds.clear()
    begun = time.perf_counter()
    await asyncio.sleep(seconds)
    took = time.perf_counter() - begun
    latencies = sorted(each for connection in connections for each in connection.seconds)
    for connection in connections:
        connection.stop()
    await asyncio.sleep(0.3)
    for connection in connections:
        connection.close()
    return {
        "per_second": len(latencies) / took,
        "p50_ms": latencies[len(latencies) // 2] * 1e3,
        "p99_ms": latencies[len(latencies) * 99 // 100] * 1e3,
        "num_all": num_before + len(latencies),
        "failed": sum(connection.num_refused + connection.num_broken for connection in connections),
    }


def _one(connection: Connection) -> Connection:
    return connection


def request(path: str, body: str, key: str) -> bytes:
    """A POST, as bytes."""
    text = body.encode()
    head = (
        f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nauthorization: Bearer {key}\r\n"
        f"content-length: {len(text)}\r\n\r\n"
    )
    return head.encode() + text


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="benchmarks.http_load", description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("path")
    parser.add_argument("--key", default="")
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=5)
    given = parser.parse_args()
    asked = [request(given.path, line.strip(), given.key) for line in sys.stdin]
    print(json.dumps(uvloop.run(load(given.port, asked, given.connections, given.seconds))))
