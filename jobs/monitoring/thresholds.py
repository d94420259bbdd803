"""The drift monitor's thresholds, read from the one reviewed file ``expectations/drift.toml``."""

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


class Rollback(_Section):
    """When a new champion gives way to the former one."""

    days: Count
    clicks_lost: Share


class Evidence(_Section):
    """What a judgement needs before it says anything."""

    min_rows: Count
    min_people_of_type: Count
    min_users: Count
    reference_days: Count
    sample_rows: Count
    panel_rows: Count
    noise_draws: Annotated[int, Field(ge=10)]
    noise_sigmas: Positive
    persistence: Share


class Validity(_Section):
    """When data is broken rather than changed."""

    sound_days: Annotated[int, Field(ge=7)]
    min_volume: Share
    min_open_days: Share
    max_null_rise: Share
    min_type_share: Share
    kept_type_share: Share
    max_silent_days: Annotated[int, Field(ge=0)]
    min_recent_volume: Share
    max_events_lost: Share
    crowd_factor: Positive
    max_crowd_share: Share
    max_busiest_rise: Share
    price_factor: Annotated[float, Field(gt=1)]
    max_price_jumps: Share


class Features(_Section):
    """When the distributions of the features have moved."""

    min_share_drifted: Share
    threshold: Positive
    lookback_days: dict[str, Annotated[int, Field(ge=0)]]


class Predictions(_Section):
    """When the champion's lists have moved."""

    category_bits: Share
    item_bits: Share


class People(_Section):
    """When what people do has moved."""

    category_bits: Share
    item_bits: Share
    taste_lost: Share
    taste_lost_recently: Share
    min_taste_lead: Share
    unknown_items: Share
    unknown_categories: Share


class Outcomes(_Section):
    """When what follows the lists has fallen."""

    ctr_lost: Share
    conversion_lost: Share
    accuracy_lost: Share
    ndcg_below_popularity: Share


class Loop(_Section):
    """When the lists have narrowed."""

    coverage_lost: Share
    gini_risen: Share
    popularity_lift_risen: Positive


class Alarm(_Section):
    """How often the alarm may ring."""

    cooldown_days: Annotated[int, Field(ge=0)]
    recent_days: Annotated[int, Field(ge=2)]
    settle_growth: Annotated[float, Field(gt=1)]
    settle_days: Annotated[int, Field(ge=0)]


class Thresholds(_Section):
    """Everything that ``expectations/drift.toml`` says; its comments say why."""

    alarm: Alarm
    rollback: Rollback
    evidence: Evidence
    validity: Validity
    features: Features
    people: People
    predictions: Predictions
    outcomes: Outcomes
    loop: Loop


def load_thresholds() -> Thresholds:
    """Read and check the reviewed file.

    Raises:
        SettingInvalid: a threshold is missing, misspelt or out of its range.
    """
    return parse_thresholds(files("expectations").joinpath("drift.toml").read_text(encoding="utf-8"))


def parse_thresholds(text: str) -> Thresholds:
    """Thresholds from TOML text.

    Raises:
        SettingInvalid: a threshold is missing, misspelt or out of its range.
    """
    try:
        return Thresholds.model_validate(tomllib.loads(text))
    except (tomllib.TOMLDecodeError, ValidationError) as error:
        raise SettingInvalid(f"expectations/drift.toml: {error}. See docs/monitoring.md.") from error
