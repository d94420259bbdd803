"""Transformers of a contest, seed by seed, and what of them is kept."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from benchmarks import transformer
from benchmarks.data_sets import Events
from benchmarks.kept import Kept, code_of, digest_of, digest_of_split
from benchmarks.transformer import Shape
from models.recommender import State
from models.splits import Split


@dataclass(frozen=True)
class Seeds:
    """Trains what is not kept; a change to other recommenders, to tables or to judging throws nothing away."""

    name: str
    events: Events
    split: Split
    kept: Kept

    def learn(self, shape: Shape, seed: int) -> tuple[dict[str, Any], State]:
        """See :func:`benchmarks.transformer.learn`."""
        return self.kept.learnt(
            self.digest(shape, seed),
            f"{self.name} seed {seed}",
            lambda: transformer.learn(self.events, self.split, shape, seed),
        )

    def learn_again(self, shape: Shape, seed: int, epochs: int) -> tuple[dict[str, Any], State]:
        """See :func:`benchmarks.transformer.learn_again`."""
        return self.kept.learnt(
            self.digest(shape, seed, epochs=epochs),
            f"{self.name} seed {seed} again",
            lambda: transformer.learn_again(self.events, self.split, shape, seed, epochs),
        )

    @cached_property
    def data(self) -> dict[str, Any]:
        """What is learnt from and what is asked, by content."""
        return {
            "split": digest_of_split(self.split),
            "items": self.events.num_items,
            "repeats_allowed": self.events.repeats_allowed,
        }

    def digest(self, shape: Shape, seed: int, **more: Any) -> str:
        """What a training follows from."""
        settings = {"shape": asdict(shape), "seed": seed}
        return digest_of(self.data | settings | more, code_of(Path(transformer.__file__)))
