"""What people then did: their categories and items, their tastes, their clicks on what we showed them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from jobs.monitoring.columns import SHARES, UNJUDGED, Column, Measure
from jobs.monitoring.divergence import Noise
from jobs.monitoring.panel import Panel, sample_rows
from jobs.monitoring.tastes import Leads, leads, noise_of, taste_lost
from jobs.monitoring.thresholds import Thresholds
from jobs.monitoring.verdict import judged, unjudged
from jobs.monitoring.windows import Span, Windows

if TYPE_CHECKING:
    import pandas as pd

#: What tells one event from another; those it cannot tell apart are equal in all that is compared.
_EVENT = ["user_id", "item_id", "event_date"]


def share_columns(panel: Panel, windows: Windows, thresholds: Thresholds) -> list[Column]:
    """Categories and items of what people acted upon, before and now."""
    evidence = thresholds.evidence
    spans = (windows.reference, windows.current, *windows.current.halves())
    samples = [
        sample_rows(panel.within(span).reset_index(drop=True), _EVENT, evidence.sample_rows) for span in spans
    ]
    reference, current, *halves = samples
    wanted = (
        ("category", "Categories acted upon", thresholds.outcomes.category_bits),
        ("item_id", "Items acted upon", thresholds.outcomes.item_bits),
    )
    return [
        Column(
            kind="outcomes",
            name=f"events.{name.removesuffix('_id')}",
            label=label,
            method=SHARES,
            reference=reference[name],
            current=current[name],
            threshold=threshold,
            reference_clusters=_user_days(reference),
            num_current_clusters=_user_days(current).nunique(),
            halves=tuple(half[name] for half in halves),
            half_clusters=tuple(_user_days(half).nunique() for half in halves),
        )
        for name, label, threshold in wanted
    ]


def _user_days(events: pd.DataFrame) -> pd.Series[Any]:
    """A person's day, as a number: its events resemble each other."""
    import pandas as pd

    return pd.util.hash_pandas_object(events[["user_id", "event_date"]], index=False)


def taste_measure(
    panel: Panel, windows: Windows, thresholds: Thresholds, rng: np.random.Generator
) -> tuple[Measure, tuple[Leads, Leads] | None]:
    """How much of people's tastes by category is lost, and each person's lead in both windows."""
    label = "Tastes lost"
    spans = windows.tastes
    if spans is None:
        return unjudged("tastes_lost", label, "too few days to learn tastes on, or to try them on"), None
    events = panel.events.dropna(subset=["category"])
    if events["category"].nunique() < 2:
        return unjudged("tastes_lost", label, "the catalogue has no categories to have a taste in"), None
    counts = _TasteCounts(events)
    before = leads(counts.of(spans.reference_learnt), counts.of(spans.reference_tried))
    learnt = counts.of(spans.current_learnt)
    now = leads(learnt, counts.of(spans.current_tried))
    wanted, evidence = thresholds.outcomes, thresholds.evidence
    num_users = min(before.num_users, now.num_users)
    if num_users < evidence.min_users:
        note = f"{num_users} people acted both before and now, {evidence.min_users} are needed"
        return unjudged("tastes_lost", label, note, num_current=now.num_users), None
    if before.mean < wanted.min_taste_lead:
        note = f"people's own categories foretell {before.mean:.3f} more than others' do, {wanted.min_taste_lead:g} is needed"
        return unjudged("tastes_lost", label, note, num_current=now.num_users), (before, now)
    lost = taste_lost(before, now, evidence.noise_draws * 4, rng)
    halves = [1 - leads(learnt, counts.of(half)).mean / before.mean for half in spans.current_tried.halves()]
    measure = judged(
        Measure(
            "outcomes",
            "tastes_lost",
            label,
            "share",
            UNJUDGED,
            value=lost.lost,
            threshold=wanted.taste_lost,
            num_reference=before.num_users,
            num_current=now.num_users,
            halves=tuple(half for half in halves if np.isfinite(half)),
            facts={"lead_before": lost.reference_lead, "lead_now": lost.current_lead},
        ),
        noise_of(lost),
        evidence,
    )
    return measure, (before, now)


class _TasteCounts:
    """Events by person and category, for any days."""

    def __init__(self, events: pd.DataFrame) -> None:
        import pandas as pd

        self._events = events.assign(
            user=pd.factorize(events["user_id"], sort=True)[0],
            place=pd.factorize(events["category"], sort=True)[0],
        )
        self._shape = (int(self._events["user"].max()) + 1, int(self._events["place"].max()) + 1)

    def of(self, span: Span) -> npt.NDArray[np.float64]:
        import pandas as pd

        inside = self._events["event_date"].between(pd.Timestamp(span.first), pd.Timestamp(span.last))
        rows = self._events[inside]
        counts_UC = np.zeros(self._shape)
        np.add.at(counts_UC, (rows["user"].to_numpy(), rows["place"].to_numpy()), 1.0)
        return counts_UC


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
        return unjudged("clicks_lost", label, note, shown_before, shown_now, facts)
    rates = [float(window["num_clicked"].sum()) / window["num_shown"].sum() for window in (before, now)]
    if rates[0] == 0:
        return unjudged(
            "clicks_lost", label, "nobody clicked in the reference", shown_before, shown_now, facts
        )
    drawn = [_drawn_rates(window, evidence.noise_draws * 4, rng) for window in (before, now)]
    halves = [panel.impressions_within(half) for half in windows.current.halves()]
    return judged(
        Measure(
            "outcomes",
            "clicks_lost",
            label,
            "share",
            UNJUDGED,
            value=1 - rates[1] / rates[0],
            threshold=thresholds.outcomes.ctr_lost,
            num_reference=shown_before,
            num_current=shown_now,
            halves=tuple(
                1 - half["num_clicked"].sum() / half["num_shown"].sum() / rates[0]
                for half in halves
                if half["num_shown"].sum()
            ),
            facts={"rate_before": rates[0], "rate_now": rates[1]},
        ),
        Noise(0.0, float((drawn[0] - drawn[1]).std(ddof=1)) / rates[0]),
        evidence,
    )


def _drawn_rates(window: pd.DataFrame, num_draws: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Click-through rates of resampled people."""
    by_user = window.groupby("user_id")[["num_clicked", "num_shown"]].sum().to_numpy(dtype=np.float64)
    drawn = rng.poisson(1.0, size=(num_draws, len(by_user))).astype(np.float64) @ by_user
    return np.asarray(drawn[:, 0] / np.maximum(drawn[:, 1], 1))
