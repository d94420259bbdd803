"""What people have found out about days: ``expectations/annotations.yml``, or the file that a setting names."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from contracts.errors import SettingInvalid
from contracts.settings import Settings

Mark = Literal["expected", "wrong", "incident"]
Text = Annotated[str, Field(min_length=1, max_length=500)]


class Annotation(BaseModel):
    """One note on a day, or on several in a row."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    day: date | None = None
    first: date | None = Field(default=None, alias="from")
    last: date | None = Field(default=None, alias="to")
    mark: Mark
    note: Text
    author: Text

    @model_validator(mode="after")
    def _has_days(self) -> Self:
        is_span = self.first is not None and self.last is not None
        if (self.day is not None) == (self.first is not None or self.last is not None) or (
            self.day is None and not is_span
        ):
            raise ValueError("give either day, or both from and to")
        if self.first is not None and self.last is not None and self.first > self.last:
            raise ValueError(f"from {self.first} is later than to {self.last}")
        return self

    @property
    def begins(self) -> date:
        begins = self.day or self.first
        assert begins is not None
        return begins

    @property
    def ends(self) -> date:
        ends = self.day or self.last
        assert ends is not None
        return ends

    @property
    def days(self) -> str:
        return str(self.begins) if self.begins == self.ends else f"{self.begins} to {self.ends}"

    def covers(self, day: date) -> bool:
        return self.begins <= day <= self.ends


class _Loader(yaml.SafeLoader):
    """YAML's safe loader, but days stay text: a 31st of April is then refused with the entry that names it."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, form) for tag, form in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    annotations: tuple[Annotation, ...]


def load_annotations(settings: Settings) -> tuple[Annotation, ...]:
    """The notes, oldest first.

    Raises:
        SettingInvalid: the file is missing, is no YAML, or an entry is not what it should be; the message names it.
    """
    name = settings.annotations or "expectations/annotations.yml"
    try:
        text = (
            Path(settings.annotations).read_text(encoding="utf-8")
            if settings.annotations
            else files("expectations").joinpath("annotations.yml").read_text(encoding="utf-8")
        )
    except (OSError, UnicodeDecodeError) as error:
        raise SettingInvalid(f"FORETASTE_ANNOTATIONS: {name} cannot be read: {error}") from error
    try:
        found = _File.model_validate(yaml.load(text, Loader=_Loader))  # noqa: S506 - a safe one
    except yaml.YAMLError as error:
        raise SettingInvalid(f"{name} is no YAML: {error}") from error
    except ValidationError as error:
        raise SettingInvalid(f"{name}: {_told(error)}. The file of the package shows an entry") from error
    return tuple(sorted(found.annotations, key=lambda entry: (entry.begins, entry.ends, entry.note)))


def annotations_of(annotations: Sequence[Annotation], day: date) -> list[Annotation]:
    """The notes that cover a day."""
    return [entry for entry in annotations if entry.covers(day)]


def _told(error: ValidationError) -> str:
    return "; ".join(f"{_place(found['loc'])}: {found['msg']}{_given(found)}" for found in error.errors())


def _place(location: Sequence[Any]) -> str:
    """``("annotations", 0, "mark")`` → ``entry 1, mark``: people count from one."""
    if len(location) > 1 and isinstance(location[1], int):
        return ", ".join((f"entry {location[1] + 1}", *map(str, location[2:])))
    return ".".join(map(str, location)) or "the file"


def _given(found: Any) -> str:
    given = found.get("input")
    return f" (given: {given!r})" if isinstance(given, str | int | float) else ""
