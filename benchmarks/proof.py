"""What one seed of the proof comes to: ``proof.share_of_daily``, ``proof.recovery`` and how long it takes.

The reference is daily retraining, in the same world and in the same run.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from benchmarks.figure import Figure, figure
from simulator.proof import SEEDS, Plan, prove_seed


def proof_of_a_seed(folder: Path) -> Iterator[Figure]:
    """Forty-five live days of the first seed."""
    result = prove_seed(folder, Plan(), SEEDS[0])
    since = result.plan.shift_day.isoformat()
    adaptive, frozen, daily = (result.arms[name] for name in ("adaptive", "frozen", "daily"))
    unit, minutes = "clicks a visit", f"one seed of the proof took {result.seconds / 60:.1f} minutes"
    yield figure(
        "proof.share_of_daily", adaptive.clicks_per_visit(), unit, daily.clicks_per_visit(),
        f"retraining every day; {minutes}",
    )  # fmt: skip
    without = frozen.clicks_per_visit(since)
    yield figure(
        "proof.recovery", adaptive.clicks_per_visit(since) - without, f"{unit} since the shift, over the frozen arm",
        daily.clicks_per_visit(since) - without, "retraining every day",
    )  # fmt: skip
