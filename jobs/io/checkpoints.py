"""Trainings that a step is in the middle of, so that one that is killed goes on instead of beginning again."""

from __future__ import annotations

import json
import logging
import os
import shutil
from dataclasses import asdict
from pathlib import Path

from jobs.io.commit import cross, fsync_path
from models.training import Checkpoint, Epoch

log = logging.getLogger("foretaste.train")


class Checkpoints:
    """One file for each training below a folder, named by what is trained, and on what: no other goes on from it."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def keep(self, key: str, checkpoint: Checkpoint) -> None:
        """Replace the training's file whole: a kill leaves the epoch before or this one, never half of it."""
        from safetensors.numpy import save_file

        self._root.mkdir(parents=True, exist_ok=True)
        staged = self._root / f".{key}.{os.getpid()}"
        epochs = json.dumps([asdict(epoch) for epoch in checkpoint.epochs])
        save_file(checkpoint.arrays, staged, metadata={"epochs": epochs})
        fsync_path(staged)
        staged.replace(self._file(key))
        fsync_path(self._root)
        cross("checkpoint:kept")

    def load(self, key: str) -> Checkpoint | None:
        """Where the training was when it was last kept; None where it never was, or where the file cannot be read."""
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(self._file(key), framework="np") as file:
                epochs = tuple(Epoch(**epoch) for epoch in json.loads(file.metadata()["epochs"]))
                return Checkpoint(epochs, {name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118
        except FileNotFoundError:
            return None
        except (SafetensorError, KeyError, TypeError, ValueError) as error:
            log.warning("checkpoint_unreadable file=%s why=%s: training begins again", self._file(key), error)
            return None

    def clear(self) -> None:
        """Forget every training: the step that they were parts of is done."""
        shutil.rmtree(self._root, ignore_errors=True)

    def _file(self, key: str) -> Path:
        return self._root / f"{key}.safetensors"
