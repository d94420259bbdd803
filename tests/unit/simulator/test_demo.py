"""The demo takes a folder that is empty, and no folder that somebody has worked in; it prints a list with its reasons."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from contracts.settings import load_settings
from simulator.demo import MARKER, DemoFailed, _list_table, fresh_home
from simulator.published import Published


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


def test_somebody_s_list_says_because_of_what() -> None:
    titles = {"a": "Lamp", "b": "Rug", "c": "Vase"}
    table = _list_table(Published("v0003", {"u1": ["a", "b"]}, {"u1": [["c", "b"], []]}, [], titles))
    assert table.title == "The list of user u1, version v0003"
    assert [(column.header, *column.cells) for column in table.columns] == [
        ("rank", "1", "2"),
        ("item", "a", "b"),
        ("title", "Lamp", "Rug"),
        ("because of", "Vase, Rug", ""),
    ]
