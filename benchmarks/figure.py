"""One measured figure, and how it is printed and kept."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Table:
    """What stands behind a figure, in more lines than one."""

    about: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Figure:
    """A value beside its reference; ``ratio`` is value over reference."""

    name: str
    value: float
    unit: str
    reference: float
    ratio: float
    command: str
    reference_is: str
    machine: str
    table: Table | None = None


#: A benchmark measures one or more figures; it is given a folder of its own.
Benchmark = Callable[[Path], Iterator[Figure]]


def figure(name: str, value: float, unit: str, reference: float, reference_is: str) -> Figure:
    """A figure with its command and the machine filled in."""
    return Figure(
        name=name,
        value=round(value, 3),
        unit=unit,
        reference=round(reference, 3),
        ratio=round(value / reference, 3),
        command=f"make bench ONLY={name}",
        reference_is=reference_is,
        machine=f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
    )


def keep(figure: Figure, path: Path) -> None:
    """Append one JSON line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(asdict(figure)) + "\n")
