"""Which variant of which experiment somebody is in: by hash alone, so the same in every process and with every version.

A user is dealt into one of 10,000 buckets in each layer, and an experiment takes a row of them (Tang et al., "Overlapping
Experiment Infrastructure", KDD 2010). Within an experiment a second hash deals its people to the variants: who is in a variant
does not change when another experiment begins or ends, nor when the experiment's own share grows at its end.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b

from contracts.experiments import NUM_BUCKETS, Experiment, Variant


def assign(experiments: Iterable[Experiment], user: str) -> tuple[Experiment, Variant] | None:
    """The experiment that a user takes part in, and the variant; None of who takes part in none.

    Args:
        experiments: those of one surface, of which nobody can be in two.
        user: the id that lists are kept under.
    """
    for experiment in experiments:
        first, end = experiment.buckets
        if first <= bucket_of(f"layer {experiment.layer}", user) < end:
            return experiment, _variant_of(experiment, user)
    return None


def bucket_of(salt: str, user: str, num_buckets: int = NUM_BUCKETS) -> int:
    """One of so many buckets, the same for the same salt and user for ever."""
    digest = blake2b(user.encode(), digest_size=8, key=blake2b(salt.encode(), digest_size=32).digest())
    return int.from_bytes(digest.digest(), "big") % num_buckets


def _variant_of(experiment: Experiment, user: str) -> Variant:
    total = sum(variant.weight for variant in experiment.variants)
    left = bucket_of(f"experiment {experiment.name}", user, total)
    for variant in experiment.variants:
        left -= variant.weight
        if left < 0:
            return variant
    raise AssertionError("weights sum to their total")
