"""Experiments as types: who gets another set of rules than the surface's own, and which; ``serving`` assigns.

Written in ``expectations/serving_rules.toml`` with the rules; ``docs/serving.md`` tells how they are read.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

#: Into so many buckets people are dealt; an experiment takes a row of them.
NUM_BUCKETS = 10_000

Name = Annotated[str, Field(pattern="^[a-z0-9][a-z0-9_-]{0,63}$")]


class _Part(BaseModel):
    """A part of the file: a misspelt name is refused, and what was read does not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Variant(_Part):
    """What some of an experiment's people get."""

    name: Name
    weight: int = Field(
        ge=1, le=NUM_BUCKETS
    )  # of the experiment's people, beside those of the other variants
    rules: Name | None = None  # the section whose rules hold; without one the surface's own do
    is_shadow: bool = False  # what it would show is logged, and the surface's own is shown


class Experiment(_Part):
    """Variants side by side, on some surfaces, for a part of all people."""

    name: Name
    surfaces: Annotated[tuple[Name, ...], Field(min_length=1)]
    layer: Name = (
        "default"  # people are dealt anew in each layer, so that experiments of two say nothing of each other
    )
    buckets: tuple[
        Annotated[int, Field(ge=0, lt=NUM_BUCKETS)], Annotated[int, Field(gt=0, le=NUM_BUCKETS)]
    ] = (0, NUM_BUCKETS)  # from, and up to but not with
    variants: Annotated[tuple[Variant, ...], Field(min_length=2)]

    @model_validator(mode="after")
    def _can_be_told_apart(self) -> Experiment:
        first, end = self.buckets
        if first >= end:
            raise ValueError(f"{self.name}: buckets {first} to {end} hold nobody")
        names = [variant.name for variant in self.variants]
        if len(set(names)) < len(names):
            raise ValueError(f"{self.name}: two variants have one name: {', '.join(names)}")
        return self

    @property
    def share(self) -> float:
        """The part of all people who take part."""
        return (self.buckets[1] - self.buckets[0]) / NUM_BUCKETS


def refuse_overlapping(experiments: Sequence[Experiment]) -> None:
    """On one surface nobody may be in two experiments, and no two have one name.

    Raises:
        ValueError: names the two and the way out.
    """
    for one, other in combinations(experiments, 2):
        if one.name == other.name:
            raise ValueError(f"two experiments are called {one.name}: their people could not be told apart")
        shared = sorted(set(one.surfaces) & set(other.surfaces))
        if one.layer == other.layer:
            if max(one.buckets[0], other.buckets[0]) < min(one.buckets[1], other.buckets[1]):
                raise ValueError(
                    f"{one.name} and {other.name} share buckets of layer {one.layer}: give them buckets apart, or layers of their own"
                )
        elif shared:
            raise ValueError(
                f"{one.name} and {other.name} share surface {shared[0]} in two layers, and somebody would be in both: give them "
                "one layer and buckets apart"
            )
