"""Tasks that Spark's workers are given by tests: they tell what becomes of them, and import little."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from jobs.features.tasks import Task


@dataclass(frozen=True)
class Told:
    """A task that leaves a file when it begins and one when it has ended: who does it, and the most memory it has held."""

    task: Task
    folder: Path
    seconds: float = 0.0  # that it takes longer, so that something can happen meanwhile

    def run(self) -> None:
        name = f"{os.getpid()}-{uuid4().hex}"
        (self.folder / f"begun-{name}").touch()
        time.sleep(self.seconds)
        self.task.run()
        (self.folder / f"ended-{name}").write_text(str(most_memory()))


def most_memory() -> int:
    """Bytes that this process has held at most; 0 where the system does not tell."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")), 0)


@dataclass(frozen=True)
class Chatty:
    """A task that returns what nobody has asked for."""

    num_bytes: int

    def run(self) -> None:
        return bytes(self.num_bytes)  # type: ignore[return-value]
