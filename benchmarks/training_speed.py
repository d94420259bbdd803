"""What it is worth that a training keeps freed memory (``jobs/io/memory.py``): positions a second with shared negatives.

Both in processes of their own, one after the other, over and over; the median of each.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.figure import Figure, figure
from jobs.io.memory import keep_freed_memory
from models.sasrec import SASRec, SASRecConfig
from models.training import TrainConfig, fit

_TURNS, _ITEMS, _HISTORIES, _LENGTH = 5, 12_000, 512, 50


def freed_memory(folder: Path) -> Iterator[Figure]:
    """Freed memory kept beside the C library's default."""
    rates = np.array([[_measured("keep"), _measured("default")] for _ in range(_TURNS)])
    kept, default = np.median(rates, axis=0)
    yield figure(
        "steps.freed_memory", float(kept), f"positions/s, {_ITEMS:,} items, 1,024 negatives, batches of 128", float(default),
        "the same without",
    )  # fmt: skip


def _measured(how: str) -> float:
    command = [sys.executable, "-m", "benchmarks.training_speed", how]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def _train(how: str) -> float:
    """Positions a second of the epochs after the first, in this process."""
    if how == "keep":
        keep_freed_memory()
    rng = np.random.default_rng(0)
    histories = [rng.integers(0, _ITEMS, size=_LENGTH + 1) for _ in range(_HISTORIES)]
    model = SASRec(SASRecConfig(_ITEMS, max_length=_LENGTH), seed=1)
    config = TrainConfig(epochs=4, batch_size=128, loss="sampled", num_negatives=1024)
    epochs = list(fit(model, histories, config, clock=time.perf_counter))
    return float(np.median([epoch.positions_per_second or 0.0 for epoch in epochs[1:]]))


if __name__ == "__main__":
    print(_train(sys.argv[1]))
