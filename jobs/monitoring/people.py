"""What people do: their categories and items, their tastes, and what of it the champion cannot know."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from jobs.monitoring.columns import SHARES, UNJUDGED, Column, Measure
from jobs.monitoring.panel import Panel, sample_rows
from jobs.monitoring.tastes import Leads, leads, noise_of, taste_lost
from jobs.monitoring.thresholds import Thresholds
from jobs.monitoring.verdict import judged, judged_share, unjudged
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
        ("category", "Categories acted upon", thresholds.people.category_bits),
        ("item_id", "Items acted upon", thresholds.people.item_bits),
    )
    return [
        Column(
            kind="data",
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
    panel: Panel,
    windows: Windows,
    thresholds: Thresholds,
    rng: np.random.Generator,
    *,
    is_recent: bool = False,
) -> tuple[Measure, tuple[Leads, Leads] | None]:
    """How much of people's tastes by category is lost, and each person's lead in both windows.

    Args:
        is_recent: the windows end in the last days alone; fewer people say it, so that more has to be lost.
    """
    name, label = (
        ("tastes_lost_recently", "Tastes lost lately") if is_recent else ("tastes_lost", "Tastes lost")
    )
    spans = windows.tastes
    if spans is None:
        return unjudged("data", name, label, "too few days to learn tastes on, or to try them on"), None
    events = panel.events.dropna(subset=["category"])
    if events["category"].nunique() < 2:
        return unjudged("data", name, label, "the catalogue has no categories to have a taste in"), None
    counts = _TasteCounts(events)
    before = leads(counts.of(spans.reference_learnt), counts.of(spans.reference_tried))
    learnt = counts.of(spans.current_learnt)
    now = leads(learnt, counts.of(spans.current_tried))
    wanted, evidence = thresholds.people, thresholds.evidence
    num_users = min(before.num_users, now.num_users)
    if num_users < evidence.min_users:
        note = f"{num_users} people acted both before and now, {evidence.min_users} are needed"
        return unjudged("data", name, label, note, num_current=now.num_users), None
    if before.mean < wanted.min_taste_lead:
        note = f"people's own categories foretell {before.mean:.3f} more than others' do, {wanted.min_taste_lead:g} is needed"
        return unjudged("data", name, label, note, num_current=now.num_users), (before, now)
    lost = taste_lost(before, now, evidence.noise_draws * 4, rng)
    halves = [1 - leads(learnt, counts.of(half)).mean / before.mean for half in spans.current_tried.halves()]
    measure = judged(
        Measure(
            "data",
            name,
            label,
            "share",
            UNJUDGED,
            value=lost.lost,
            threshold=wanted.taste_lost_recently if is_recent else wanted.taste_lost,
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


@dataclass(frozen=True)
class KnownCatalogue:
    """What was in the catalogue on the day that the champion was trained to."""

    items: frozenset[str] = frozenset()
    categories: frozenset[str] = frozenset()


def unknown_measures(
    panel: Panel,
    windows: Windows,
    known: KnownCatalogue,
    thresholds: Thresholds,
    rng: np.random.Generator,
) -> list[Measure]:
    """How much of what people act upon lately the champion cannot know: items and categories that came after it.

    New items in known categories are a shop's daily life. A new category is news at a far smaller share: nobody's
    taste for it can be known.
    """
    people = thresholds.people
    return [
        _unknown_measure(
            "unknown_items", "Acted upon and unknown to the champion", "item_id",
            known.items, people.unknown_items, panel, windows, thresholds, rng,
        ),
        _unknown_measure(
            "unknown_categories", "Acted upon in categories unknown to the champion", "category",
            known.categories, people.unknown_categories, panel, windows, thresholds, rng,
        ),
    ]  # fmt: skip


def _unknown_measure(
    name: str,
    label: str,
    column: str,
    known: Collection[str],
    threshold: float,
    panel: Panel,
    windows: Windows,
    thresholds: Thresholds,
    rng: np.random.Generator,
) -> Measure:
    evidence = thresholds.evidence
    events = panel.within(windows.current).dropna(subset=[column])
    if not known:
        return unjudged("data", name, label, "the catalogue of the champion's day is not kept")
    if len(events) < evidence.min_rows:
        note = f"{len(events)} events in {windows.current}, {evidence.min_rows} are needed"
        return unjudged("data", name, label, note, num_current=len(events))
    is_unknown = ~events[column].isin(list(known))
    by_day = is_unknown.groupby(events["event_date"]).mean()
    by_user = is_unknown.groupby(events["user_id"]).agg(["sum", "count"]).to_numpy(dtype=np.float64)
    drawn = rng.poisson(1.0, size=(evidence.noise_draws * 4, len(by_user))).astype(np.float64) @ by_user
    return judged_share(
        "data",
        name,
        label,
        evidence,
        value=float(is_unknown.mean()),
        threshold=threshold,
        sd=float((drawn[:, 0] / np.maximum(drawn[:, 1], 1)).std(ddof=1)),
        num_reference=len(known),
        num_current=len(events),
        halves=tuple(float(share) for share in by_day),
    )
