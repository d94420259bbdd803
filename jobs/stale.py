"""Which partitions were built by other SQL than the project has now, and may a training mix them?

The manifest of a partition carries the hash of its model's compiled SQL (``jobs/io/compiled.py``). A daily run after an edit
builds its own day, and every event day whose model was edited; features of the days before stay what they were until
somebody rebuilds them. Nothing that is published changes by that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from pathlib import Path

from contracts import names
from contracts.errors import GateRefused
from contracts.settings import Settings
from contracts.tables import TABLES
from jobs.io.compiled import CompiledProject, built_project, compile_project
from jobs.io.lake import Lake

EXPORTED = (*names.BY_EVENT_DAY, *names.BY_FEATURE_DAY)


@dataclass(frozen=True)
class Stale:
    """What is out of date after an edit."""

    edited: tuple[str, ...]  # models whose own SQL is another than that which built the newest partitions
    days: dict[str, tuple[date, ...]]  # of each exported table that has stale days
    all_days: dict[str, int]  # of each exported table: how many days there are
    last_day: date | None  # whose features have been built

    @property
    def command(self) -> str:
        """What builds all of it again; empty when nothing is stale."""
        found = sorted({day for name in names.BY_FEATURE_DAY for day in self.days.get(name, ())})
        if (
            not found and self.days and self.last_day
        ):  # event days are all built again with whatever day comes first
            found = [self.last_day]
        return rebuild_command(found[0], found[-1]) if found else ""

    def told(self) -> str:
        """The same for people."""
        if not self.days:
            return "nothing is stale: every partition was built by the SQL that the project has now"
        lines = [f"edited: {', '.join(self.edited)}"] if self.edited else []
        for name, days in self.days.items():
            lines.append(
                f"{TABLES[name].short_name:<26} {len(days)} of {self.all_days[name]} days: {spans(days)}"
            )
        return "\n".join([*lines, f"rebuild them: {self.command}"])

    def as_record(self) -> dict[str, object]:
        """The same for programs."""
        return {
            "edited": list(self.edited),
            "stale": {name: [day.isoformat() for day in days] for name, days in self.days.items()},
            "command": self.command,
        }


def rebuild_command(first: date, last: date) -> str:
    return f"foretaste rebuild --day {first} --to {last}"


def stale(settings: Settings, project: Path | None = None) -> Stale:
    """Compare the lake's manifests with the project as it is now; opens no warehouse."""
    lake, now = Lake.of(settings), compile_project(settings, project)
    found, counts = {}, {}
    for name in EXPORTED:
        days, wanted = lake.days(name), now.hash_of(TABLES[name].short_name)
        counts[name] = len(days)
        old = tuple(day for day, hashed in hashes(lake, name, days).items() if hashed != wanted)
        if old:
            found[name] = old
    built = lake.days(names.BY_FEATURE_DAY[-1])
    return Stale(edited_since(built_project(settings), now), found, counts, built[-1] if built else None)


def edited_since(built: CompiledProject | None, project: CompiledProject) -> tuple[str, ...]:
    """The models of a project whose own SQL differs from that of another, new and removed ones included."""
    before = built.models if built else {}
    names_of_both = [*project.models, *(name for name in before if name not in project.models)]
    return tuple(
        name
        for name in names_of_both
        if name not in before
        or name not in project.models
        or before[name].own_hash != project.models[name].own_hash
    )


def hashes(lake: Lake, table: str, days: Iterable[date]) -> dict[date, str]:
    """The hash of the model that built each day; "" where an older Foretaste has."""
    manifests = {day: lake.manifest(table, day) for day in days}
    return {day: manifest.model_hash for day, manifest in manifests.items() if manifest is not None}


def refuse_mixed(lake: Lake, read: Mapping[str, Iterable[date]]) -> None:
    """Refuse a training that would read one table as two different queries built it.

    Raises:
        GateRefused: the message names the table, the days that differ from the newest, and what mends it.
    """
    for table, days in read.items():
        found = hashes(lake, table, sorted(days))
        if len(set(found.values())) < 2:
            continue
        newest = max(found)
        others = [day for day, hashed in found.items() if hashed != found[newest]]
        raise GateRefused(
            f"{table} of {spans(others)} was built by other SQL than that of {newest}: a model that learned from both would "
            f"take the edit for a change of taste. Rebuild, then retrain: {rebuild_command(min(found), newest)}"
        )


def spans(days: Iterable[date]) -> str:
    """Days as people write them: 2011-03-01 to 2011-03-04, 2011-03-09."""
    told = []
    for _, group in groupby(enumerate(sorted(days)), key=lambda pair: pair[1].toordinal() - pair[0]):
        run = [day for _, day in group]
        told.append(f"{run[0]}" if len(run) == 1 else f"{run[0]} to {run[-1]}")
    shown = told if len(told) <= 6 else [*told[:5], f"… and {len(told) - 5} more spans"]
    return ", ".join(shown)
