"""What a contest of recommenders comes to: what was fitted, who is the challenger, by which figures, and how they are told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from jobs.training.overfitting import Gap
from jobs.training.recommenders import SASREC
from jobs.training.trainer import Curve
from models.blended_scores import Scorer


@dataclass(frozen=True)
class Fits:
    """What was learnt up to a cut-off, by the names of recommenders, and the vocabulary that their indices mean."""

    item_ids: npt.NDArray[np.object_]
    recommenders: dict[str, Scorer]
    curves: dict[str, Curve]  # of the networks


@dataclass(frozen=True)
class Choice:
    """Who is the challenger, and by which figures."""

    name: str
    ndcg: dict[str, float]  # mean NDCG@10 of each competitor, in the order of the file
    num_users: int  # who compared
    fits: Fits
    caution: str = ""  # what whoever reads the verdict has to know of it

    def as_record(self) -> dict[str, Any]:
        """The comparison as JSON-able values."""
        return {"num_users": self.num_users, "ndcg_at_10": self.ndcg}

    def as_params(self) -> dict[str, Any]:
        """What was chosen, for MLflow."""
        epochs = {_named(name, "best_epoch"): curve.best_epoch for name, curve in self.fits.curves.items()}
        return {"challenger.recommender": self.name} | epochs

    def as_metrics(self) -> dict[str, float]:
        """The figures that it was chosen by, for MLflow."""
        return {f"validation.{name}.ndcg_at_10": ndcg for name, ndcg in self.ndcg.items()}

    @property
    def curves(self) -> dict[str, list[float]]:
        """How each network's training went, for MLflow."""
        found: dict[str, list[float]] = {}
        for name, curve in self.fits.curves.items():
            found |= {
                _named(name, "fit.loss"): curve.losses,
                _named(name, "validation.ndcg_at_10"): curve.ndcg,
            }
        return found

    def widest_gap(self, weights: Mapping[str, float], parts: Sequence[str]) -> Gap | None:
        """Of the networks among the parts of a challenger that have a say: what is known by heart by the one that keeps least."""
        gaps = [
            curve.gap
            for name, curve in self.fits.curves.items()
            if curve.gap and name in parts and weights.get(name, 1.0) > 0
        ]
        return min(gaps, key=lambda gap: gap.beyond_high, default=None)


def _named(network: str, figure: str) -> str:
    """What MLflow calls a figure of a network's training: the transformer's is the plain one."""
    return figure if network == SASREC else f"{network}.{figure}"
