"""The files in ``expectations/`` that decide and that people review: TOML, of which nothing unknown is read over."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from typing import Any

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from contracts.errors import SettingInvalid


class Section(BaseModel):
    """A part of such a file: a misspelt name is refused, and what was read does not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def text_of(name: str) -> str:
    """What stands in a file of ``expectations/``."""
    return files("expectations").joinpath(name).read_text(encoding="utf-8")


def parsed(kind: Any, text: str, name: str, way_out: str) -> Any:
    """What TOML text says, as a kind (a model, or any type that pydantic knows).

    Args:
        name: of the file, and ``way_out``: where to look, for whoever has to mend it.

    Raises:
        SettingInvalid: something is missing, misspelt or out of its range.
    """
    try:
        return TypeAdapter(kind).validate_python(tomllib.loads(text))
    except (tomllib.TOMLDecodeError, ValidationError) as error:
        raise SettingInvalid(f"expectations/{name}: {error}. {way_out}") from error
