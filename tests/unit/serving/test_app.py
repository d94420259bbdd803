"""The application without a store: keys, routes, limits and problems; nothing known is 503 with Retry-After."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any, cast

import pytest

from contracts.api_keys import ADMIN, DECIDE, INGEST, SCOPES
from contracts.journal import DECISIONS, journal_folder, journal_path
from contracts.settings import load_settings
from serving.app import App
from serving.exchange import Answer, Route
from serving.published import View
from serving.snapshot import Snapshot
from tests.event_log import stored
from tests.serving_shop import NOW, Request, ask, bundle, write_key

ASKED = {"surface": "home", "user_id": "ada"}
EVENT = {
    "event_id": "e1", "user_id": "ada", "item_id": "i1", "event_type": "view",
    "occurred_at": datetime.now(UTC).isoformat(timespec="seconds"),
}  # fmt: skip


def app_of(home: Path) -> App:
    return App(load_settings(home=home, redis_url="redis://127.0.0.1:1/0"))


def run(asked: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(asked)


@pytest.mark.parametrize(
    ("path", "scope"),
    [("/v1/decisions", DECIDE), ("/v1/events", INGEST), ("/v1/items/i0/related", DECIDE), ("/metrics", ADMIN), ("/v1/health", None), ("/openapi.json", None)],
)  # fmt: skip
def test_a_route_is_open_to_its_scope_alone(tmp_path: Path, path: str, scope: str | None) -> None:
    app, body = app_of(tmp_path), {"/v1/decisions": ASKED, "/v1/events": EVENT}.get(path)
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
        await app.start()
        return await ask(app, "/v1/decisions", {**ASKED, "count": 2}, key=key), await ask(app, "/v1/health")

    (status, _, decision), (_, _, health) = run(asked())
    assert (status, decision["source"], decision["fallback"]) == (200, "snapshot", "store_away")
    assert [item["item_id"] for item in decision["items"]] == ["i0", "i1"]
    assert health["status"] == "degraded"
    assert "away" in health["reasons"][0]


def test_a_decision_is_in_the_journal_before_it_is_answered(tmp_path: Path) -> None:
    hide = {"filters": [{"name": "no-i0", "hide": {"items": ["i0"]}}]}
    Snapshot(tmp_path / "serving" / "snapshot").write(bundle(rules={"default": hide}))
    key = write_key(tmp_path)

    async def asked() -> Any:
        app = app_of(tmp_path)
        await app.start()
        assert journal_path(
            tmp_path, DECISIONS, datetime.now(UTC).date()
        ).exists()  # the first one need not wait for it
        _, _, decision = await ask(app, "/v1/decisions", ASKED, key=key)
        return decision, stored(tmp_path, datetime.now(UTC).date(), DECISIONS)

    decision, [logged] = run(asked())
    assert decision["is_logged"]
    assert decision["decision_id"].startswith(f"{decision['version']}:")
    assert decision["rules_applied"] == ["filter:no-i0"]
    for name in (
        "decision_id",
        "surface",
        "version",
        "source",
        "fallback",
        "rules_applied",
        "rules_dropped",
        "variant",
    ):
        assert logged[name] == decision[name], name
    assert logged["user_id"] == "ada"
    assert logged["items"] == [
        {name: item[name] for name in ("item_id", "position", "propensity")} for item in decision["items"]
    ]


def test_a_decision_that_cannot_be_logged_says_so_and_so_does_health(tmp_path: Path) -> None:
    Snapshot(tmp_path / "serving" / "snapshot").write(bundle())
    key = write_key(tmp_path)
    journal_folder(tmp_path).write_text("no folder")

    async def asked() -> Any:
        app = app_of(tmp_path)
        await app.start()
        answers = [
            await ask(app, "/v1/decisions", ASKED, key=key),
            await ask(app, "/v1/events", EVENT, key=key),
        ]
        return answers, await ask(app, "/v1/health"), await ask(app, "/metrics", key=key)

    [(status, _, decision), (refused, headers, problem)], (_, _, health), (_, _, figures) = run(asked())
    assert (status, decision["is_logged"]) == (200, False)
    assert (refused, headers["retry-after"]) == (503, "1")
    assert "Send the same events again" in problem["hint"]
    assert any("not logged" in reason for reason in health["reasons"])
    assert 'foretaste_logged_decisions_total{outcome="unlogged"} 1.0' in figures


def test_events_are_taken_once_and_told_of(tmp_path: Path) -> None:
    key = write_key(tmp_path)
    other, bad = {**EVENT, "item_id": "i9"}, {**EVENT, "event_id": "e2", "event_type": "stare"}

    async def asked() -> Any:
        app = app_of(tmp_path)
        await app.start()
        bodies = [EVENT, {"events": [EVENT, bad]}, other, bad, b"[]", b'{"events": [], "events": []}']
        answers = [await ask(app, "/v1/events", body, key=key) for body in bodies]
        return answers, await ask(app, "/metrics", key=key)

    answers, (_, _, figures) = run(asked())
    assert [status for status, _, _ in answers] == [202, 202, 409, 422, 400, 400]
    assert answers[0][2] == {"accepted": 1, "duplicates": 0, "conflicts": [], "refused": []}
    again = answers[1][2]
    assert (again["accepted"], again["duplicates"], again["refused"][0]["field"]) == (0, 1, "event_type")
    assert len(stored(tmp_path, datetime.now(UTC).date())) == 1
    for outcome, count in {"accepted": 1, "duplicate": 1, "conflicting": 1, "refused": 2}.items():
        assert f'foretaste_events_total{{outcome="{outcome}"}} {count}.0' in figures


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

    class Silent(Request):
        async def __call__(self) -> bytes:
            await asyncio.sleep(60)
            return b""

    key = write_key(tmp_path)
    headers = {
        "content-type": "application/json",
        "authorization": f"Bearer {key}",
        "content-length": "9",
    }
    request = Silent("POST", "/v1/decisions", headers)
    run(app_of(tmp_path).__rsgi__(request, request))
    assert request.answered is not None
    assert request.answered[0] == 408


def test_a_body_that_does_not_say_how_long_it_is_is_read_to_its_limit(tmp_path: Path) -> None:
    app, key = app_of(tmp_path), write_key(tmp_path)
    for body, status in ((ASKED, 503), (b" " * 17_000, 413)):
        found, _, _ = run(ask(app, "/v1/decisions", body, key=key, transfer_encoding="chunked"))
        assert found == status


def test_a_fault_of_ours_is_an_answer_that_tells_nothing_of_it(tmp_path: Path, caplog: Any) -> None:
    async def fail(body: bytes) -> Answer:
        raise RuntimeError("secret of the inside")

    more = Route("more", "GET", "Fails.", None, fail, {HTTPStatus.OK: ("", "text/plain", str)})
    app = app_of(tmp_path)
    cast(dict[str, Route], app._exchange._routes)["/v1/more"] = more
    status, _, problem = run(ask(app, "/v1/more"))
    assert status == 500
    assert "secret" not in str(problem)
    assert "secret of the inside" in caplog.text


def test_figures_count_answers_and_decisions(tmp_path: Path) -> None:
    Snapshot(tmp_path / "serving" / "snapshot").write(bundle())
    key = write_key(tmp_path)

    async def asked() -> str:
        app = app_of(tmp_path)
        await app.start()
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
        "foretaste_blocked_items 0.0",
        "foretaste_version_age_seconds ",
    ):
        assert line in told, line


def serving(home: Path, **changes: Any) -> App:
    """An application that holds a version in memory."""
    app = app_of(home)
    app._published.view = lambda: View(bundle(**changes), True, None, "")  # type: ignore[method-assign]
    return app


def test_what_goes_with_an_item_comes_from_one_version_and_is_counted(tmp_path: Path) -> None:
    app, key = serving(tmp_path), write_key(tmp_path)
    status, _, told = run(ask(app, "/v1/items/i0/related", key=key))
    assert (status, told["version"], told["fallback"], told["is_short"]) == (200, "v0002", None, True)
    assert told["items"] == [
        {"position": 1, "item_id": "i3", "title": "item 3", "share": 0.75},
        {"position": 2, "item_id": "i1", "title": "item 1", "share": 0.25},
    ]
    status, _, told = run(ask(app, "/v1/items/i0/related?count=1", key=key))
    assert [item["item_id"] for item in told["items"]] == ["i3"]
    assert run(ask(app, "/v1/items/i1/related", key=key))[2]["items"] == []
    figures = run(ask(app, "/metrics", key=key))[2]
    assert 'foretaste_requests_total{route="/v1/items/{item_id}/related",status="200"} 3.0' in figures


@pytest.mark.parametrize(
    ("path", "status", "field"),
    [
        ("/v1/items/nothing/related", 404, "item_id"),
        ("/v1/items/a/b/related", 404, "item_id"),
        ("/v1/items//related", 404, None),
        ("/v1/items/i0/related?count=0", 422, "count"),
        ("/v1/items/i0/related?count=ten", 422, "count"),
        ("/v1/items/i0/related?count=1&count=2", 400, "count"),
        ("/v1/items/i0/related?item_id=i1", 400, "item_id"),
        ("/v1/items/i0/related?more=1", 422, "more"),
        ("/v1/items/a\x00b/related", 422, "item_id"),
    ],
)
def test_a_question_for_related_items_is_refused_with_its_field(
    tmp_path: Path, path: str, status: int, field: str | None
) -> None:
    found, _, problem = run(ask(serving(tmp_path), path, key=write_key(tmp_path)))
    assert (found, problem.get("field")) == (status, field)
    assert problem["hint"]


def test_what_is_blocked_goes_with_nothing(tmp_path: Path) -> None:
    app = app_of(tmp_path)
    app._published.view = lambda: View(bundle().under({"i3"}, set(), NOW.timestamp()), True, None, "")  # type: ignore[method-assign]
    told = run(ask(app, "/v1/items/i0/related", key=write_key(tmp_path)))[2]
    assert [(item["position"], item["item_id"]) for item in told["items"]] == [(1, "i1")]


@pytest.mark.parametrize("is_whole", [True, False])
def test_where_nothing_of_related_items_is_known_it_says_so(tmp_path: Path, is_whole: bool) -> None:
    app = serving(tmp_path, related=None, is_whole=is_whole)
    status, headers, problem = run(ask(app, "/v1/items/i0/related", key=write_key(tmp_path)))
    assert (status, headers["retry-after"]) == (503, "1")
    assert ("published without" in problem["detail"]) == is_whole
