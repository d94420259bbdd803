"""A home of Foretaste that is driven from outside: its servers, its command line, its follower, its published lists."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from contracts.settings import inherited_environment, load_settings
from simulator.command import REPOSITORY, DemoFailed
from simulator.published import Published, read_published

#: What is called when nobody sabotages it.
FORETASTE = (sys.executable, "-m", "jobs.cli")


@dataclass(frozen=True)
class FollowedHome:
    """One home folder; nothing outside of it says what Foretaste does."""

    name: str  # for messages
    home: Path
    settings: Mapping[str, str]  # for HOME/settings.env, without FORETASTE_
    command: Sequence[str] = FORETASTE

    @property
    def feed(self) -> Path:
        return self.home / "feed"

    def begin(self) -> None:
        """Make the folder, with its settings."""
        self.home.mkdir(parents=True)
        (self.home / "settings.env").write_text(
            "".join(f"FORETASTE_{name}={value}\n" for name, value in self.settings.items())
        )

    @contextmanager
    def servers(self) -> Iterator[None]:
        """The stores and MLflow, for as long as the block."""
        self.foretaste("up", "--without-airflow")
        try:
            yield
        finally:
            self.foretaste("down")

    def train_first(self, first: date, last: date) -> None:
        """Load a history and train a first champion on it."""
        self.foretaste("load", "--day", str(first), "--to", str(last))
        self.foretaste("retrain", "--day", str(last), "--reason", "first model")

    @contextmanager
    def following(
        self, first: date, last: date, *, retrain_when: str, every_days: int
    ) -> Iterator[Callable[[], dict[str, Any]]]:
        """``foretaste follow`` over some days; gives a function that waits for the next day and says what became of it."""
        when = ("--retrain", retrain_when, "--every", str(every_days))
        arguments = ("--day", str(first), "--to", str(last), *when, "--poll", "0.1", "--json")
        with (
            (self.home / "follow.log").open("w") as log,
            subprocess.Popen(
                [*self.command, "follow", *arguments],
                cwd=REPOSITORY, env=self._environment, stdout=subprocess.PIPE, stderr=log, text=True,
            ) as follower,
        ):  # fmt: skip
            try:
                yield lambda: self._next_day(follower)
                follower.wait()
            finally:
                follower.terminate()

    def _next_day(self, follower: subprocess.Popen[str]) -> dict[str, Any]:
        assert follower.stdout is not None
        line = follower.stdout.readline()
        if not line:
            raise DemoFailed(
                f"{self.name}: the follower ended early: {_last_line((self.home / 'follow.log').read_text())}"
            )
        return dict(json.loads(line))

    def published(self) -> Published:
        """What is live."""
        found = read_published(load_settings(home=self.home))
        if found is None:
            raise DemoFailed(f"{self.name} has published nothing: its first model was refused")
        return found

    def foretaste(self, *arguments: str) -> None:
        """Run a command of Foretaste.

        Raises:
            DemoFailed: it ended with an error; the message holds its last line.
        """
        done = subprocess.run(
            [*self.command, *arguments],
            cwd=REPOSITORY, env=self._environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise DemoFailed(
                f"{self.name}: foretaste {' '.join(arguments)}: {_last_line(done.stderr or done.stdout)}"
            )

    @property
    def _environment(self) -> dict[str, str]:
        return {**inherited_environment(drop_prefixes=("FORETASTE_",)), "FORETASTE_HOME": str(self.home)}


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else "it said nothing"
