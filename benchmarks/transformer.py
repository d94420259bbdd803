"""The transformer of a contest: how long it learns, validation decides in the run, seed by seed."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

from benchmarks.answers import drawn
from benchmarks.data_sets import Events
from models.recommender import State
from models.sasrec import SASRec, SASRecConfig
from models.splits import Sequences, Split
from models.training import Epoch, TrainConfig, Validation, fit


@dataclass(frozen=True)
class Shape:
    """A transformer and how it learns; ``epochs`` are the most, and ``patience`` those without a better validation."""

    model: dict[str, Any]  # fields of SASRecConfig
    train: TrainConfig


def learn(events: Events, split: Split, shape: Shape, seed: int) -> tuple[dict[str, Any], State]:
    """Learn from ``fit`` until validation finds nothing better.

    Returns:
        What was found (NDCG@10 on validation, the best epoch and all of the curve, seconds of this process with validation,
        positions a second), and the weights of the best epoch.
    """
    asked = drawn(split.validation)
    validation = Validation(asked.histories, asked.targets, not events.repeats_allowed)
    model, epochs = _trained(events, split.fit, shape, replace(shape.train, seed=seed), validation)
    best = max((each for each in epochs if each.is_best), key=lambda each: each.number)
    found = {"ndcg": best.ndcg_at_10, "epochs": best.number, "curve": [each.ndcg_at_10 for each in epochs]}
    return found | _speed(epochs), model.state()


def learn_again(
    events: Events, split: Split, shape: Shape, seed: int, epochs: int
) -> tuple[dict[str, Any], State]:
    """Learn from ``refit``, which has what came after as well, for as many epochs as validation found best."""
    config = replace(shape.train, seed=seed, epochs=epochs)
    model, run = _trained(events, split.refit, shape, config, None)
    return {"epochs": epochs} | _speed(run), model.state()


def of_state(events: Events, shape: Shape, state: State) -> SASRec:
    """The transformer with these weights."""
    return SASRec.from_state(SASRecConfig(events.num_items, **shape.model), state)


def _trained(
    events: Events, sequences: Sequences, shape: Shape, config: TrainConfig, validation: Validation | None
) -> tuple[SASRec, list[Epoch]]:
    model = SASRec(SASRecConfig(events.num_items, **shape.model), seed=config.seed)
    # Processor seconds: other programs run on the machine that wrote the page.
    return model, list(fit(model, sequences, config, validation, clock=time.process_time))


def _speed(epochs: list[Epoch]) -> dict[str, Any]:
    seconds = sum(each.seconds or 0.0 for each in epochs)
    positions = sum(each.num_positions for each in epochs)
    return {"seconds": round(seconds, 1), "positions_per_second": round(positions / seconds)}
