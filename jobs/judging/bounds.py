"""The gate's bounds, read from the one reviewed file ``expectations/promotion.toml``."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from contracts.errors import SettingInvalid

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Difference(_Section):
    """How far from the champion's a challenger's accuracy may lie."""

    margin: Annotated[float, Field(gt=0, le=1)]
    max_gain: Annotated[float, Field(gt=0, le=1)]


class Slices(_Section):
    """How far a slice may fall."""

    floor: Annotated[float, Field(gt=0, le=1)]
    level: Annotated[float, Field(gt=0, lt=1)]
    min_users: Annotated[int, Field(ge=10)]  # no page tells of fewer people


class Popularity(_Section):
    """How much more of what everybody takes may be shown."""

    max_lift_risen: Positive
    max_popular_share: Share


class Coverage(_Section):
    """How much of the catalogue has to stay in sight."""

    min_kept: Share


class Exposure(_Section):
    """How differently groups of people may be shown the long tail."""

    max_gap_risen: Share
    max_gap: Share


class Speed(_Section):
    """How slow scoring may be."""

    max_slowdown: Annotated[float, Field(gt=1)]
    enough_users_per_second: Positive


class Size(_Section):
    """How large a model may be."""

    max_megabytes: Positive


class Data(_Section):
    """How old what was learnt from may be."""

    max_age_days: Count


class Registered(_Section):
    """What the model itself has to know of its twin's answers."""

    min_share_of_twin: Share


class Bounds(_Section):
    """Everything that ``expectations/promotion.toml`` says; its comments say why."""

    difference: Difference
    slices: Slices
    popularity: Popularity
    coverage: Coverage
    exposure: Exposure
    speed: Speed
    size: Size
    data: Data
    registered: Registered


def load_bounds() -> Bounds:
    """Read and check the reviewed file.

    Raises:
        SettingInvalid: a bound is missing, misspelt or out of its range.
    """
    return parse_bounds(files("expectations").joinpath("promotion.toml").read_text(encoding="utf-8"))


def parse_bounds(text: str) -> Bounds:
    """Bounds from TOML text.

    Raises:
        SettingInvalid: a bound is missing, misspelt or out of its range.
    """
    try:
        return Bounds.model_validate(tomllib.loads(text))
    except (tomllib.TOMLDecodeError, ValidationError) as error:
        raise SettingInvalid(f"expectations/promotion.toml: {error}. See docs/architecture.md.") from error
