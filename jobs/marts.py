"""The marts for any SQL tool: HOME/marts holds the Parquet files of the lake that count, and nothing else.

A folder of the lake also keeps the revision before, for readers that are still at it, and a manifest that says which
file counts. SQL tools know no manifests: they are given links to the files, read-only, under
``marts/<table>/day=<day>/``.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

from contracts import names
from contracts.settings import Settings
from jobs.io.lake import Lake

MARTS = (names.FCT_INTERACTIONS, names.FCT_IMPRESSIONS, names.FCT_DECISIONS, names.DIM_ITEMS)


def refresh_marts(settings: Settings) -> int:
    """Link what is new and unlink what no longer counts; returns the number of files."""
    lake, root = Lake.of(settings), settings.marts_path
    wanted = {
        root / names.partition(table.rsplit("/", 1)[-1], day) / path.name: path
        for table in MARTS
        for day in lake.days(table)
        for path in lake.files(table, [day])
    }
    there = set(root.glob("*/day=*/*.parquet"))
    for link in sorted(set(wanted) - there):
        link.parent.mkdir(parents=True, exist_ok=True)
        _link(wanted[link], link)
    for link in there - set(wanted):  # last, so that no day is without a file in between
        link.unlink()
    return len(wanted)


def _link(path: Path, link: Path) -> None:
    """Another name of the same file; a copy where the lake lies on another disk."""
    with suppress(PermissionError):  # somebody else's file is read-only for us anyway
        path.chmod(0o444)
    try:
        link.hardlink_to(path)
    except OSError:
        staged = link.with_suffix(f".{os.getpid()}")
        shutil.copy2(path, staged)
        staged.replace(link)
