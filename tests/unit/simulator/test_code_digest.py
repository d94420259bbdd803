"""What code a measurement was made with."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from simulator.code_digest import code_digest
from simulator.command import REPOSITORY


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A part of the repository."""
    for folder in ("expectations", "models", "dbt_project", "jobs/report_pages"):
        shutil.copytree(REPOSITORY / folder, tmp_path / folder)
    return tmp_path


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("expectations/drift.toml", "settle_days = 42", "settle_days = 41"),
        ("models/training.py", "batch_size: int = 32", "batch_size: int = 33"),
        ("dbt_project/models/marts/fct_interactions.sql", "select", "select distinct"),
    ],
)
def test_what_decides_changes_it(copy: Path, name: str, old: str, new: str) -> None:
    before = code_digest(copy)
    edit(copy / name, old, new)
    assert code_digest(copy) != before


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("expectations/drift.toml", "# ", "# And "),
        ("models/training.py", "# histories", "# so many"),
        ("models/training.py", '"""Training a sequence model', '"""To train a sequence model'),
        ("jobs/report_pages/base.html.j2", "<", " <"),
    ],
)
def test_what_is_told_does_not(copy: Path, name: str, old: str, new: str) -> None:
    before = code_digest(copy)
    edit(copy / name, old, new)
    assert code_digest(copy) == before
