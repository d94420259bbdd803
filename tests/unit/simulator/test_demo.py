"""The demo takes a folder that is empty, and no folder that somebody has worked in."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from contracts.settings import load_settings
from simulator.demo import MARKER, DemoFailed, fresh_home


@pytest.mark.parametrize(
    ("left", "is_taken"),
    [("tests", True), ("bench", True), ("proof", True), ("calibration", True), ("lake", False)],
)
def test_what_tests_leave_is_nobodys_state(tmp_path: Path, left: str, is_taken: bool) -> None:
    home = tmp_path / "home"
    (home / left).mkdir(parents=True)
    world = SimpleNamespace(title="a shop", settings={})
    if is_taken:
        fresh_home(load_settings(home=home), world)
        assert (home / MARKER).exists()
    else:
        with pytest.raises(DemoFailed, match="holds state that no demo has written"):
            fresh_home(load_settings(home=home), world)
        assert not (home / MARKER).exists()
