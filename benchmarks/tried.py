"""What else a transformer's shape might have been: NDCG@10 on validation, which chose, and on nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import answers
from benchmarks.answers import drawn, gains, places_of
from benchmarks.contests import Contest, changed
from benchmarks.figure import Figure, Table, figure
from benchmarks.kept import code_of, digest_of
from benchmarks.seeds import Seeds
from benchmarks.standing import Gains, by_user
from benchmarks.transformer import Shape, of_state
from models.metrics import paired_bootstrap

_SEED = 1  # the first seed of the contest is the chosen shape's line


def tried(name: str, held: Contest, seeds: Seeds) -> Figure:
    """The shape of a contest beside each that was tried instead."""
    users_Q = drawn(seeds.split.validation).users_Q
    chosen, gains_Q = _validated(seeds, held.shape)
    rows, ndcg = [("**as it is**", *_cells(chosen), "")], []
    for changes in held.tried:
        found, others_Q = _validated(seeds, changed(held.shape, changes))
        ahead = paired_bootstrap(*by_user(gains_Q, others_Q, users_Q), 2_000, np.random.default_rng(7))
        rows.append(
            (_told(changes), *_cells(found), f"{ahead.mean:+.4f} [{ahead.low:+.4f}, {ahead.high:+.4f}]")
        )
        ndcg.append(float(found["ndcg"]))
    about = (
        f"{seeds.name} on validation: {len(users_Q):,} questions, one seed each. As it is: {_told(held.shape.model)}; "
        f"{_told(_training(held.shape))}."
    )
    columns = ("tried", "NDCG@10 on validation", "best epoch", "seconds", "as it is ahead by")
    measured = figure(
        name,
        1000 * float(chosen["ndcg"]),
        f"NDCG@10 on validation in thousandths, one seed, beside {len(ndcg)} that were tried",
        1000 * max(ndcg),
        "the best of what else was tried",
    )
    return replace(measured, table=Table(about, columns, tuple(rows)))


def _validated(seeds: Seeds, shape: Shape) -> tuple[dict[str, Any], Gains]:
    """What was found on validation, and NDCG@10 of each of its questions."""
    found, weights = seeds.learn(shape, _SEED)
    events, asked = seeds.events, drawn(seeds.split.validation)
    validated = seeds.kept.once(
        digest_of({"validated": seeds.digest(shape, _SEED)}, code_of(Path(answers.__file__))),
        f"{seeds.name} validated",
        lambda: {
            "places": places_of(
                of_state(events, shape, weights), asked, repeats_allowed=events.repeats_allowed
            ).tolist()
        },
    )
    return found, gains(np.array(validated["places"]))


def _cells(found: Mapping[str, Any]) -> tuple[str, str, str]:
    of = len(found["curve"])
    return f"{found['ndcg']:.4f}", f"{found['epochs']} of {of}", f"{found['seconds']:.0f}"


def _training(shape: Shape) -> dict[str, Any]:
    train = shape.train
    return {
        "loss": train.loss or ("sampled" if train.num_negatives else "full"),
        "num_negatives": train.num_negatives,
        "learning_rate": train.learning_rate,
        "batch_size": train.batch_size,
        "averaging": train.averaging,
        "epochs": train.epochs,
        "patience": train.patience,
    }


def _told(settings: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{name.replace('_', ' ').removeprefix('num ')} {value}"
        for name, value in settings.items()
        if value is not None
    )
