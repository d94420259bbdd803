"""From numbers and thresholds to a verdict: ok, drift or invalid, with reasons that a person can argue with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from jobs.monitoring.columns import DRIFT, INVALID, KINDS, NUMBERS, OK, SHOWN, UNJUDGED, Column, Kind, Measure
from jobs.monitoring.divergence import Noise, js_bits, share_noise, wasserstein_noise
from jobs.monitoring.thresholds import Evidence, Features

if TYPE_CHECKING:
    import pandas as pd

_UNITS = {"bits": "bits", "sd": "standard deviations", "share": "", "days": "days"}
#: Kinds whose drift a retraining can mend. One that narrows what people see is told: another fit of the same model
#: to what people saw would narrow it further.
_RETRAINED: tuple[Kind, ...] = ("data", "predictions", "outcomes")


@dataclass(frozen=True)
class Verdict:
    """What the day's data says about the champion's world."""

    verdict: str  # ok, drift or invalid
    reasons: tuple[str, ...]
    kinds: dict[Kind, str]  # data, predictions, outcomes, loop: ok, drift, invalid or unjudged
    measures: tuple[Measure, ...]


def measure_column(column: Column, value: float, evidence: Evidence, rng: np.random.Generator) -> Measure:
    """Judge one column by the divergence that Evidently found in it.

    Args:
        value: bits for shares, standard deviations for numbers.
    """
    reference, current = column.reference.dropna(), column.current.dropna()
    measure = Measure(
        kind=column.kind,
        name=column.name,
        label=column.label,
        unit="sd" if column.method == NUMBERS else "bits",
        status=UNJUDGED,
        value=value,
        threshold=column.threshold,
        num_reference=len(reference),
        num_current=len(current),
        note=column.note,
        is_one_of_many=column.is_one_of_many,
    )
    if column.threshold is None:
        return replace(measure, status=SHOWN)
    scarce = _why_scarce(column, len(reference), len(current), evidence)
    if scarce:
        return replace(measure, status=SHOWN, note=scarce)
    if column.method == NUMBERS:
        noise = wasserstein_noise(
            reference.to_numpy(dtype=np.float64), len(current), evidence.noise_draws, rng
        )
        return judged(measure, noise, evidence)
    return _judged_shares(column, measure, evidence, rng)


def _why_scarce(column: Column, num_reference: int, num_current: int, evidence: Evidence) -> str:
    """Why a column has too little in it to be judged; nothing if it has enough."""
    # A snapshot has one row a user or item: there users are what is counted.
    least = evidence.min_users if column.method == NUMBERS else evidence.min_rows
    if min(num_reference, num_current) < least:
        return f"{num_reference} rows in the reference and {num_current} now: {least} are needed in both"
    return ""


def _judged_shares(column: Column, measure: Measure, evidence: Evidence, rng: np.random.Generator) -> Measure:
    import pandas as pd

    known = column.reference.notna()
    codes, values = pd.factorize(column.reference[known], sort=True)
    rows = (
        column.reference_clusters[known]
        if column.reference_clusters is not None
        else pd.Series(range(len(codes)))
    )
    clusters = pd.factorize(rows, sort=True)[0]

    def effect_of(half: pd.Series[Any], num_clusters: int) -> float:
        support = pd.Index(values).union(pd.Index(half.dropna().unique()))
        counts = [
            np.bincount(support.get_indexer(pd.Index(side)), minlength=len(support))
            for side in (column.reference[known], half.dropna())
        ]
        noise = share_noise(clusters, codes, num_clusters, evidence.noise_draws, rng)
        return js_bits(counts[0], counts[1]) - noise.mean

    noise = share_noise(clusters, codes, column.num_current_clusters, evidence.noise_draws, rng)
    halves = tuple(
        effect_of(half, num_clusters)
        for half, num_clusters in zip(column.halves, column.half_clusters, strict=True)
        if half.notna().any()
    )
    return judged(replace(measure, halves=halves), noise, evidence)


def judged_share(
    kind: Kind,
    name: str,
    label: str,
    evidence: Evidence,
    *,
    value: float,
    threshold: float,
    sd: float,
    num_reference: int,
    num_current: int,
    halves: Iterable[float],
    facts: Mapping[str, float] | None = None,
) -> Measure:
    """A share that may not grow over its threshold.

    Args:
        sd: standard deviation of the value by chance alone.
        halves: the same share on parts of the current window.
    """
    measure = Measure(
        kind, name, label, "share", UNJUDGED,
        value=value, threshold=threshold, num_reference=num_reference, num_current=num_current,
        halves=tuple(halves), facts=dict(facts or {}),
    )  # fmt: skip
    return judged(measure, Noise(0.0, sd), evidence)


def judged(measure: Measure, noise: Noise, evidence: Evidence) -> Measure:
    """Drift needs an effect over the threshold, beyond the noise, and in both halves of the window if it has halves."""
    assert measure.value is not None, measure.name
    assert measure.threshold is not None, measure.name
    effect = measure.value - noise.mean
    is_large = effect >= measure.threshold
    is_sure = effect >= evidence.noise_sigmas * noise.sd
    is_lasting = all(half >= evidence.persistence * measure.threshold for half in measure.halves)
    note = measure.note
    if is_large and not is_sure:
        note = f"within {evidence.noise_sigmas:g} standard deviations of chance"
    elif is_large and not is_lasting:
        note = "seen in one half of the window only"
    return replace(
        measure,
        noise=noise.mean,
        noise_sd=noise.sd,
        effect=effect,
        status=DRIFT if is_large and is_sure and is_lasting else OK,
        note=note,
    )


def decide(
    measures: Sequence[Measure],
    invalid: Mapping[str, Sequence[str]],
    features: Features,
    notes: Sequence[str] = (),
) -> Verdict:
    """The verdict over all kinds.

    Args:
        invalid: what validity found wrong, by kind; one is enough, and nothing is called drift beside it.
        notes: why a kind could not be judged; told as reasons when nothing is wrong.
    """
    kinds = {kind: _kind_status(kind, measures, bool(invalid.get(kind)), features) for kind in KINDS}
    if INVALID in kinds.values():
        reasons = [f"{kind}: {reason}" for kind in KINDS for reason in invalid.get(kind, ())]
        return Verdict(INVALID, tuple(reasons), kinds, tuple(measures))
    if any(kinds[kind] == DRIFT for kind in _RETRAINED):
        reasons = [
            reason_of(measure)
            for measure in measures
            if measure.status == DRIFT and kinds[measure.kind] == DRIFT
        ]
        return Verdict(DRIFT, tuple(reasons), kinds, tuple(measures))
    told = [
        f"{'no retraining mends it' if measure.kind not in _RETRAINED else 'alone, and not enough'}: {reason_of(measure)}"
        for measure in measures
        if measure.status == DRIFT
    ]
    return Verdict(OK, (*told, *notes), kinds, tuple(measures))


def _kind_status(kind: Kind, measures: Sequence[Measure], is_invalid: bool, features: Features) -> str:
    if is_invalid:
        return INVALID
    judged_ones = [measure for measure in measures if measure.kind == kind and measure.status in (OK, DRIFT)]
    if not judged_ones:
        return UNJUDGED
    many = [measure.status for measure in judged_ones if measure.is_one_of_many]
    num_drifted = many.count(DRIFT)
    has_drifted = num_drifted and num_drifted >= features.min_share_drifted * len(many)
    alone = any(measure.status == DRIFT for measure in judged_ones if not measure.is_one_of_many)
    return DRIFT if has_drifted or alone else OK


def reason_of(measure: Measure) -> str:
    """One sentence with the figures."""
    assert measure.effect is not None, measure.name
    assert measure.threshold is not None, measure.name
    if measure.unit == "share":
        return f"{measure.kind}: {measure.label.lower()} {measure.effect:.0%} (alarm from {measure.threshold:.0%})"
    unit = _UNITS[measure.unit]
    return f"{measure.kind}: {measure.label} moved by {measure.effect:.3f} {unit} (alarm from {measure.threshold:g})"


def unjudged(
    kind: Kind,
    name: str,
    label: str,
    note: str,
    num_reference: int = 0,
    num_current: int = 0,
    facts: dict[str, float] | None = None,
) -> Measure:
    """A measure that cannot be judged, and why; what is known of it is shown."""
    return Measure(
        kind,
        name,
        label,
        "share",
        SHOWN if facts else UNJUDGED,
        num_reference=num_reference,
        num_current=num_current,
        note=note,
        facts=facts or {},
    )
