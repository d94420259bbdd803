"""The document of the API is true: what it allows is answered as it says, what it does not allow is refused."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import Case, GenerationMode

from contracts.settings import load_settings
from serving.app import App
from serving.snapshot import Snapshot
from tests.serving_shop import ask, bundle, write_key

PATHS = {"/v1/decisions": "POST", "/v1/health": "GET", "/metrics": "GET", "/openapi.json": "GET"}
#: Requests that are made up for each operation, of what is allowed and of what is not.
EXAMPLES = 150


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    Snapshot(home / "serving" / "snapshot").write(bundle())
    return home


@pytest.fixture(scope="module")
def key(home: Path) -> str:
    return write_key(home)


@pytest.fixture(scope="module")
def app(home: Path) -> App:
    app = App(load_settings(home=home, redis_url="redis://127.0.0.1:1/0", api_rate_limit=1e6))
    asyncio.run(app._published.start())
    return app


def test_the_document_names_every_route(app: App) -> None:
    _, _, told = asyncio.run(ask(app, "/openapi.json"))
    assert {path: next(iter(methods)).upper() for path, methods in told["paths"].items()} == PATHS
    assert set(app._exchange._routes) == PATHS.keys()
    assert told["openapi"] == "3.1.0"


@pytest.mark.parametrize(
    ("path", "mode"),
    [*((path, GenerationMode.POSITIVE) for path in PATHS), ("/v1/decisions", GenerationMode.NEGATIVE)],
)
def test_no_request_is_answered_otherwise_than_documented(
    app: App, key: str, path: str, mode: GenerationMode
) -> None:
    operation = schemathesis.openapi.from_asgi("/openapi.json", app)[path][PATHS[path]]
    statuses = set[int]()
    asked = {"Authorization": f"Bearer {key}"}

    @settings(
        max_examples=EXAMPLES if path == "/v1/decisions" else 10, deadline=None, database=None,
        suppress_health_check=[*HealthCheck],
    )  # fmt: skip
    @given(operation.as_strategy(generation_mode=mode))
    def check(case: Case) -> None:
        statuses.add(case.call_and_validate(headers=asked).status_code)

    check()
    assert (200 if mode is GenerationMode.POSITIVE else 422) in statuses
    assert max(statuses) < 500
