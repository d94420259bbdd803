"""The application without a store: keys, routes, limits and problems; nothing known is 503 with Retry-After."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from contracts.api_keys import ADMIN, DECIDE, SCOPES
from contracts.decisions import Decision, DecisionRequest
from contracts.settings import load_settings
from serving.app import App, Extension
from serving.exchange import Answer, Route
from serving.snapshot import Snapshot
from tests.serving_shop import ask, bundle, write_key

ASKED = {"surface": "home", "user_id": "ada"}


def app_of(home: Path, extension: Extension | None = None) -> App:
    return App(load_settings(home=home, redis_url="redis://127.0.0.1:1/0"), extension)


def run(asked: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(asked)


@pytest.mark.parametrize(
    ("path", "scope"), [("/v1/decisions", DECIDE), ("/metrics", ADMIN), ("/v1/health", None), ("/openapi.json", None)]
)  # fmt: skip
def test_a_route_is_open_to_its_scope_alone(tmp_path: Path, path: str, scope: str | None) -> None:
    app, body = app_of(tmp_path), ASKED if path == "/v1/decisions" else None
    for each in SCOPES:
        key = write_key(tmp_path, each)
        app = app_of(tmp_path)
        status, _, _ = run(ask(app, path, body, key=key))
        assert (status == 403) == (scope is not None and each != scope), each
    status, headers, _ = run(ask(app, path, body))
    assert (status == 401) == (scope is not None)
    assert ("www-authenticate" in headers) == (scope is not None)


def test_where_nothing_at_all_is_known_the_answer_says_when_to_come_back(tmp_path: Path) -> None:
    status, headers, problem = run(ask(app_of(tmp_path), "/v1/decisions", ASKED, key=write_key(tmp_path)))
    assert (status, headers["retry-after"]) == (503, "1")
    assert headers["content-type"] == "application/problem+json"
    assert "no version was ever seen" in problem["detail"]
    status, _, health = run(ask(app_of(tmp_path), "/v1/health"))
    assert (status, health["status"]) == (503, "unavailable")


def test_a_restarted_process_without_a_store_answers_from_its_disk(tmp_path: Path) -> None:
    Snapshot(tmp_path / "serving" / "snapshot").write(bundle())
    key = write_key(tmp_path)

    async def asked() -> Any:
        app = app_of(tmp_path)
        await app._published.start()
        return await ask(app, "/v1/decisions", {**ASKED, "count": 2}, key=key), await ask(app, "/v1/health")

    (status, _, decision), (_, _, health) = run(asked())
    assert (status, decision["source"], decision["fallback"]) == (200, "snapshot", "store_away")
    assert [item["item_id"] for item in decision["items"]] == ["i0", "i1"]
    assert health["status"] == "degraded"
    assert "away" in health["reasons"][0]


@pytest.mark.parametrize("is_logged", [True, False])
def test_an_answer_says_whether_it_was_logged(tmp_path: Path, is_logged: bool) -> None:
    Snapshot(tmp_path / "serving" / "snapshot").write(bundle())
    key, recorded = write_key(tmp_path), []

    async def record(request: DecisionRequest, decision: Decision, now: datetime) -> bool:
        recorded.append((request.user_id, decision.decision_id))
        return is_logged

    async def asked() -> Any:
        app = app_of(tmp_path, Extension(record=record))
        await app._published.start()
        return await ask(app, "/v1/decisions", ASKED, key=key)

    _, _, decision = run(asked())
    assert decision["is_logged"] is is_logged
    assert recorded == [("ada", decision["decision_id"])]


@pytest.mark.parametrize(
    ("path", "body", "headers", "status"),
    [
        ("/v1/nothing", None, {}, 404),
        ("/v1/decisions/../health", None, {}, 404),
        ("/v1/decisions", None, {}, 405),
        ("/v1/health", {}, {}, 405),
        ("/v1/decisions", ASKED, {"content_type": "text/plain"}, 415),
        ("/v1/decisions", {"surface": "home"}, {}, 422),
        ("/v1/decisions", {**ASKED, "anonymous_id": "x"}, {}, 422),
        ("/v1/decisions", b" " * 17_000, {}, 413),
    ],
)
def test_it_is_refused_with_a_way_out(
    tmp_path: Path, path: str, body: Any, headers: dict[str, str], status: int
) -> None:
    key = write_key(tmp_path)
    found, told, problem = run(ask(app_of(tmp_path), path, body, key=key, **headers))
    assert (found, told["content-type"]) == (status, "application/problem+json")
    assert problem["status"] == status
    assert problem["hint"]


def test_json_may_name_its_character_set(tmp_path: Path) -> None:
    key = write_key(tmp_path)
    status, _, _ = run(
        ask(app_of(tmp_path), "/v1/decisions", ASKED, key=key, content_type="Application/JSON; charset=utf-8")
    )
    assert status == 503


def test_a_body_that_does_not_come_is_waited_for_no_longer_than_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.exchange._BODY_TIMEOUT", 0.05)
    key, sent = write_key(tmp_path), []

    async def never() -> Any:
        await asyncio.sleep(60)

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http", "method": "POST", "path": "/v1/decisions",
        "headers": [(b"content-type", b"application/json"), (b"authorization", f"Bearer {key}".encode())],
    }  # fmt: skip
    run(app_of(tmp_path)(scope, never, send))
    assert sent[0]["status"] == 408


def test_a_fault_of_ours_is_an_answer_that_tells_nothing_of_it(tmp_path: Path, caplog: Any) -> None:
    async def fail(body: bytes) -> Answer:
        raise RuntimeError("secret of the inside")

    more = Route("more", "GET", "Fails.", None, fail, {HTTPStatus.OK: ("", "text/plain", str)})
    app = app_of(tmp_path, Extension({"/v1/more": more}))
    status, _, problem = run(ask(app, "/v1/more"))
    assert status == 500
    assert "secret" not in str(problem)
    assert "secret of the inside" in caplog.text


def test_figures_count_answers_and_decisions(tmp_path: Path) -> None:
    Snapshot(tmp_path / "serving" / "snapshot").write(bundle())
    key = write_key(tmp_path)

    async def asked() -> str:
        app = app_of(tmp_path)
        await app._published.start()
        await ask(app, "/v1/decisions", ASKED, key=key)
        await ask(app, "/nothing", key=key)
        return str((await ask(app, "/metrics", key=key))[2])

    told = run(asked())
    for line in (
        'foretaste_requests_total{route="/v1/decisions",status="200"} 1.0',
        'foretaste_requests_total{route="unknown",status="404"} 1.0',
        'foretaste_decisions_total{fallback="store_away",source="snapshot"} 1.0',
        'foretaste_request_latency_seconds_count{route="/v1/decisions"} 1.0',
        "foretaste_store_up 0.0",
        "foretaste_version_age_seconds ",
    ):
        assert line in told, line
