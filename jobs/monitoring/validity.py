"""Is the data whole? A broken tracker is invalid, never drift: no retraining mends it.

Evidently raises on an all-NaN or empty column, calls a half-NaN one undrifted and one infinity a drift,
so everything here is asked before it is.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from jobs.monitoring.columns import NUMBERS, Column
from jobs.monitoring.thresholds import Evidence, Validity

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Volume:
    """How much happened on some days: by event type, on the days on which anything did."""

    rows_by_type: dict[str, int]
    num_open_days: int
    num_expected_days: int  # by the shop's calendar; every day without one

    @property
    def num_rows(self) -> int:
        return sum(self.rows_by_type.values())

    @property
    def a_day(self) -> float:
        return self.num_rows / max(self.num_open_days, 1)

    @property
    def open_share(self) -> float:
        return self.num_open_days / max(self.num_expected_days, 1)

    def share_of(self, event_type: str) -> float:
        return self.rows_by_type.get(event_type, 0) / max(self.num_rows, 1)


def volume_reasons(reference: Volume, current: Volume, sound: Volume, thresholds: Validity) -> list[str]:
    """What is wrong with the number of events; nothing if it is plausible.

    Volumes are compared by open day, since shops close; how many days were open is asked apart.

    Args:
        sound: the last sound days before the current ones, which have their season.
    """
    if current.num_rows == 0:
        return ["no events at all in the current window"] if current.num_expected_days else []
    if current.open_share < thresholds.min_open_days * reference.open_share:
        return [
            f"days are missing: {current.num_open_days} of {current.num_expected_days} expected ones have events "
            f"({reference.open_share:.0%} in the reference; floor {thresholds.min_open_days:g} of that)"
        ]
    if current.a_day < thresholds.min_volume * sound.a_day:
        return [
            f"volume collapsed: {current.a_day:.0f} events a day, {current.a_day / sound.a_day:.2f} of the "
            f"{sound.a_day:.0f} of sound days before (floor {thresholds.min_volume:g})"
        ]
    reasons = []
    for event_type in sorted(reference.rows_by_type):
        before, now = reference.share_of(event_type), current.share_of(event_type)
        if before >= thresholds.min_type_share and now < thresholds.kept_type_share * before:
            reasons.append(
                f"{event_type} events have all but vanished: {now:.2%} of events, {before:.2%} in the reference"
            )
    return reasons


def column_reasons(columns: Iterable[Column], thresholds: Validity, evidence: Evidence) -> list[str]:
    """What is wrong with the columns: empty, not finite, emptier than before, or suddenly constant."""
    reasons = []
    for column in columns:
        if column.is_minor or not column.reference.notna().any():
            continue  # there was nothing to lose, or it may well be lost
        wrong = _wrong_with(column, thresholds, evidence)
        if wrong:
            reasons.append(f"{column.label} {wrong}")
    return reasons


def _wrong_with(column: Column, thresholds: Validity, evidence: Evidence) -> str:
    current, reference = column.current, column.reference
    if len(current) == 0:
        return "has no rows"
    if column.method == NUMBERS:
        num_infinite = int(np.isinf(current.dropna().to_numpy(dtype=np.float64)).sum())
        if num_infinite:
            return f"is not finite in {num_infinite} of {len(current)} rows"
    missing, missing_before = _null_share(current), _null_share(reference)
    if missing - missing_before > thresholds.max_null_rise:
        return f"is missing in {missing:.1%} of rows ({missing_before:.1%} in the reference)"
    has_evidence = min(int(reference.notna().sum()), int(current.notna().sum())) >= evidence.min_rows
    if has_evidence and reference.nunique() > 1 and current.nunique() == 1:
        return (
            f"is constant ({current.dropna().iloc[0]}); it had {reference.nunique()} values in the reference"
        )
    return ""


def _null_share(values: pd.Series[Any]) -> float:
    return float(values.isna().mean())
