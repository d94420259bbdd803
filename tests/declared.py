"""A value of every declared feature that its gate lets through: a new feature needs no word in any test."""

from __future__ import annotations

from contracts.features import Feature
from contracts.tables import Table


def valid_features(table: Table) -> dict[str, float | bool | str]:
    """One value for each feature of a table, the least that its bounds allow and never below zero."""
    return {feature.name: valid_value(feature) for feature in table.features}


def valid_value(feature: Feature) -> float | bool | str:
    if feature.data_type == "text":
        return feature.name
    if feature.data_type == "boolean":
        return False
    least = max(feature.at_least or 0, 0)
    return least if feature.data_type == "double precision" else int(least)
