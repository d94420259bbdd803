"""What an operator does when Airflow's database is locked: the same again."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests

from contracts.settings import load_settings
from simulator.operator import backfill, trigger


@pytest.fixture
def airflow() -> Iterator[tuple[str, list[str]]]:
    """The address of an Airflow that is locked twice, in both of its ways, and the paths it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            asked.append(self.path)
            body = json.dumps({"access_token": "t"}).encode()
            is_locked = {1: 503, 2: 500} if self.path.startswith("/api/v2/") else {}
            self.send_response(is_locked.get(asked.count(self.path), 201))
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()


def test_a_backfill_is_asked_for_again_while_the_database_is_locked(
    tmp_path: Path, airflow: tuple[str, list[str]]
) -> None:
    url, asked = airflow
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "airflow.password").write_text("secret\n")
    backfill(load_settings(home=tmp_path, airflow_url=url), "foretaste_daily", date(2011, 3, 1))
    assert asked == ["/auth/token", *["/api/v2/backfills"] * 3]


def test_a_run_that_may_have_begun_is_not_triggered_again(
    tmp_path: Path, airflow: tuple[str, list[str]]
) -> None:
    url, asked = airflow
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "airflow.password").write_text("secret\n")
    with pytest.raises(requests.HTTPError, match="503"):
        trigger(load_settings(home=tmp_path, airflow_url=url), "foretaste_daily", {})
    assert asked == ["/auth/token", "/api/v2/dags/foretaste_daily/dagRuns"]
