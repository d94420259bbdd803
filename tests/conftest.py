"""Fixtures that several levels share: all literal and small."""

from __future__ import annotations

import os
import shutil
import tempfile
from datetime import date
from pathlib import Path

import numpy as np
import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


def pytest_configure(config: pytest.Config) -> None:
    """Airflow writes its configuration where AIRFLOW_HOME points as soon as it is imported: not to people's homes."""
    os.environ["AIRFLOW_HOME"] = tempfile.mkdtemp(prefix="foretaste-airflow-")
    config.add_cleanup(lambda: shutil.rmtree(os.environ["AIRFLOW_HOME"], ignore_errors=True))


@pytest.fixture
def day() -> date:
    return date(2011, 3, 1)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


@pytest.fixture
def real_data() -> Path:
    """The folder of real data sets; a test that needs it is skipped, with the reason, where it is absent."""
    folder = Path(os.environ.get("FORETASTE_DATA", REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}: set FORETASTE_DATA")
    return folder


@pytest.fixture(autouse=True)
def _no_settings_from_the_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test's settings are what the test says, whoever runs it."""
    for name in list(os.environ):
        if name.startswith("FORETASTE_") and name != "FORETASTE_DATA":
            monkeypatch.delenv(name)
