"""The report pages and dbt's docs, served as plain files."""

from __future__ import annotations

import sys

from contracts.settings import Settings
from jobs.services.ports import LOOPBACK, Ports
from jobs.services.server import Process, Server, answers


def pages(settings: Settings, ports: Ports) -> Server:
    """A static file server for ``HOME/reports``."""
    port = ports.named("reports_port")
    settings.reports_path.mkdir(parents=True, exist_ok=True)
    process = Process(
        name="reports",
        command=(
            *(sys.executable, "-m", "http.server", str(port), "--bind", LOOPBACK),
            *("--directory", str(settings.reports_path)),
        ),
        is_ready=lambda: answers(port)[0] == 200,
        timeout=30,
    )
    url = f"http://{LOOPBACK}:{port}"
    return Server(name="reports", processes=(process,), url=url, publishes={"reports_url": url})
