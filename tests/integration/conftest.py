"""The embedded stores, started once for every test that publishes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from contracts.settings import Settings
from tests.publishing import embedded_stores, fresh_home


@pytest.fixture(scope="session")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    with embedded_stores(tmp_path_factory.mktemp("stores")) as connected:
        yield connected


@pytest.fixture
def shop(stores: Settings, tmp_path: Path) -> Settings:
    """A home folder of its own, with nothing published."""
    return fresh_home(stores, tmp_path / "home")
