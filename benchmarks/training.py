"""How fast the transformer learns on one thread: Amazon Beauty, 22,000 people and 12,000 items, one block of width 64.

Seconds are those of the processor, so that other programs on the machine do not count.

``train.time_to_quality``: seconds of a training that ends with NDCG@10 of at least .047 on the test
items; if it ends with less, the unit says so. The model learns from all but the test items, for as many epochs as are fixed
beforehand, and the test is asked once. The reference is how long EASE takes to be fitted to the same.

``train.vs_rectools``: positions a second (a position is an item that has a next one) beside RecTools' SASRec with sampled softmax
at the settings that eSASRec's authors chose for this data set (256 negatives, batches of 128), which runs in an environment
of its own. Both have one block, one head, width 64 and length 50, learn from the same sequences, one thread each, in turns.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks.answers import gains, places_of
from benchmarks.data_sets import Events, beauty
from benchmarks.figure import Figure, figure
from benchmarks.reference import Reference
from benchmarks.scoring import missed
from models.ease import EASE
from models.recommender import history_matrix
from models.sasrec import SASRec, SASRecConfig
from models.splits import leave_one_out, sequences_of
from models.training import TrainConfig, fit

QUALITY = 0.047
SHAPE: dict[str, Any] = {"width": 64, "blocks": 1, "heads": 1, "dropout": 0.2, "max_length": 50}
TRAIN = TrainConfig(epochs=10, batch_size=128, num_negatives=1024)
_TURNS, _BATCHES = 5, 15


def time_to_quality(_: Path, events: Events | None = None, config: TrainConfig = TRAIN) -> Iterator[Figure]:
    """Seconds of a training that is long enough."""
    events = events or beauty()
    split = leave_one_out(sequences_of(events.users_E, events.items_E))
    model = SASRec(SASRecConfig(events.num_items, **SHAPE), seed=config.seed)
    epochs = list(fit(model, split.refit, config, clock=time.process_time))
    seconds = sum(epoch.seconds or 0.0 for epoch in epochs)
    reached = float(gains(places_of(model, split.test, repeats_allowed=False)).mean())
    speed = sum(epoch.num_positions for epoch in epochs) / seconds
    started = time.process_time()
    EASE(300.0).fit(history_matrix(split.refit, events.num_items))
    told = f"s to NDCG@10 {reached:.4f}" + ("" if reached >= QUALITY else f", which is below {QUALITY}")
    yield figure(
        "train.time_to_quality", seconds, f"{told}; {len(epochs)} epochs, {speed:,.0f} positions/s",
        time.process_time() - started, "seconds of EASE, fitted to the same",
    )  # fmt: skip


def vs_rectools(folder: Path) -> Iterator[Figure]:
    """Positions a second beside RecTools."""
    reference = Reference("rectools", ("rectools[torch]", "torch==2.13.0"))
    events = beauty()
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "events.npy", np.stack([events.users_E, events.items_E]))
    sequences = sequences_of(events.users_E, events.items_E)
    ours, theirs, version = [], [], ""
    for turn in range(_TURNS):
        told = json.loads(
            reference.run(_RECTOOLS, str(folder / "events.npy"), str(_BATCHES)).splitlines()[-1]
        )
        theirs.append(told["positions"] / told["seconds"])
        version = told["version"]
        model = SASRec(SASRecConfig(events.num_items, **SHAPE), seed=turn)
        (epoch,) = fit(model, sequences, replace(TRAIN, epochs=1, seed=turn), clock=time.process_time)
        ours.append(epoch.positions_per_second or 0.0)
    yield figure(
        "train.vs_rectools", median(ours), f"positions/s, {TRAIN.num_negatives:,} negatives that a batch shares{missed(median(ours) / median(theirs), 10)}",
        median(theirs), f"RecTools {version}, SASRec, sampled softmax",
    )  # fmt: skip


_RECTOOLS = """
import json, logging, sys, time, warnings
warnings.simplefilter("ignore")
logging.disable(logging.WARNING)
import numpy, pandas, rectools, torch
from pytorch_lightning import Callback, Trainer
from rectools import Columns
from rectools.dataset import Dataset
from rectools.models import SASRecModel
torch.set_num_threads(1)
users, items = numpy.load(sys.argv[1])
num_batches, warm = int(sys.argv[2]), 5
found = {"positions": 0, "seconds": 0.0, "version": rectools.__version__}

class Clock(Callback):
    def on_train_batch_end(self, trainer, module, outputs, batch, number):
        now = time.process_time()
        if number >= warm:
            found["positions"] += int((batch["y"] != 0).sum())
            found["seconds"] += now - self.last
        self.last = time.process_time()

def trainer(**_):
    return Trainer(
        max_epochs=1, limit_train_batches=num_batches, accelerator="cpu", callbacks=[Clock()], logger=False,
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
    )

moments = pandas.Timestamp("2026-01-01") + pandas.to_timedelta(numpy.arange(len(users)), unit="s")
rows = {Columns.User: users, Columns.Item: items, Columns.Weight: 1.0, Columns.Datetime: moments}
model = SASRecModel(
    n_blocks=1, n_heads=1, n_factors=64, dropout_rate=0.2, session_max_len=50, loss="sampled_softmax", n_negatives=256,
    lr=0.001, batch_size=128, get_trainer_func=trainer,
)
model.fit(Dataset.construct(pandas.DataFrame(rows)))
print(json.dumps(found))
"""
