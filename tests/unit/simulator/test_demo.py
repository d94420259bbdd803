"""The demo takes a folder that is empty, and no folder that somebody has worked in; it prints a list with its reasons."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from contracts.settings import load_settings
from simulator.command import console
from simulator.demo import MARKER, DemoFailed, _list_table, _models_table, fresh_home, show_competitors
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


def test_the_end_of_the_demo_names_the_challenger_and_whom_it_competed_with() -> None:
    metrics = {"ndcg_at_10": 0.08, "hit_rate_at_10": 0.3, "coverage_at_10": 0.4}
    retraining = {
        "day": "2011-03-01", "recommender": "blend", "is_promoted": True, "verdict": {"reasons": ["better"]},
        "metrics": {"challenger": metrics, "champion": metrics, "ease": metrics},
        "validation": {"num_users": 1412, "ndcg_at_10": {"ranker": 0.07314, "blend": 0.0792}},
    }  # fmt: skip
    with console.capture() as printed:
        show_competitors(retraining)
        console.print(_models_table([retraining]))
    told = " ".join(printed.get().split())
    assert (
        "The challenger is blend, chosen by 1,412 people on earlier days, ndcg@10: blend 0.0792, ranker 0.0731"
        in told
    )
    assert "challenger (blend)" in told
    assert told.index("champion") < told.index("ease")


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
