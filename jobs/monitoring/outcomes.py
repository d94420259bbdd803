"""What followed what we showed: the clicks on it, and whether people bought."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from jobs.monitoring.columns import Measure
from jobs.monitoring.panel import Panel
from jobs.monitoring.thresholds import Thresholds
from jobs.monitoring.verdict import judged_share, unjudged
from jobs.monitoring.windows import Windows

if TYPE_CHECKING:
    import pandas as pd


def click_measure(
    panel: Panel, windows: Windows, thresholds: Thresholds, rng: np.random.Generator
) -> Measure:
    """How much of the click-through rate is lost."""
    before, now = panel.impressions_within(windows.reference), panel.impressions_within(windows.current)
    shown_before, shown_now = int(before["num_shown"].sum()), int(now["num_shown"].sum())
    label, evidence = "Clicks lost", thresholds.evidence
    facts = {"rate_now": float(now["num_clicked"].sum()) / shown_now} if shown_now else {}
    if min(shown_before, shown_now) < evidence.min_rows:
        note = f"{shown_before} impressions in the reference and {shown_now} now, {evidence.min_rows} are needed in both"
        return unjudged("outcomes", "clicks_lost", label, note, shown_before, shown_now, facts)
    rates = [float(window["num_clicked"].sum()) / window["num_shown"].sum() for window in (before, now)]
    if rates[0] == 0:
        return unjudged(
            "outcomes",
            "clicks_lost",
            label,
            "nobody clicked in the reference",
            shown_before,
            shown_now,
            facts,
        )
    drawn = [_drawn_rates(window, evidence.noise_draws * 4, rng) for window in (before, now)]
    halves = [panel.impressions_within(half) for half in windows.current.halves()]
    return judged_share(
        "outcomes",
        "clicks_lost",
        label,
        evidence,
        value=1 - rates[1] / rates[0],
        threshold=thresholds.outcomes.ctr_lost,
        sd=float((drawn[0] - drawn[1]).std(ddof=1)) / rates[0],
        num_reference=shown_before,
        num_current=shown_now,
        halves=tuple(
            1 - half["num_clicked"].sum() / half["num_shown"].sum() / rates[0]
            for half in halves
            if half["num_shown"].sum()
        ),
        facts={"rate_before": rates[0], "rate_now": rates[1]},
    )


def _drawn_rates(window: pd.DataFrame, num_draws: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Click-through rates of resampled people."""
    by_user = window.groupby("user_id")[["num_clicked", "num_shown"]].sum().to_numpy(dtype=np.float64)
    drawn = rng.poisson(1.0, size=(num_draws, len(by_user))).astype(np.float64) @ by_user
    return np.asarray(drawn[:, 0] / np.maximum(drawn[:, 1], 1))


def conversion_measure(panel: Panel, windows: Windows, thresholds: Thresholds) -> Measure:
    """How much of the conversion is lost: the share of people's days that end in a purchase."""
    name, label, evidence = "conversion_lost", "Conversion lost", thresholds.evidence
    before, now = panel.traffic_within(windows.reference), panel.traffic_within(windows.current)
    days_before, days_now = int(before["num_user_days"].sum()), int(now["num_user_days"].sum())
    bought_before = int(before["num_buying"].sum())
    if min(days_before, days_now) < evidence.min_rows or not bought_before:
        note = (
            f"{days_before} days of people in the reference ({bought_before} with a purchase) and {days_now} now, "
            f"{evidence.min_rows} are needed in both"
        )
        return unjudged("outcomes", name, label, note, days_before, days_now)
    rate_before, rate_now = bought_before / days_before, int(now["num_buying"].sum()) / days_now
    variance = rate_before * (1 - rate_before) * (1 / days_before + 1 / days_now)
    halves = [panel.traffic_within(half) for half in windows.current.halves()]
    return judged_share(
        "outcomes",
        name,
        label,
        evidence,
        value=1 - rate_now / rate_before,
        threshold=thresholds.outcomes.conversion_lost,
        sd=float(np.sqrt(variance)) / rate_before,
        num_reference=days_before,
        num_current=days_now,
        halves=tuple(
            1 - half["num_buying"].sum() / half["num_user_days"].sum() / rate_before
            for half in halves
            if half["num_user_days"].sum()
        ),
        facts={"rate_before": rate_before, "rate_now": rate_now},
    )
