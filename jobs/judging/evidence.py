"""What is known of a challenger when it is judged.

U judged users, the same for every model
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

CHALLENGER, CHAMPION, POPULARITY = "challenger", "champion", "popularity"
#: The kinds of slices: of people by how much they have done, of what they then wanted, and by what the shop says of them.
PEOPLE, ITEMS, GROUPS = "people", "items", "group"


@dataclass(frozen=True)
class Slice:
    """NDCG@10 of some of the judged users, or of some of what they wanted, by model."""

    kind: str  # one of PEOPLE, ITEMS, GROUPS
    name: str
    ndcg: dict[str, FloatArray]  # by model, of the same users of the slice

    @property
    def num_users(self) -> int:
        return len(self.ndcg[CHALLENGER])


@dataclass(frozen=True)
class Evaluation:
    """How good lists are, for the same users, by the model that they are of."""

    ndcg: dict[str, FloatArray]  # NDCG@10 of each user
    metrics: dict[str, dict[str, float]] = field(default_factory=dict)  # means, by name: "recall_at_20"
    slices: tuple[Slice, ...] = ()
    tail_share: dict[str, FloatArray] = field(default_factory=dict)  # long tail in each user's first ten
    groups: dict[str, IntArray] = field(
        default_factory=dict
    )  # by attribute: each user's group, -1 without one
    # Of the challenger's first ten, or of the first half where fewer than twenty items may be shown, what recent popularity
    # would show there as well; None where there is no choice.
    popular_share: float | None = None
    taken_lift: float = 0.0  # how much more popular what they took is than what they had taken before
    twin: float | None = None  # NDCG@10 of the registered model on the same days, which it has seen
    users_per_second: dict[str, float] = field(default_factory=dict)
    broken: str = ""  # why the challenger's scores could not be put in order

    @property
    def num_users(self) -> int:
        return len(self.ndcg[CHALLENGER])


@dataclass(frozen=True)
class Facts:
    """Where a challenger comes from."""

    day: date  # of the retraining
    last_event: date  # that was learnt from
    trained_to: date  # the end of what the judged twin has seen
    judged_from: date  # the first day that judges
    num_bytes: int  # of the registered model
    num_unconsented: int  # people in its training set who had not agreed
