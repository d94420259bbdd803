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
def left_behind() -> int:
    """What a backfill is answered once the database is free again."""
    return 201


@pytest.fixture
def airflow(left_behind: int) -> Iterator[tuple[str, list[str]]]:
    """The address of an Airflow that is locked twice, in both of its ways, and the paths it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            asked.append(self.path)
            is_locked = {1: 503, 2: 500, 3: left_behind} if self.path.startswith("/api/v2/") else {}
            self.answer({"access_token": "t"}, is_locked.get(asked.count(self.path), 201))

        def do_GET(self) -> None:
            asked.append(self.path)
            told = [("2011-02-01", None), ("2011-03-01", None), ("2011-03-01", "2011-03-05")]
            self.answer(
                {
                    "backfills": [
                        {"id": number, "from_date": f"{day}T00:00:00Z", "completed_at": completed}
                        for number, (day, completed) in enumerate(told, 1)
                    ]
                }
            )

        def do_PUT(self) -> None:
            asked.append(self.path)
            self.answer({})

        def answer(self, told: dict[str, Any], status: int = 200) -> None:
            body = json.dumps(told).encode()
            self.send_response(status)
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


@pytest.mark.parametrize("left_behind", [409])
def test_a_backfill_that_a_locked_database_has_left_half_done_is_cancelled_and_asked_for_again(
    tmp_path: Path, airflow: tuple[str, list[str]]
) -> None:
    url, asked = airflow
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "airflow.password").write_text("secret\n")
    settings = load_settings(home=tmp_path, airflow_url=url)
    backfill(settings, "foretaste_daily", date(2011, 3, 1))
    paths = [path for path in asked if path != "/auth/token"]
    assert paths == [
        *["/api/v2/backfills"] * 3,
        "/api/v2/backfills?dag_id=foretaste_daily",
        "/api/v2/backfills/2/cancel",
        "/api/v2/backfills",
    ]


@pytest.mark.parametrize("left_behind", [409])
def test_a_backfill_of_another_day_is_not_cancelled(tmp_path: Path, airflow: tuple[str, list[str]]) -> None:
    url, asked = airflow
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "airflow.password").write_text("secret\n")
    asked += ["/api/v2/backfills"] * 2
    with pytest.raises(requests.HTTPError, match="409"):
        backfill(load_settings(home=tmp_path, airflow_url=url), "foretaste_daily", date(2011, 3, 2))
    assert not any(path.endswith("/cancel") for path in asked)


def test_a_run_that_may_have_begun_is_not_triggered_again(
    tmp_path: Path, airflow: tuple[str, list[str]]
) -> None:
    url, asked = airflow
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "airflow.password").write_text("secret\n")
    with pytest.raises(requests.HTTPError, match="503"):
        trigger(load_settings(home=tmp_path, airflow_url=url), "foretaste_daily", {})
    assert asked == ["/auth/token", "/api/v2/dags/foretaste_daily/dagRuns"]
