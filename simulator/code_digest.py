"""What code a measurement was made with: a digest that comments, docstrings and layout do not change."""

from __future__ import annotations

import ast
import hashlib
import json
import tomllib
from collections.abc import Iterator
from pathlib import Path

from simulator.command import REPOSITORY

_FOLDERS = ("contracts", "dbt_project", "expectations", "jobs", "models", "simulator")
#: They tell what was done and decide nothing.
_PAGES = (
    "jobs/report_pages", "jobs/operator_pages", "jobs/reports.py", "jobs/runbook.py", "jobs/site.py", "jobs/start_page.py",
    "jobs/validation_page.py", "jobs/status.py", "simulator/proof_report.py", "simulator/home_page.py",
    "simulator/calibration_report.py", "simulator/proof_retail_report.py",
)  # fmt: skip
_SUFFIXES = {".py", ".sql", ".toml", ".yml"}


def code_digest(repository: Path = REPOSITORY) -> str:
    """Of everything that decides what happens in a loop, as hexadecimal digits; pages are left out."""
    found = hashlib.sha256()
    for path in sorted(_files(repository)):
        found.update(str(path.relative_to(repository)).encode() + b"\0" + _meaning(path).encode() + b"\0")
    return found.hexdigest()[:16]


def _files(repository: Path) -> Iterator[Path]:
    for folder in _FOLDERS:
        for path in (repository / folder).rglob("*"):
            name = path.relative_to(repository).as_posix()
            if path.suffix in _SUFFIXES and not name.startswith(_PAGES) and "/target/" not in name:
                yield path


def _meaning(path: Path) -> str:
    """What a file says to the machine."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".toml":
        return json.dumps(tomllib.loads(text), sort_keys=True, default=str)
    if path.suffix != ".py":
        return text
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
            and ast.get_docstring(node) is not None
        ):
            node.body = node.body[1:]
    return ast.dump(tree)
