"""Two processes that train a network together, over gloo, come to what one process comes to."""

from __future__ import annotations

import dataclasses
import os
import signal
from pathlib import Path

import numpy as np
import pytest

from contracts.errors import SettingInvalid
from jobs.io.checkpoints import Checkpoints
from jobs.training import processes
from jobs.training.network_training import NetworkTraining
from jobs.training.processes import run_together
from models.gru4rec import GRU4Rec, GRU4RecConfig
from models.training import TrainConfig, Validation
from tests.tiny_world import DAY

pytestmark = pytest.mark.contract

HISTORIES = [(start + np.arange(5)) % 8 for start in range(8)]


def training(root: Path) -> NetworkTraining:
    return NetworkTraining(
        "gru4rec", DAY, GRU4Rec, GRU4RecConfig(num_items=8, width=8, dropout=0.2, max_length=6), None, HISTORIES, None,
        Validation([HISTORIES[0], HISTORIES[3]], [{5}, {0}]),
        TrainConfig(epochs=2, batch_size=4, learning_rate=1e-2, seed=7), Checkpoints(root),
    )  # fmt: skip


# Forked processes need not load torch again, which takes most of the time.
@pytest.mark.parametrize("start", ["fork", pytest.param("spawn", marks=pytest.mark.slow)])
def test_two_processes_come_to_the_weights_of_one_and_keep_one_checkpoint(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, start: str
) -> None:
    monkeypatch.setattr(processes, "_START", start)
    alone, epochs_alone = training(tmp_path / "alone").run()
    environment, handler = dict(os.environ), signal.getsignal(signal.SIGTERM)
    model, epochs = run_together(training(tmp_path / "together"), 2)
    assert isinstance(model, GRU4Rec)
    for name, values in model.state().items():
        np.testing.assert_allclose(values, alone.state()[name], atol=2e-5, err_msg=name)
    assert [epoch.loss for epoch in epochs] == pytest.approx([epoch.loss for epoch in epochs_alone], rel=1e-5)
    assert [path.name for path in (tmp_path / "together").iterdir()] == [
        f"{training(tmp_path).key}.safetensors"
    ]
    # Of the first process alone; pytest listens to what a forked one logs.
    assert capfd.readouterr().err.count("epoch_ended network=gru4rec") == (2 if start == "spawn" else 0)
    changed = {
        name for name in environment.keys() | os.environ if environment.get(name) != os.environ.get(name)
    }
    assert changed == set()
    assert signal.getsignal(signal.SIGTERM) is handler


def test_more_processes_than_accelerators_are_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    given = training(tmp_path)
    on_cuda = dataclasses.replace(given, training=dataclasses.replace(given.training, device="cuda"))
    with pytest.raises(SettingInvalid, match=r"FORETASTE_TRAIN_PROCESSES=2, and torch finds 1 accelerators"):
        run_together(on_cuda, 2)


def test_what_ends_a_process_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_START", "fork")
    given = training(tmp_path)
    wild = dataclasses.replace(given, training=dataclasses.replace(given.training, learning_rate=1e30))
    with pytest.raises(
        ValueError, match=r"training gru4rec in 2 processes: process \d ended: .*scores have to be finite"
    ):
        run_together(wild, 2)
