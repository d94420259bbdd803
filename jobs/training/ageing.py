"""How fast does a model grow old? Its accuracy on each day after its training, and how often to retrain.

U users of all days · D days · R resamples · W windows of days, the fresh one first
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

#: Days that are looked at together: one day alone has few people, and its own weekday.
WINDOW = 3
_NUM_RESAMPLES = 4000
_DRAWS_AT_ONCE = 1 << 22
_LEVEL = 0.05


@dataclass(frozen=True)
class AgedDay:
    """NDCG@10 of the same people on one day, of a model of some age and of that day's popularity."""

    age: int  # days since the last one that the model was trained on
    day: date
    users: npt.NDArray[np.object_]
    ndcg_U: FloatArray
    popularity_U: FloatArray


@dataclass(frozen=True)
class Estimate:
    """A mean with its two-sided 95 % interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Aged:
    """One day's figures; ``loss`` is of the window that begins with it, none for the fresh days and the last ones."""

    age: int
    day: date
    num_users: int
    ndcg: Estimate
    popularity: float
    lead: Estimate  # over popularity
    loss: Estimate | None
    is_surely_stale: bool


@dataclass(frozen=True)
class Ageing:
    """The curve of a model's age, and what follows from it."""

    days: tuple[Aged, ...]
    allowed: float  # as much NDCG@10 may be lost
    retrain_every: int | None  # days; None where within these days no loss is surely more than is allowed
    advice: str

    def as_record(self) -> dict[str, Any]:
        """JSON-able values."""
        return {
            "ages": [_record(aged) for aged in self.days],
            "window": WINDOW,
            "allowed": self.allowed,
            "retrain_every": self.retrain_every,
            "advice": self.advice,
        }


def ageing(days: Sequence[AgedDay], *, margin: float, seed: int) -> Ageing:
    """How much of its lead over popularity a model loses as it grows older, and when it is too much.

    Days differ: on some everybody is easier to guess. Popularity, which is counted anew each day, takes that out, person by
    person. What is lost is the lead on the first ``WINDOW`` days less that on as many days from an age on. It is too much where
    it is surely above ``margin``, in NDCG@10: one-sided 95 %, shared by all
    ages (Bonferroni). Intervals are of a bootstrap over people, each with all of their days (Poisson weights; Chamandy et
    al., 2012).

    Raises:
        ValueError: there are not days enough for two windows.
    """
    if len(days) < 2 * WINDOW:
        raise ValueError(f"{len(days)} days; an age is told from {2 * WINDOW} days on")
    ndcg_UD, popularity_UD, is_there_UD = _by_user(days)
    lead_UD = ndcg_UD - popularity_UD
    num_days = len(days)
    each_DD = np.eye(num_days)
    starts = [0, *range(WINDOW, num_days - WINDOW + 1)]
    window_DW = np.array(
        [[float(start <= day < start + WINDOW) for start in starts] for day in range(num_days)]
    )
    ndcg_RD, lead_RD, lead_RW = _resampled(
        [(ndcg_UD, each_DD), (lead_UD, each_DD), (lead_UD, window_DW)], is_there_UD, seed
    )
    ndcg_D, lead_D = _means(ndcg_UD, is_there_UD, each_DD), _means(lead_UD, is_there_UD, each_DD)
    lead_W = _means(lead_UD, is_there_UD, window_DW)
    loss_W, loss_RW = lead_W[0] - lead_W[1:], lead_RW[:, :1] - lead_RW[:, 1:]
    surely_W = np.quantile(loss_RW, _LEVEL / len(loss_W), axis=0) > margin
    losses = {start: place for place, start in enumerate(starts[1:])}
    aged = tuple(
        Aged(
            age=day.age,
            day=day.day,
            num_users=len(day.users),
            ndcg=_estimate(ndcg_D[place], ndcg_RD[:, place]),
            popularity=float(day.popularity_U.mean()),
            lead=_estimate(lead_D[place], lead_RD[:, place]),
            loss=_estimate(loss_W[losses[place]], loss_RW[:, losses[place]]) if place in losses else None,
            is_surely_stale=place in losses and bool(surely_W[losses[place]]),
        )
        for place, day in enumerate(days)
    )
    stale = next((one.age for one in aged if one.is_surely_stale), None)
    every = None if stale is None else stale - 1
    return Ageing(aged, margin, every, _advice(aged, margin, every))


def _advice(aged: Sequence[Aged], allowed: float, every: int | None) -> str:
    if every is not None:
        return (
            f"retrain every {every} days: from an age of {every + 1} days on the model has surely lost more than {allowed:.4f} "
            "NDCG@10 of its lead over popularity"
        )
    last = aged[-1].age
    if all(one.loss.high <= allowed for one in aged if one.loss):
        return f"retraining every {last} days is enough: up to that age no more than {allowed:.4f} NDCG@10 is lost"
    return (
        f"cannot be told: within {last} days no loss is surely more than {allowed:.4f} NDCG@10, and it may be; keep to the "
        "schedule and the drift alarm, and measure again with more people or more days"
    )


def _by_user(days: Sequence[AgedDay]) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Both figures by person and day, 0 where one was not there, and where one was."""
    everybody = np.unique(np.concatenate([day.users for day in days]))
    ndcg_UD = np.zeros((len(everybody), len(days)))
    popularity_UD, is_there_UD = np.zeros_like(ndcg_UD), np.zeros_like(ndcg_UD)
    for place, day in enumerate(days):
        rows = np.searchsorted(everybody, day.users)
        ndcg_UD[rows, place], popularity_UD[rows, place], is_there_UD[rows, place] = (
            day.ndcg_U,
            day.popularity_U,
            1,
        )
    return ndcg_UD, popularity_UD, is_there_UD


def _means(value_UD: FloatArray, is_there_UD: FloatArray, window_DW: FloatArray) -> FloatArray:
    return np.asarray((value_UD @ window_DW).sum(axis=0) / (is_there_UD @ window_DW).sum(axis=0))


def _resampled(
    parts: Sequence[tuple[FloatArray, FloatArray]], is_there_UD: FloatArray, seed: int
) -> list[FloatArray]:
    """Of each part the means of its windows in every resample of people, all parts by the same people."""
    rng, num_users = np.random.default_rng(seed), len(is_there_UD)
    sums = [(value_UD @ window_DW, is_there_UD @ window_DW) for value_UD, window_DW in parts]
    found: list[list[FloatArray]] = [[] for _ in parts]
    step = max(1, _DRAWS_AT_ONCE // num_users)
    for start in range(0, _NUM_RESAMPLES, step):
        drawn_RU = rng.poisson(1.0, size=(min(step, _NUM_RESAMPLES - start), num_users)).astype(np.float64)
        for means, (sum_UW, count_UW) in zip(found, sums, strict=True):
            means.append((drawn_RU @ sum_UW) / np.maximum(drawn_RU @ count_UW, 1e-9))
    return [np.concatenate(means) for means in found]


def _estimate(mean: float, means_R: FloatArray) -> Estimate:
    low, high = np.quantile(means_R, [0.025, 0.975])
    return Estimate(float(mean), float(low), float(high))


def _record(aged: Aged) -> dict[str, Any]:
    told: dict[str, Any] = {
        "age": aged.age,
        "day": aged.day.isoformat(),
        "num_users": aged.num_users,
        "popularity": aged.popularity,
        "is_surely_stale": aged.is_surely_stale,
    }
    for name in ("ndcg", "lead", "loss"):
        found: Estimate | None = getattr(aged, name)
        told[name] = found and {"mean": found.mean, "low": found.low, "high": found.high}
    return told
