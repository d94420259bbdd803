"""A network trained by several processes of this machine, each on its share of every batch (``FORETASTE_TRAIN_PROCESSES``).

They are started as ``torchrun`` starts its own, by the launcher of torch.distributed.run, and talk over gloo on processors and
over nccl on accelerators, of which each has one. The step that starts them holds the lease, and waits.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt
import torch
from torch import Tensor, distributed

from contracts.errors import SettingInvalid
from contracts.settings import environment_of_library
from jobs.training.network_training import NetworkTraining
from models.gru4rec import GRU4Rec
from models.sasrec import SASRec
from models.training import Epoch

#: How a process begins: with nothing of what this one has loaded, locked, or begun on an accelerator.
_START = "spawn"
#: What the launcher takes over while it runs.
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)

Trained = tuple[dict[str, npt.NDArray[Any]], list[Epoch]]


@dataclass(frozen=True)
class ProcessGroup:
    """This process and its peers (:class:`models.peers.Peers`)."""

    rank: int
    size: int

    def add_up(self, values: Tensor) -> None:
        distributed.all_reduce(values)


def run_together(training: NetworkTraining, processes: int) -> tuple[SASRec | GRU4Rec, list[Epoch]]:
    """The same as the training's own ``run``, but for the rounding of sums, by so many processes.

    Raises:
        SettingInvalid: there are fewer accelerators than processes.
        ValueError: a process ended in an error; the message is its own.
    """
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    device = training.training.device
    if device == "cuda" and torch.cuda.device_count() < processes:
        raise SettingInvalid(
            f"FORETASTE_TRAIN_PROCESSES={processes}, and torch finds {torch.cuda.device_count()} accelerators: each process "
            "needs its own. Set it to their number, or FORETASTE_TRAIN_DEVICE=cpu"
        )
    with tempfile.TemporaryDirectory() as logs, environment_of_library({}):
        config = LaunchConfig(
            min_nodes=1,
            max_nodes=1,
            nproc_per_node=processes,
            run_id=training.key[:16],
            rdzv_backend="c10d",
            rdzv_endpoint="localhost:0",
            local_addr="localhost",
            max_restarts=0,
            start_method=_START,
            logs_specs=DefaultLogsSpecs(log_dir=logs),
        )
        try:
            with _signals_given_back():
                found = elastic_launch(config, _work)(training, os.getpid())
        except SignalException as ended:
            signal.raise_signal(ended.sigval)
            raise
        except ChildFailedError as error:
            rank, failure = error.get_first_failure()
            raise ValueError(
                f"training {training.network} in {processes} processes: process {rank} ended: {failure.message}"
            ) from error
    state, epochs = found[0]
    return training.kind.from_state(training.config, state), epochs


def _work(training: NetworkTraining, parent: int) -> Trained | None:
    """What each process does; the first gives back the weights and the epochs."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s", stream=sys.stderr)
    is_on_cuda = training.training.device == "cuda"
    distributed.init_process_group("nccl" if is_on_cuda else "gloo")
    if is_on_cuda:
        torch.cuda.set_device(distributed.get_node_local_rank())

    def stop_where_nobody_waits(number: int, ndcg: float) -> None:
        if os.getppid() != parent:
            raise SystemExit(f"the step that started the training was ended, after epoch {number}")

    try:
        group = ProcessGroup(distributed.get_rank(), distributed.get_world_size())
        model, epochs = training.run(stop_where_nobody_waits, group)
    finally:
        distributed.destroy_process_group()
    return (model.state(), epochs) if group.rank == 0 else None


@contextmanager
def _signals_given_back() -> Iterator[None]:
    """The launcher leaves its own handlers behind."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
