"""What it saves to read only those histories again that have changed since the day before.

``ranking.unchanged``: seconds of encoding everybody, the day after, when one person in ten has taken something; the reference
is encoding everybody anew, in the same run. The states are the same to the last bit, which is checked. Both use a
transformer of the default shape, histories of up to 50 items, one thread, and what reasons need; kept states are written and read as a run does.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import numpy as np

from benchmarks.figure import Figure, figure
from contracts.settings import load_settings
from jobs.io.kept_states import KeptStates
from jobs.ranking.proposer import encoder_of
from jobs.ranking.reasons import EXPLAINED_EVENTS
from jobs.ranking.states import States, brought_up_to_date
from jobs.score import encode_in_shares
from models.sasrec import SASRec, SASRecConfig

NUM_USERS, NUM_ITEMS, CHANGED = 10_000, 5_000, 0.1
_REPEATS = 5


def unchanged(folder: Path) -> Iterator[Figure]:
    """One person in ten has a longer history than the day before."""
    rng = np.random.default_rng(7)
    model = SASRec(SASRecConfig(num_items=NUM_ITEMS), seed=1)
    before = [rng.integers(0, NUM_ITEMS, size=size) for size in rng.geometric(1 / 12, size=NUM_USERS)]
    before = [items[-50:] for items in before]
    has_changed_U = rng.random(NUM_USERS) < CHANGED
    now = [
        np.append(items, rng.integers(0, NUM_ITEMS))[-50:] if has_changed else items
        for items, has_changed in zip(before, has_changed_U, strict=True)
    ]
    kept = KeptStates(load_settings(home=folder), "benchmark", EXPLAINED_EVENTS)

    def encode(histories: list[np.ndarray]) -> np.ndarray:
        return encode_in_shares(encoder_of(model, EXPLAINED_EVENTS), histories, processes=1)

    kept.write(brought_up_to_date(States.none(), before, encode)[0])
    yesterday = kept.path.read_bytes()
    seconds, reference = [], []
    for _ in range(_REPEATS):
        begun = time.perf_counter()
        anew, _ = brought_up_to_date(States.none(), now, encode)
        reference.append(time.perf_counter() - begun)
        kept.path.write_bytes(yesterday)
        begun = time.perf_counter()
        states, encoded = brought_up_to_date(kept.read(), now, encode)
        kept.write(states)
        seconds.append(time.perf_counter() - begun)
        if not np.array_equal(states.states_SD, anew.states_SD):
            raise RuntimeError("kept states are not those of encoding everybody")
    unit = f"s ({encoded:,} of {len(states.digests_S2):,} histories encoded)"
    yield figure(
        "ranking.unchanged",
        median(seconds),
        unit,
        median(reference),
        "every history encoded, in the same run",
    )
