"""One training of a network: from its first weights, or from where it was ended, to the average of its best epoch."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property, partial
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix

from jobs.io.checkpoints import Checkpoints
from jobs.training.progress import key_of, told
from models.gru4rec import GRU4Rec
from models.peers import Peers
from models.recommender import Histories
from models.sasrec import SASRec
from models.training import Epoch, TrainConfig, Validation, fit

log = logging.getLogger("foretaste.train")

#: Called after each epoch with its number and validation NDCG@10; what it raises ends the training.
Watch = Callable[[int, float], None]


@dataclass(frozen=True)
class NetworkTraining:
    """Everything that a training follows from; it can be handed to another process."""

    network: str
    until: date
    kind: type[SASRec] | type[GRU4Rec]
    config: Any  # of the kind
    words_VT: csr_matrix | None
    histories: Histories
    weights: Sequence[npt.NDArray[np.float64]] | None
    validation: Validation | None
    training: TrainConfig
    checkpoints: Checkpoints | None

    @cached_property
    def key(self) -> str:
        """What its checkpoint is found by."""
        words = self.words_VT
        of_words = [] if words is None else [words.indptr, words.indices, words.data]
        return key_of(
            [self.config, self.training], [list(self.histories), self.weights, self.validation, of_words]
        )

    def run(
        self, watch: Watch | None = None, peers: Peers | None = None
    ) -> tuple[SASRec | GRU4Rec, list[Epoch]]:
        """The trained network, and all of its epochs.

        With peers all of them run it; the first alone keeps checkpoints and logs.
        """
        is_first = peers is None or peers.rank == 0
        model = self.kind(self.config, seed=self.training.seed, words_NT=self.words_VT)
        resume = self.checkpoints.load(self.key) if self.checkpoints else None
        epochs = list(resume.epochs) if resume else []
        if resume and is_first:
            log.info(
                "training_resumed network=%s until=%s after_epoch=%d", self.network, self.until, len(epochs)
            )
        further = fit(
            model,
            self.histories,
            self.training,
            self.validation,
            clock=time.perf_counter,
            weights=self.weights,
            keep=partial(self.checkpoints.keep, self.key) if self.checkpoints and is_first else None,
            resume=resume,
            peers=peers,
        )
        for epoch in further:
            epochs.append(epoch)
            if is_first:
                line = told(epochs, self.training.epochs)
                log.info("epoch_ended network=%s until=%s %s", self.network, self.until, line)
            if watch is not None:
                watch(epoch.number, epoch.ndcg_at_10 or 0.0)
        return model, epochs
