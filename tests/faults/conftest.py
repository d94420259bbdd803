"""A small shop on disk, and what one needs to kill a step and run it again."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import pytest

from contracts.settings import Settings, load_settings
from tests.publishing import embedded_stores

REPOSITORY = Path(__file__).resolve().parents[2]
DAYS = (date(2011, 3, 1), date(2011, 3, 2), date(2011, 3, 3))

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run() -> Run:
    """Run ``foretaste …`` in a process of its own, optionally killed at a boundary."""

    def run(
        settings: Settings, *arguments: str, kill_at: str | None = None, number: int = 1
    ) -> subprocess.CompletedProcess[str]:
        program = (
            ["-m", "jobs.cli"]
            if kill_at is None
            else [str(Path(__file__).parent / "killer.py"), kill_at, str(number), "--"]
        )
        environment = {name: value for name, value in os.environ.items() if not name.startswith("FORETASTE_")}
        return subprocess.run(
            [sys.executable, *program, *arguments],
            cwd=REPOSITORY, capture_output=True, text=True, check=False,
            env={**environment, "FORETASTE_HOME": str(settings.home)},
        )  # fmt: skip

    return run


@pytest.fixture
def shop(tmp_path: Path) -> Settings:
    """Three days of deliveries, each with a late event and a bad row; nothing has been landed."""
    feed = tmp_path / "home" / "feed"
    feed.mkdir(parents=True)
    (feed / "feed.json").write_text(
        json.dumps(
            {
                "schema_version": 1, "shop": "Tiny shop", "currency": "GBP", "time_zone": "UTC",
                "repeats_allowed": True, "missing_consent": "granted",
            }
        )
    )  # fmt: skip
    for day in DAYS:
        rows = [
            {
                "event_id": f"{day}-{number}", "user_id": f"u{number % 9}", "item_id": f"i{number % 6}", "event_type": "view",
                "occurred_at": f"{day if number else DAYS[0]}T10:{number // 60:02d}:{number % 60:02d}Z",
            }
            for number in range(150)
        ]  # fmt: skip
        rows.append({**rows[-1], "event_id": "bad", "event_type": "?"})
        _deliver(feed / "events" / f"received={day}", rows)
        _deliver(
            feed / "items" / f"received={day}", [{"item_id": f"i{day.day}", "title": "A cup", "price": "2.5"}]
        )
    return load_settings(home=tmp_path / "home")


def _deliver(folder: Path, rows: list[dict[str, str]]) -> None:
    folder.mkdir(parents=True)
    with (folder / "rows.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    (folder / "_SUCCESS").touch()


@pytest.fixture(scope="session")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A home with the embedded Valkey and SeaweedFS, for all fault tests."""
    with embedded_stores(tmp_path_factory.mktemp("stores")) as connected:
        yield connected
