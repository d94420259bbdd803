"""What is compared: a column of the reference beside the same column now, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

#: What goes in, what comes out, what follows, and what the loop does to itself.
Kind = Literal["data", "predictions", "outcomes", "loop"]
KINDS: tuple[Kind, ...] = ("data", "predictions", "outcomes", "loop")

SHARES: Final = "shares"  # of categories or items: Jensen-Shannon divergence in bits
NUMBERS: Final = "numbers"  # Wasserstein distance in standard deviations

OK = "ok"
DRIFT = "drift"
INVALID = "invalid"
SHOWN = "shown"  # measured, never judged
UNJUDGED = "unjudged"  # not enough to judge by; the note says what is missing


@dataclass(frozen=True)
class Column:
    """One column in both windows, as Evidently and our own noise estimate get it."""

    kind: Kind
    name: str
    label: str
    method: Literal["shares", "numbers"]
    reference: pd.Series[Any]
    current: pd.Series[Any]
    threshold: float | None = None  # none: shown, never judged
    reference_clusters: pd.Series[Any] | None = (
        None  # whose rows resemble each other; none: every row for itself
    )
    num_current_clusters: int = 0
    halves: tuple[pd.Series[Any], ...] = ()  # the current window's halves, for what has to persist
    half_clusters: tuple[int, ...] = ()
    note: str = ""  # why it is not judged
    is_one_of_many: bool = False  # one such column is a curiosity: many have to drift before their kind does
    is_minor: bool = False  # its value is told and no more: it may be empty or constant on a quiet day


@dataclass(frozen=True)
class Measure:
    """One number of the verdict, with all that is needed to argue with it."""

    kind: Kind
    name: str
    label: str
    unit: Literal["bits", "sd", "share", "days"]
    status: str
    value: float | None = None
    noise: float | None = None  # what chance alone gives
    noise_sd: float | None = None
    effect: float | None = None  # value less noise
    threshold: float | None = None
    num_reference: int = 0
    num_current: int = 0
    halves: tuple[float, ...] = ()  # the effect in each half of the window
    note: str = ""
    facts: dict[str, float] = field(default_factory=dict)
    is_one_of_many: bool = False

    def as_record(self) -> dict[str, Any]:
        """JSON-able, rounded to what is written and compared."""
        return {
            "name": self.name,
            "label": self.label,
            "unit": self.unit,
            "status": self.status,
            "value": rounded(self.value),
            "noise": rounded(self.noise),
            "noise_sd": rounded(self.noise_sd),
            "effect": rounded(self.effect),
            "threshold": rounded(self.threshold),
            "num_reference": int(self.num_reference),
            "num_current": int(self.num_current),
            "halves": [rounded(half) for half in self.halves],
            "note": self.note,
            "facts": {name: rounded(value) for name, value in self.facts.items()},
        }


def rounded(value: float | np.floating[Any] | None) -> float | None:
    """A plain float with six decimals; NumPy's own are no JSON, and NaN is nothing."""
    if value is None or not np.isfinite(value):
        return None
    return round(float(value), 6) + 0.0
