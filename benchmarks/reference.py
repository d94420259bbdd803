"""Somebody else's program in an environment of its own, which our lock does not know."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from collections.abc import Sequence

from contracts.settings import load_settings


class Reference:
    """A virtual environment below ``FORETASTE_HOME/bench-references``, made once and used again."""

    def __init__(self, name: str, packages: Sequence[str]) -> None:
        self._packages = packages
        self._folder = load_settings().home.absolute() / "bench-references" / name

    def run(self, program: str, *arguments: str) -> str:
        """What a program prints in it, on one thread.

        Raises:
            SystemExit: the packages cannot be installed, or the program fails; the message says why.
        """
        self._make()
        one_thread = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        return self._told([str(self._python), "-c", program, *arguments], one_thread)

    @property
    def _python(self) -> str:
        return str(self._folder / "bin" / "python")

    def _make(self) -> None:
        ready = self._folder / ".ready"
        if ready.exists() and ready.read_text(encoding="utf-8") == " ".join(self._packages):
            return
        print(f"Installing {', '.join(self._packages)} into {self._folder} ...", file=sys.stderr, flush=True)
        venv.create(self._folder, with_pip=True, clear=True)
        self._told([self._python, "-m", "pip", "install", "--quiet", *self._packages], {})
        ready.write_text(" ".join(self._packages), encoding="utf-8")

    def _told(self, command: list[str], variables: dict[str, str]) -> str:
        done = subprocess.run(
            command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": "", **variables}
        )
        if done.returncode:
            raise SystemExit(f"{' '.join(command)[:200]} ended with {done.returncode}: {done.stderr[-2000:]}")
        return done.stdout
