"""``foretaste <verb>``: the doorway to every step, and what people type."""

from __future__ import annotations

from jobs.cli import api, blocking, feeds, loop, models, operating, project, quarantine, serving
from jobs.cli.doorway import main
from jobs.cli.group import cli

__all__ = [
    "api",
    "blocking",
    "cli",
    "feeds",
    "loop",
    "main",
    "models",
    "operating",
    "project",
    "quarantine",
    "serving",
]
