"""Exploration as types: the places that may go to items which were hardly shown, and how probable each of them is there."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from contracts.decisions import MOST_ITEMS

Place = Annotated[int, Field(ge=1, le=MOST_ITEMS)]


class Explore(BaseModel):
    """How some places of a surface are given away, as ``expectations/serving_rules.toml`` says it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    policy: Literal["epsilon_greedy", "thompson"]
    places: Annotated[tuple[Place, ...], Field(min_length=1, max_length=10)]
    most_items: int = Field(default=20, ge=1, le=100)  # that take part in all places together
    shown_less_than: int = Field(
        default=100, ge=1
    )  # an item is new as long as it was shown less often in 28 days
    epsilon: float = Field(
        default=0.1, gt=0, le=1
    )  # the share of draws of epsilon_greedy that everybody has alike

    @model_validator(mode="after")
    def _names_places_once(self) -> Explore:
        if len(set(self.places)) < len(self.places):
            raise ValueError(f"places {list(self.places)} name one twice")
        return self


class PublishedSlot(BaseModel):
    """A place that is drawn for, as it is published with a version."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    place: Place
    items: tuple[str, ...]  # ids of those who may stand there beside what the list itself has
    probabilities: tuple[float, ...]  # of what the list has there, then of each of the items; they sum to 1
