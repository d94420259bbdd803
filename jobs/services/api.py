"""The decision API as a server of ours: a process of its own, which reads what it needs in the home folder."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from contracts.settings import Settings
from jobs.services.ports import LOOPBACK, Ports
from jobs.services.server import Process, Server, answers


def api(settings: Settings, ports: Ports, given: Mapping[str, str], redis_url: str) -> Server:
    """One process of the API.

    Args:
        given: settings that it has to see beside those in the files of the home folder.
        redis_url: of the online store, which it reads there as well: with another one it is started again.
    """
    port = ports.named("api_port")
    process = Process(
        name="api",
        command=(sys.executable, "-m", "serving"),
        environment={**given, "FORETASTE_API_HOST": LOOPBACK, "FORETASTE_API_PORT": str(port)},
        configuration=redis_url,
        is_ready=lambda: answers(port, "/v1/health")[0] in (200, 503),  # 503 while nothing has been published
        timeout=30,
    )
    url = f"http://{LOOPBACK}:{port}"
    told = "keys: foretaste keys create"
    return Server(
        name="api", processes=(process,), url=url, login=told, public_login=told, publishes={"api_url": url}
    )
