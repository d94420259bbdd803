"""The drift monitor's thresholds, read from the one reviewed file ``expectations/drift.toml``."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from jobs.reviewed_file import Section, parsed, text_of

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]


class Rollback(Section):
    """When a new champion gives way to the former one."""

    days: Count
    clicks_lost: Share


class Evidence(Section):
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


class Validity(Section):
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


class Features(Section):
    """When the distributions of the features have moved."""

    min_share_drifted: Share
    threshold: Positive
    lookback_days: dict[str, Annotated[int, Field(ge=0)]]


class Predictions(Section):
    """When the champion's lists have moved."""

    category_bits: Share
    item_bits: Share


class People(Section):
    """When what people do has moved."""

    category_bits: Share
    item_bits: Share
    taste_lost: Share
    taste_lost_recently: Share
    min_taste_lead: Share
    unknown_items: Share
    unknown_categories: Share


class Outcomes(Section):
    """When what follows the lists has fallen."""

    ctr_lost: Share
    conversion_lost: Share
    accuracy_lost: Share
    ndcg_below_popularity: Share


class Loop(Section):
    """When the lists have narrowed."""

    coverage_lost: Share
    gini_risen: Share
    popularity_lift_risen: Positive


class Alarm(Section):
    """How often the alarm may ring."""

    cooldown_days: Annotated[int, Field(ge=0)]
    recent_days: Annotated[int, Field(ge=2)]
    settle_growth: Annotated[float, Field(gt=1)]
    settle_days: Annotated[int, Field(ge=0)]


class Thresholds(Section):
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
    return parse_thresholds(text_of("drift.toml"))


def parse_thresholds(text: str) -> Thresholds:
    """Thresholds from TOML text.

    Raises:
        SettingInvalid: a threshold is missing, misspelt or out of its range.
    """
    found: Thresholds = parsed(Thresholds, text, "drift.toml", "See docs/monitoring.md.")
    return found
