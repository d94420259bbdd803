"""Features, as ``dbt_project/models/features`` declares them: to add one is to write its SQL and its YAML, nothing else.

The YAML of a feature model says of each column what it means, in which unit, from which sources and within which bounds.
Everything else follows from it: the table's contract, the gate, what the ranker learns from, what is published and
the document.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from contracts.errors import ProjectInvalid

MODELS = Path(__file__).resolve().parents[1] / "dbt_project" / "models" / "features"

NUMBERS = ("integer", "bigint", "double precision", "boolean")


class Feature(BaseModel):
    """One feature: a column of a feature table that is no key, with what its ``config.meta`` says."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    table: str  # the model's name
    name: str
    data_type: Literal["integer", "bigint", "double precision", "boolean", "text"]
    description: str = Field(min_length=1)
    unit: str = Field(min_length=1, description="days, events, cents, millionths, …")
    source: tuple[str, ...] = Field(min_length=1, description="What the shop delivers that it is made of.")
    owner: str = Field(min_length=1, description="The model's, where the column names none.")
    missing: str | None = Field(
        default=None, description="What it means when it is null; absent: never null."
    )
    at_least: float | None = Field(default=0, description="Its lower bound; null where it may be below zero.")
    at_most: float | None = Field(default=None, description="Its upper bound.")

    @property
    def is_number(self) -> bool:
        return self.data_type in NUMBERS


def declared_columns(model: str) -> dict[str, str]:
    """Columns and types of a feature model, in the order of its YAML.

    Raises:
        ProjectInvalid: no YAML below ``dbt_project/models/features`` describes the model, or a column has no type.
    """
    columns = {column.get("name"): column.get("data_type") for column in _declared(model)["columns"]}
    untyped = [name for name, data_type in columns.items() if not name or not data_type]
    if untyped:
        raise ProjectInvalid(
            f"{MODELS}: {model} has a column without name or data_type: {untyped[0]}. Write both"
        )
    return columns


def declared_grain(model: str) -> str:
    """The model's description: what one row is."""
    return " ".join(str(_declared(model).get("description") or "").split())


@cache
def features_of(model: str, keys: tuple[str, ...]) -> tuple[Feature, ...]:
    """The features of a model: every column that is none of the keys, in the order of its YAML.

    Raises:
        ProjectInvalid: a column does not say what it is; names model, column, field and the way out.
    """
    declared = _declared(model)
    owner = _meta(declared).get("owner", "personalization")
    found = []
    for column in declared["columns"]:
        if column["name"] in keys:
            continue
        told = {"owner": owner} | _meta(column)
        try:
            found.append(
                Feature(
                    table=model,
                    name=column["name"],
                    data_type=column.get("data_type"),
                    description=" ".join(str(column.get("description") or "").split()),
                    **told,
                )
            )
        except ValidationError as error:
            wrong = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
            raise ProjectInvalid(
                f"{MODELS}: {model}.{column['name']} is not described as a feature has to be: {wrong}. "
                "Give it a description and config: {meta: {unit: …, source: […]}}, as docs/dbt.md shows"
            ) from error
    return tuple(found)


def _meta(node: dict[str, Any]) -> dict[str, Any]:
    return dict((node.get("config") or {}).get("meta") or {})


def _declared(model: str) -> dict[str, Any]:
    for declared in _models():
        if declared.get("name") == model:
            return declared
    raise ProjectInvalid(
        f"{MODELS}: no YAML file describes the model {model}. Describe it in _features__models.yml"
    )


@cache
def _models() -> tuple[dict[str, Any], ...]:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast, where libyaml is there
    found: list[dict[str, Any]] = []
    for path in sorted(MODELS.glob("*.yml")):
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=loader) or {}  # noqa: S506  (a safe loader)
        found += content.get("models") or []
    return tuple(found)
