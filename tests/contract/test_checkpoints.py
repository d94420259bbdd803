"""What is kept of a training on disk is what it goes on from, or nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from jobs.io.checkpoints import Checkpoints
from models.sasrec import SASRec, SASRecConfig
from models.training import Checkpoint, TrainConfig, Validation, fit

pytestmark = pytest.mark.contract

HISTORIES = [np.array([0, 1, 2, 3]), np.array([4, 5, 6, 7]), np.array([1, 2, 3, 0])]


@pytest.fixture
def kept() -> list[Checkpoint]:
    """Of a real training, validated and timed."""
    found: list[Checkpoint] = []
    model = SASRec(SASRecConfig(num_items=8, width=8, max_length=4), seed=1)
    validation = Validation([HISTORIES[0]], [{4}])
    config = TrainConfig(epochs=3, batch_size=2)
    for _ in fit(model, HISTORIES, config, validation, clock=lambda: 0.1, keep=found.append):
        pass
    return found


def test_a_checkpoint_comes_back_as_it_was(tmp_path: Path, kept: list[Checkpoint]) -> None:
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    for checkpoint in kept:
        checkpoints.keep("a", checkpoint)
    back = checkpoints.load("a")
    assert back is not None
    assert back.epochs == kept[-1].epochs
    assert set(back.arrays) == set(kept[-1].arrays)
    for name, array in kept[-1].arrays.items():
        found = back.arrays[name]
        assert (found.dtype, found.shape, found.tobytes()) == (array.dtype, array.shape, array.tobytes()), (
            name
        )
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["a.safetensors"]


def test_no_training_goes_on_from_anothers(tmp_path: Path, kept: list[Checkpoint]) -> None:
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    assert checkpoints.load("b") is None
    checkpoints.keep("a", kept[0])
    assert checkpoints.load("b") is None
    checkpoints.clear()
    assert checkpoints.load("a") is None
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("size", [0, 5, 400, -1])
def test_a_file_that_cannot_be_read_is_told_of_and_not_gone_on_from(
    tmp_path: Path, kept: list[Checkpoint], size: int, caplog: pytest.LogCaptureFixture
) -> None:
    checkpoints = Checkpoints(tmp_path)
    checkpoints.keep("a", kept[0])
    path = tmp_path / "a.safetensors"
    path.write_bytes(path.read_bytes()[:size])
    assert checkpoints.load("a") is None
    assert "training begins again" in caplog.text
