"""Kept states as files below ``HOME/states``, one for each of the last models: a cache that may be removed at any time.

A file is the sha256 of what follows, and then safetensors. What cannot be read, or is not what its digest says, is as good
as not there. Its name is the digest of all that a state depends on beside the history: model, events left out, torch, and the processor's
instructions.
"""

from __future__ import annotations

import hashlib
import logging
import os
from pathlib import Path

import numpy as np
import torch

from contracts.settings import Settings
from jobs.io.commit import digest_of, fsync_path
from jobs.ranking.states import States

log = logging.getLogger("foretaste.states")

#: The champion's and, after a retraining, the one's before: a demotion goes back to that.
_FILES_KEPT = 2
_SUFFIX = ".states"


class KeptStates:
    """The states that one model has made of histories on machines like this."""

    def __init__(self, settings: Settings, model_digest: str, num_events: int) -> None:
        """``num_events``: how many last events each state is told without as well."""
        self._folder = settings.states_path
        machine = [torch.__version__, torch.backends.cpu.get_cpu_capability()]
        made_by = digest_of([model_digest, num_events, *machine])
        self.path = self._folder / f"{made_by}{_SUFFIX}"

    def read(self) -> States:
        """What was kept; nothing where there is nothing that can be trusted."""
        return read_states(self.path)

    def write(self, states: States) -> None:
        """Keep these and no others of this model, and no more models than a demotion could go back to."""
        from safetensors.numpy import save

        self._folder.mkdir(parents=True, exist_ok=True)
        content = save({"digests": states.digests_S2, "states": np.ascontiguousarray(states.states_SD)})
        staged = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        with staged.open("wb") as stream:
            stream.write(hashlib.sha256(content).digest())
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        staged.replace(self.path)
        fsync_path(self._folder)
        self._collect()

    def _collect(self) -> None:
        def age(path: Path) -> tuple[bool, int]:
            return path != self.path, -path.stat().st_mtime_ns

        for outdated in sorted(self._folder.glob(f"*{_SUFFIX}"), key=age)[_FILES_KEPT:]:
            outdated.unlink(missing_ok=True)


def read_states(path: Path) -> States:
    """The states of a file; none where it is not there, or not whole."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        held = path.read_bytes()
        if hashlib.sha256(memoryview(held)[32:]).digest() != held[:32]:
            raise ValueError("the bytes are not those of its digest")
        arrays = load(held[32:])
        return States(arrays["digests"], arrays["states"])
    except FileNotFoundError:
        return States.none()
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        log.warning("states_unreadable path=%s: %s", path, error)
        return States.none()
