"""Fixtures that several levels share: all literal and small."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import sys
import tempfile
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from hypothesis.configuration import set_hypothesis_home_dir

REPOSITORY = Path(__file__).resolve().parent.parent


def pytest_configure(config: pytest.Config) -> None:
    """Whatever tests write lies in the home folder's ``tests``, which is gone after a run without failures."""
    home = Path(os.environ.get("FORETASTE_HOME") or REPOSITORY / ".foretaste").absolute()
    folder = home / "tests"
    folder.mkdir(parents=True, exist_ok=True)
    os.environ["PYTEST_DEBUG_TEMPROOT"] = os.environ["TMPDIR"] = tempfile.tempdir = str(folder)
    set_hypothesis_home_dir(folder / "hypothesis")
    # Airflow writes its configuration where this points as soon as it is imported: not to people's homes.
    os.environ["AIRFLOW_HOME"] = tempfile.mkdtemp(prefix="airflow-")
    if hasattr(config, "workerinput"):  # one of several processes: the first of them tidies up
        # They are started without a main module, in which PySpark sees its own doctests, and ends.
        sys.modules["__main__"].__spec__ = importlib.util.find_spec("pytest.__main__")
    else:
        config.add_cleanup(lambda: _tidy(home, folder))
    # What is added last is done first: the folder can go once this has.
    config.add_cleanup(lambda: shutil.rmtree(os.environ["AIRFLOW_HOME"], ignore_errors=True))


def _tidy(home: Path, folder: Path) -> None:
    """Remove what this run has made; what failed tests have left stays to be looked at."""
    shutil.rmtree(folder / "hypothesis", ignore_errors=True)
    for empty in (*folder.glob("pytest-of-*"), *folder.glob("torchinductor_*"), folder, home):
        with contextlib.suppress(OSError):
            empty.rmdir()


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
