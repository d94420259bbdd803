"""Shares of the users ranked by Spark's workers, for audiences beyond one machine: the same lists, byte for byte.

A task is given paths and reads what they name: the day's tables, the champion, its states. A worker does so once and ranks
share after share; so it holds what a process of one machine holds. What a task finds it writes to a file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from jobs.io.lake import Lake
from jobs.ranking.ladder import Ladder, ladder_of
from jobs.ranking.list_rows import rows_of_share
from jobs.ranking.next_item import NextItemModel
from jobs.ranking.score_model import Model
from jobs.ranking.shares import one_thread, shares_of
from jobs.ranking.world import FloatArray, IntArray, load_world

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark import SparkContext


@dataclass(frozen=True)
class Scene:
    """What is ranked by: a day's world, a champion (or none), and how long lists are."""

    lake: Path
    day: date
    inputs: str  # digest of all that the lists depend on: a day that is built anew is another scene
    model: Path | None
    model_digest: str
    length: int
    num_candidates: int
    repeats_allowed: bool

    def load_model(self) -> Model | None:
        from jobs.io.model_files import load_model

        return load_model(self.model, self.model_digest) if self.model is not None else None


@dataclass(frozen=True)
class EncodeShare:
    """Some histories to be encoded."""

    scene: Scene
    histories: tuple[IntArray, ...]
    to: Path

    def run(self) -> None:
        model = _model(self.scene)
        assert isinstance(model, NextItemModel)
        with one_thread():
            _write_array(model.encode(self.histories), self.to)


@dataclass(frozen=True)
class RankShare:
    """Some users to be ranked."""

    scene: Scene
    states: Path | None
    share: int
    to: Path

    def run(self) -> None:
        import pyarrow.parquet as pq

        with one_thread():
            ladder = _ladder(self.scene, self.states)
            rows = rows_of_share(ladder, shares_of(len(ladder.world.user_ids))[self.share])
        begun = self.to.with_suffix(f".{self.share}.begun")
        pq.write_table(rows, begun)
        begun.replace(self.to)


def encode_on_spark(
    spark: SparkContext, scene: Scene, folder: Path, histories: Sequence[IntArray]
) -> FloatArray:
    """The states of histories; those of like length come together."""
    from jobs.features.tasks import run_on_spark

    order = np.argsort([len(items) for items in histories], kind="stable").astype(np.int64)
    shares = [tuple(histories[place] for place in order[share]) for share in shares_of(len(histories))]
    files = [folder / f"{number:05d}.npy" for number in range(len(shares))]
    run_on_spark(spark, [EncodeShare(scene, share, path) for share, path in zip(shares, files, strict=True)])
    model = scene.load_model()
    assert isinstance(model, NextItemModel)
    states_UD = np.concatenate([model.encode([]), *(np.load(path) for path in files)])
    return states_UD[np.argsort(order)]


def rank_on_spark(
    spark: SparkContext, scene: Scene, folder: Path, num_users: int, states: Path | None
) -> Iterator[pa.Table]:
    """The rows of each share, in order.

    Args:
        states: of everybody's history, see ``jobs/io/kept_states.py``; none where none are kept.
    """
    import pyarrow.parquet as pq

    from jobs.features.tasks import file_of, run_on_spark

    files = [file_of(folder, number) for number in range(len(shares_of(num_users)))]
    run_on_spark(spark, [RankShare(scene, states, number, path) for number, path in enumerate(files)])
    for path in files:
        yield pq.read_table(path, partitioning=None)


@lru_cache(maxsize=1)
def _model(scene: Scene) -> Model | None:
    return scene.load_model()


@lru_cache(maxsize=1)
def _ladder(scene: Scene, states: Path | None) -> Ladder:
    """Everything that a worker needs, read once and not for each share."""
    from jobs.io.kept_states import read_states

    return ladder_of(
        load_world(Lake(scene.lake), scene.day),
        _model(scene),
        length=scene.length,
        num_candidates=scene.num_candidates,
        repeats_allowed=scene.repeats_allowed,
        encode=read_states(states).encode if states is not None else None,
    )


def _write_array(states_UD: FloatArray, to: Path) -> None:
    begun = to.with_suffix(".begun")
    with begun.open("wb") as stream:
        np.save(stream, states_UD)
    begun.replace(to)
