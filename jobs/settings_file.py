"""A home's ``settings.env``: some of its variables set, everything else as a person has left it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from contracts.settings import Settings
from jobs.io.commit import write_durably


def write_settings(settings: Settings, values: Mapping[str, str]) -> Path:
    """Set variables in ``HOME/settings.env``; returns the file."""
    path = settings.home / "settings.env"
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o600  # there may be passwords in it
    write_durably(path, with_values(before, values), mode=mode)
    return path


def with_values(text: str, values: Mapping[str, str]) -> str:
    """The text of a ``settings.env`` with some variables set: each in its old place, new ones at the end."""
    left, lines = dict(values), []
    for line in text.splitlines():
        name = line.partition("=")[0].strip().removeprefix("export ").strip().upper()
        if name not in values:
            lines.append(line)
        elif name in left:  # set twice, the last would count
            lines.append(f"{name}={left.pop(name)}")
    return "".join(f"{line}\n" for line in [*lines, *(f"{name}={value}" for name, value in left.items())])
