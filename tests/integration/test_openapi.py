"""The document of the API is true: what it allows is answered as it says, what it does not allow is refused."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, assume, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance

from contracts.settings import load_settings
from serving.app import App
from serving.snapshot import Snapshot
from tests.serving_process import Caller, running_api
from tests.serving_shop import ask, bundle

pytestmark = pytest.mark.integration

RELATED = "/v1/items/{item_id}/related"
PATHS = {
    "/v1/decisions": "POST",
    "/v1/events": "POST",
    RELATED: "GET",
    "/v1/health": "GET",
    "/metrics": "GET",
    "/openapi.json": "GET",
}
#: Requests that are made up for each operation, of what is allowed and of what is not.
EXAMPLES = 150
#: Of a body, well below what the API takes.
MOST_BYTES = 12 << 10


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Caller]:
    """A process of its own that knows a version from its disk alone."""
    home = tmp_path_factory.mktemp("home")
    Snapshot(home / "serving" / "snapshot").write(bundle())
    with running_api(load_settings(home=home, redis_url="redis://127.0.0.1:1/0")) as caller:
        yield caller


def test_the_document_names_every_route(tmp_path: Path) -> None:
    app = App(load_settings(home=tmp_path, redis_url="redis://127.0.0.1:1/0"))
    _, _, told = asyncio.run(ask(app, "/openapi.json"))
    assert {path: next(iter(methods)).upper() for path, methods in told["paths"].items()} == PATHS
    assert set(app._exchange._routes) == PATHS.keys()
    assert told["openapi"] == "3.1.0"


@pytest.mark.parametrize(
    ("path", "mode"),
    [
        # What goes with an item is not remembered on the disk: tests/integration/test_serving.py asks where it is known.
        *((path, GenerationMode.POSITIVE) for path in PATHS if path != RELATED),
        ("/v1/decisions", GenerationMode.NEGATIVE),
    ],
)
def test_no_request_is_answered_otherwise_than_documented(
    api: Caller, path: str, mode: GenerationMode
) -> None:
    operation = schemathesis.openapi.from_url(f"http://127.0.0.1:{api.port}/openapi.json")[path][PATHS[path]]
    statuses = set[int]()
    asked = {"Authorization": f"Bearer {api.key}"}

    @settings(
        max_examples=EXAMPLES if PATHS[path] == "POST" else 10, deadline=None, database=None,
        suppress_health_check=[*HealthCheck],
    )  # fmt: skip
    @given(operation.as_strategy(generation_mode=mode))
    def check(case: Case) -> None:
        assume(len(repr(case.body).encode()) < MOST_BYTES)  # what is longer gets 413, whatever it says
        # An event may be of another time than now, which a schema cannot say.
        skipped = [positive_data_acceptance] if path == "/v1/events" else []
        statuses.add(case.call_and_validate(headers=asked, excluded_checks=skipped).status_code)

    check()
    assert (200 if mode is GenerationMode.POSITIVE and path != "/v1/events" else 422) in statuses
    assert max(statuses) < 500
