"""The gate's bounds, read from the one reviewed file ``expectations/promotion.toml``."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from jobs.reviewed_file import Section, parsed, text_of

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]


class Difference(Section):
    """How far from the champion's a challenger's accuracy may lie."""

    margin: Annotated[float, Field(gt=0, le=1)]
    power: Annotated[float, Field(ge=0.5, lt=1)]
    max_gain: Annotated[float, Field(gt=0, le=1)]


class Slices(Section):
    """How far a slice may fall."""

    floor: Annotated[float, Field(gt=0, le=1)]
    min_kept_of_items: Annotated[float, Field(gt=0, le=1)]
    level: Annotated[float, Field(gt=0, lt=1)]
    min_users: Annotated[int, Field(ge=10)]  # no page tells of fewer people


class Popularity(Section):
    """How much more of what everybody takes may be shown."""

    max_lift_risen: Positive
    max_towards_popular: Share
    max_popular_share: Share


class Coverage(Section):
    """How much of the catalogue has to stay in sight."""

    min_kept: Share


class Exposure(Section):
    """How differently groups of people may be shown the long tail."""

    max_gap_risen: Share
    max_gap: Share


class Speed(Section):
    """How slow scoring may be."""

    max_slowdown: Annotated[float, Field(gt=1)]
    enough_users_per_second: Positive


class Size(Section):
    """How large a model may be."""

    max_megabytes: Positive


class Data(Section):
    """How old what was learnt from may be."""

    max_age_days: Count


class Registered(Section):
    """What the model itself has to know of its twin's answers."""

    min_share_of_twin: Share


class Bounds(Section):
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
    return parse_bounds(text_of("promotion.toml"))


def parse_bounds(text: str) -> Bounds:
    """Bounds from TOML text.

    Raises:
        SettingInvalid: a bound is missing, misspelt or out of its range.
    """
    found: Bounds = parsed(Bounds, text, "promotion.toml", "See docs/architecture.md.")
    return found
