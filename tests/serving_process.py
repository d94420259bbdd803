"""The API as a process of its own, asked over its port as a shop asks it."""

from __future__ import annotations

import http.client
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from contracts.settings import Settings
from tests.serving_shop import write_key

REPOSITORY = Path(__file__).resolve().parent.parent


class Caller(AbstractContextManager["Caller"]):
    """Keeps one connection to the API."""

    def __init__(self, port: int, key: str) -> None:
        self.port, self.key = port, key
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)

    def another(self) -> Caller:
        """With the same key over a connection of its own."""
        return Caller(self.port, self.key)

    def __exit__(self, *exception: object) -> None:
        self._connection.close()

    def decide(self, user_id: str, count: int = 10, surface: str = "home") -> dict[str, Any]:
        body = {"surface": surface, "user_id": user_id, "count": count}
        status, answer = self.ask("POST", "/v1/decisions", body)
        assert status == 200, answer
        found: dict[str, Any] = json.loads(answer)
        return found

    def health(self) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self.ask("GET", "/v1/health")[1])
        return answer

    def decisions_within(self, seconds: float) -> tuple[int, int]:
        """How many decisions took the process at most so long, and how many there were."""
        told = self.ask("GET", "/metrics")[1].decode()
        counts = {
            border: int(float(count))
            for border, count in re.findall(
                r'^foretaste_request_latency_seconds_bucket{le="(.+?)",route="/v1/decisions"} (.+)$',
                told,
                re.MULTILINE,
            )
        }
        return counts[str(seconds)], counts["+Inf"]

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> tuple[int, bytes]:
        headers = {"content-type": "application/json", "authorization": f"Bearer {self.key}"}
        self._connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = self._connection.getresponse()
        return answer.status, answer.read()


def start_api(settings: Settings, port: int, **given: str) -> subprocess.Popen[str]:
    """The process, as it is started by `foretaste serve`."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("FORETASTE_")}
    told = {
        "FORETASTE_HOME": str(settings.home), "FORETASTE_API_PORT": str(port), "FORETASTE_API_RATE_LIMIT": "100000",
        "FORETASTE_REDIS_URL": settings.redis_url.get_secret_value(), **given,
    }  # fmt: skip
    return subprocess.Popen(
        [sys.executable, "-m", "serving"], cwd=REPOSITORY, env={**clean, **told}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip


@contextmanager
def running_api(settings: Settings, **given: str) -> Iterator[Caller]:
    """The API with a key of every scope, for as long as the body runs."""
    port, key = free_port(), write_key(settings.home)
    process = start_api(settings, port, **given)
    try:
        wait_for(lambda: _listens(port), 20)
        with Caller(port, key) as caller:
            yield caller
    finally:
        process.terminate()
        process.communicate(timeout=20)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(is_so: Any, seconds: float) -> float:
    """How long it took until it was so."""
    begun = time.monotonic()
    while not is_so():
        assert time.monotonic() - begun < seconds
        time.sleep(0.01)
    return time.monotonic() - begun


def _listens(port: int) -> bool:
    with socket.socket() as caller:
        return caller.connect_ex(("127.0.0.1", port)) == 0
