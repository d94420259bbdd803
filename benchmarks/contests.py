"""The contests: data sets under a protocol, the transformer's shape, what else was tried, and what others have published."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from benchmarks import data_sets
from benchmarks.data_sets import DAY_SECONDS, Events
from benchmarks.transformer import Shape
from models.splits import Split, in_time, leave_one_out, sequences_of
from models.training import TrainConfig

TRANSFORMER, CHALLENGER = "transformer", "challenger"
_ESASREC = "eSASRec, RecSys 2025, tables of its repository"
#: When validation begins and when the test does.
Moments = Callable[[Events], tuple[float, float]]


@dataclass(frozen=True)
class Published:
    """A line of somebody's table."""

    model: str
    hit_rate: float | None
    ndcg: float
    source: str


@dataclass(frozen=True)
class Contest:
    """A data set under a protocol, with the floor and the aim of whose figure is the contest's."""

    events: Callable[[], Events]
    moments: Moments | None  # None: leave-one-out
    shape: Shape
    seeds: int
    floor: float
    aim: float
    headline: Literal["transformer", "challenger"] = TRANSFORMER
    tried: tuple[Mapping[str, Any], ...] = ()  # changes to the shape, compared on validation alone
    published: tuple[Published, ...] = ()
    remark: str = ""

    def split(self, events: Events) -> Split:
        """What is learnt and what is asked."""
        if self.moments is None:
            return leave_one_out(sequences_of(events.users_E, events.items_E, events.times_E))
        assert events.times_E is not None
        return in_time(
            events.users_E, events.items_E, events.times_E, *self.moments(events),
            repeats_allowed=events.repeats_allowed,
        )  # fmt: skip


def changed(shape: Shape, changes: Mapping[str, Any]) -> Shape:
    """A shape with some fields of the model or of the training changed."""
    of_model = {name: value for name, value in changes.items() if name in shape.model}
    of_training = {name: value for name, value in changes.items() if name not in shape.model}
    return Shape(shape.model | of_model, replace(shape.train, **of_training))


def last_tenth(events: Events) -> tuple[float, float]:
    """The test is the last tenth of the events, and validation a tenth of the rest before it."""
    assert events.times_E is not None
    ordered = np.sort(events.times_E)
    return float(ordered[round(0.81 * len(ordered))]), float(ordered[round(0.9 * len(ordered))])


def last_weeks(events: Events) -> tuple[float, float]:
    """The test is the last four weeks, and validation the four before them."""
    assert events.times_E is not None
    end = float(events.times_E.max())
    return end - 56 * DAY_SECONDS, end - 28 * DAY_SECONDS


CONTESTS: dict[str, Contest] = {
    "quality.beauty": Contest(
        data_sets.beauty, None,
        Shape(
            {"width": 64, "blocks": 1, "heads": 1, "dropout": 0.5, "max_length": 50},
            TrainConfig(epochs=60, batch_size=128, num_negatives=1024, patience=8, averaging=0.998),
        ),
        seeds=5, floor=0.050, aim=0.0531,
        tried=({"averaging": 0.99}, {"width": 128}),
        published=(
            Published("SASRec + sampled softmax", 0.0921, 0.0531, _ESASREC),
            Published("eSASRec", 0.0928, 0.0523, _ESASREC),
            Published("FuXi-α", 0.0809, 0.0451, f"{_ESASREC}, calculated there"),
            Published("HSTU", 0.0788, 0.0439, f"{_ESASREC}, calculated there"),
            Published("TIGER", 0.0648, 0.0384, f"{_ESASREC}, as reported"),
            Published("SASRec", 0.0605, 0.0318, f"{_ESASREC}, as reported"),
        ),
        remark="What a model reaches that learns from the validation items as well, `train.time_to_quality` says.",
    ),
    "quality.movielens_100k": Contest(
        data_sets.movielens_100k, None,
        Shape(
            {"width": 64, "blocks": 2, "heads": 2, "dropout": 0.5, "max_length": 100},
            TrainConfig(epochs=60, batch_size=16, patience=8),
        ),
        seeds=5, floor=0.0862, aim=0.090,
        tried=(
            {"loss": "sampled", "num_negatives": 256},
            {"loss": "gbce", "num_negatives": 256},
        ),
    ),
    "quality.movielens_1m": Contest(
        data_sets.movielens_1m, None,
        Shape(
            {"width": 64, "blocks": 2, "heads": 2, "dropout": 0.2, "max_length": 200},
            TrainConfig(epochs=16, batch_size=64, patience=3),
        ),
        seeds=1, floor=0.175, aim=0.1857,
        published=(
            Published("SASRec, cross-entropy, 3,000 sampled negatives", None, 0.1857, "Klenitskiy and Vasilev, RecSys 2023"),
            Published("SASRec, full cross-entropy", None, 0.1821, "Klenitskiy and Vasilev, RecSys 2023"),
            Published("FuXi-α", 0.3164, 0.1813, f"{_ESASREC}, calculated there"),
            Published("eSASRec", 0.3133, 0.1772, _ESASREC),
            Published("gSASRec", None, 0.1726, "Petrov and Macdonald, RecSys 2023"),
            Published("SASRec + sampled softmax", 0.2929, 0.1684, _ESASREC),
            Published("BERT4Rec", None, 0.1537, "Klenitskiy and Vasilev, RecSys 2023"),
        ),
    ),
    "quality.time_split.movielens_100k": Contest(
        data_sets.movielens_100k, last_tenth,
        Shape(
            {"width": 64, "blocks": 2, "heads": 2, "dropout": 0.5, "max_length": 100},
            TrainConfig(epochs=40, batch_size=16, patience=4),
        ),
        seeds=5, floor=0.0889, aim=0.095,
    ),
    "quality.time_split.online_retail": Contest(
        data_sets.online_retail, last_weeks,
        Shape(
            {"width": 64, "blocks": 2, "heads": 2, "dropout": 0.3, "max_length": 100},
            TrainConfig(epochs=20, batch_size=32, patience=2),
        ),
        seeds=5, floor=0.0, aim=0.0, headline=CHALLENGER,
        remark=(
            "An invoice's lines are events of their own, and most questions ask for the next line."
        ),
    ),
}  # fmt: skip
