"""A landing that is killed anywhere and run again gives what an undisturbed one gives."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from contracts import names
from contracts.settings import Settings, load_settings
from jobs.io.lake import Lake
from jobs.io.state import DELIVERIES, LANDINGS, State
from jobs.io.warehouse import open_warehouse
from tests.faults.conftest import DAYS, Run

pytestmark = pytest.mark.faults

CASES = [
    ("lake:staged", 1), ("lake:moved", 2), ("lake:committed", 3), ("lake:collected", 4), ("warehouse:replaced", 1),
    ("warehouse:committed", 1), ("warehouse:committed", 2), ("state:recorded", 2),
]  # fmt: skip


def everything(settings: Settings) -> dict[str, object]:
    """Digests of the lake, rows of the warehouse and what the state remembers."""
    lake, state = Lake.of(settings), State.of(settings)
    digests = {}
    for table in (names.RAW_EVENTS, names.RAW_ITEMS, names.QUARANTINE_EVENTS):
        for day in lake.days(table):
            digests[f"{table}/{day}"] = lake.verify(table, day).digest
    with open_warehouse(settings) as warehouse:
        query = "select event_id, known_date from raw.events order by event_id"
        events = warehouse.read(query, {"event_id": "text", "known_date": "date"}).to_pylist()
    return {"lake": digests, "warehouse": events, "state": [state.all(DELIVERIES), state.all(LANDINGS)]}


@pytest.mark.parametrize(("boundary", "number"), CASES)
def test_a_landing_killed_at_a_boundary_and_run_again_is_undisturbed(
    shop: Settings, run: Run, tmp_path: Path, boundary: str, number: int
) -> None:
    shutil.copytree(shop.home, tmp_path / "undisturbed")
    undisturbed = load_settings(home=tmp_path / "undisturbed")
    for settings in (shop, undisturbed):
        assert run(settings, "step", "land", "--day", str(DAYS[0])).returncode == 0
    assert run(undisturbed, "step", "land", "--day", str(DAYS[2])).returncode == 0

    killed = run(shop, "step", "land", "--day", str(DAYS[2]), kill_at=boundary, number=number)
    assert killed.returncode == -9, killed.stderr
    again = run(shop, "step", "land", "--day", str(DAYS[2]))
    assert again.returncode == 0, again.stderr
    assert everything(shop) == everything(undisturbed)
    assert not list((shop.lake_path / "_staging").glob("*"))
