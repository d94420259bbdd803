"""Do people still act as the champion has learnt them to? Tastes by category, person by person.

The shares of a whole shop can stand still while everybody's taste moves. So each person's categories are
learnt on some days and tried on later ones: the *lead* is how much more of what people act upon lies in
their own categories than in other people's. Before: learnt and tried on days the champion knows. Now:
learnt up to the day the champion knows, tried on the last days. What is lost of the lead is lost taste.

U users · C categories
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from jobs.monitoring.divergence import Noise

FloatArray = npt.NDArray[np.float64]
Counts = npt.NDArray[np.float64]  # users × categories


@dataclass(frozen=True)
class Leads:
    """Each person's lead and the number of events it was tried on; nan where there is nothing to try."""

    lead: FloatArray  # U
    familiar: FloatArray  # U: the share of the tried events that lies in the person's own categories

    @property
    def is_known(self) -> npt.NDArray[np.bool_]:
        return np.isfinite(self.lead)

    @property
    def num_users(self) -> int:
        return int(self.is_known.sum())

    @property
    def mean(self) -> float:
        return float(np.nanmean(self.lead)) if self.num_users else float("nan")


@dataclass(frozen=True)
class TasteLost:
    """The share of the lead that is lost: 0 when tastes stand still, 1 when they say nothing any more."""

    reference_lead: float
    current_lead: float
    lost: float
    sd: float  # of ``lost``, by resampling people


def leads(learnt_UC: Counts, tried_UC: Counts) -> Leads:
    """Each person's lead: events in the own categories, less what others' categories would have foretold."""
    share_UC, is_learnt_U = _shares(learnt_UC)
    tried_share_UC, is_tried_U = _shares(tried_UC)
    others_C = share_UC[is_learnt_U].mean(axis=0) if is_learnt_U.any() else np.zeros(learnt_UC.shape[1])
    familiar_U = (tried_share_UC * share_UC).sum(axis=1)
    by_chance_U = tried_share_UC @ others_C
    is_known_U = is_learnt_U & is_tried_U
    return Leads(
        lead=np.where(is_known_U, familiar_U - by_chance_U, np.nan),
        familiar=np.where(is_known_U, familiar_U, np.nan),
    )


def taste_lost(reference: Leads, current: Leads, num_draws: int, rng: np.random.Generator) -> TasteLost:
    """Compare the mean lead of two windows over the same people, with the spread that resampling them gives.

    The spread is that of the difference, over the reference's lead: a small lead in few people would make
    a ratio look certain that is not.
    """
    before, now = reference.mean, current.mean
    times_RU = rng.poisson(1.0, size=(num_draws, len(reference.lead))).astype(np.float64)
    difference_R = _means(times_RU, reference) - _means(times_RU, current)
    scale = before if before > 0 else 1.0
    return TasteLost(before, now, (before - now) / scale, float(difference_R.std(ddof=1)) / scale)


def _means(times_RU: FloatArray, window: Leads) -> FloatArray:
    return np.asarray(times_RU @ np.nan_to_num(window.lead) / np.maximum(times_RU @ window.is_known, 1))


def noise_of(lost: TasteLost) -> Noise:
    """Tastes that stand still lose nothing on average."""
    return Noise(0.0, lost.sd)


def _shares(counts_UC: Counts) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
    total_U = counts_UC.sum(axis=1)
    return counts_UC / np.maximum(total_U, 1)[:, None], total_U > 0
