"""Foretaste's command line, called from outside as a person would."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from rich.console import Console

from contracts.errors import ForetasteError
from contracts.settings import inherited_environment

REPOSITORY = Path(__file__).resolve().parent.parent

#: As a shell counts it, and as Python does.
_INTERRUPTED = (128 + signal.SIGINT, -signal.SIGINT)

#: Wide enough for a step's result also where there is no terminal.
console = Console(highlight=False, width=None if sys.stdout.isatty() else 160)


class DemoFailed(ForetasteError):
    """A stage of the demo did not end as it should."""


def foretaste(*arguments: str, is_shown: bool = True) -> str:
    """Run a command of Foretaste; its lines are shown as they come.

    Raises:
        DemoFailed: it ended with an error; the message holds what it said.
        KeyboardInterrupt: somebody has interrupted it.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "jobs.cli", *arguments],
        cwd=REPOSITORY,
        env=inherited_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE if not is_shown else None,
        text=True,
    )
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if is_shown:
            console.print(f"   {line.rstrip()}", markup=False, overflow="ellipsis", no_wrap=True)
    told = process.stderr.read().strip() if process.stderr else "see above"
    if process.wait() in _INTERRUPTED:
        raise KeyboardInterrupt
    if process.returncode != 0:
        raise DemoFailed(f"foretaste {' '.join(arguments)} ended with exit code {process.returncode}: {told}")
    return "".join(lines)
