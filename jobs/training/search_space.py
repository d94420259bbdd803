"""The settings that a search tries, read from the one reviewed file ``expectations/search.toml``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import Field, ValidationError, model_validator

from contracts.errors import SettingInvalid
from contracts.settings import Settings
from jobs.reviewed_file import Section, parsed, text_of

#: The settings that a transformer is trained with and that nothing else depends on.
TUNABLE = (
    "sasrec_learning_rate",
    "sasrec_dropout",
    "sasrec_width",
    "sasrec_blocks",
    "sasrec_horizon",
    "train_half_life_days",
)


class Range(Section):
    """Any number between two ends, both included."""

    low: float
    high: float
    log: bool = False

    @model_validator(mode="after")
    def _rises(self) -> Self:
        if self.low >= self.high or (self.log and self.low <= 0):
            raise ValueError(
                f"low {self.low} has to be below high {self.high}, and above 0 where log is true"
            )
        return self

    @property
    def ends(self) -> tuple[float, ...]:
        return (self.low, self.high)

    def including(self, value: float) -> Range:
        """The same, as far as the value."""
        return self.model_copy(update={"low": min(self.low, value), "high": max(self.high, value)})


class Choices(Section):
    """One of some whole numbers."""

    choices: Annotated[tuple[int, ...], Field(min_length=2)]

    @property
    def ends(self) -> tuple[float, ...]:
        return self.choices

    def including(self, value: float) -> Choices:
        """The same and the value."""
        return Choices(choices=tuple(sorted({*self.choices, int(value)})))


Space = Mapping[str, Range | Choices]


def load_space() -> Space:
    """The space of ``expectations/search.toml``.

    Raises:
        SettingInvalid: it names no setting of a transformer, or one of its values cannot work.
    """
    return read_space(text_of("search.toml"))


def read_space(text: str) -> Space:
    """The space that a text in TOML describes.

    Raises:
        SettingInvalid: see :func:`load_space`.
    """
    space: Space = parsed(
        dict[str, Range | Choices], text, "search.toml", "Its comments say what may stand there."
    )
    if strange := sorted(set(space) - set(TUNABLE)):
        raise SettingInvalid(
            f"expectations/search.toml: {strange[0]} is nothing to search for; there are {', '.join(TUNABLE)}"
        )
    for name, values in space.items():
        for value in values.ends:
            _refuse_wrong(name, value)
    return space


def including(space: Space, chosen: Mapping[str, Any]) -> Space:
    """The space with the settings that are in force.

    Raises:
        SettingInvalid: a width does not fit the heads that are in force.
    """
    for width in space["sasrec_width"].ends if "sasrec_width" in space else ():
        if width % chosen["sasrec_heads"]:
            raise SettingInvalid(
                f"expectations/search.toml: sasrec_width = {width} is not a multiple of FORETASTE_SASREC_HEADS="
                f"{chosen['sasrec_heads']}"
            )
    return {name: values.including(chosen[name]) for name, values in space.items()}


def is_whole(name: str) -> bool:
    """Is the setting a whole number?"""
    return Settings.model_fields[name].annotation is int


def _refuse_wrong(name: str, value: float) -> None:
    try:
        Settings.__pydantic_validator__.validate_assignment(Settings.model_construct(), name, value)
    except ValidationError as error:
        raise SettingInvalid(
            f"expectations/search.toml: {name} = {value}: {error.errors()[0]['msg']}"
        ) from error
