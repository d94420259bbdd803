"""The page of a group of benchmarks: the last figure of each that was kept."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def last_figures(kept: Path, group: str) -> list[dict[str, Any]]:
    """Of each figure of the group the line that was written last, in the order in which they were first measured."""
    figures: dict[str, dict[str, Any]] = {}
    for line in kept.read_text(encoding="utf-8").splitlines() if kept.exists() else []:
        found = json.loads(line)
        if found["name"].startswith(f"{group}."):
            figures[found["name"]] = found
    return list(figures.values())


def page(group: str, about: Sequence[str], figures: Sequence[dict[str, Any]]) -> str:
    """Markdown: a table of the figures, what they mean, and the tables behind those that have one.

    Args:
        about: the docstrings of the group's benchmarks.
    """
    rows = [
        f"| `{each['name']}` | {each['value']:,.2f} | {each['unit']} | {each['reference']:,.2f} | {each['ratio']:.2f} "
        f"| {each['reference_is']} | {each['machine']} |"
        for each in figures
    ]
    return "\n".join(
        [
            f"# Benchmarks: {group}",
            "",
            f"Written by `make bench ONLY={group} DOCS=docs`; every figure on this page is printed by it. Each stands beside a",
            "reference that was measured in the same run, on the same machine; other programs may have run on it as well.",
            "",
            *(line for each in about for line in (each.strip().replace("``", "`"), "")),
            "| figure | value | unit | reference | value / reference | reference is | machine |",
            "|---|---|---|---|---|---|---|",
            *rows,
            "",
            *(line for each in figures if each.get("table") for line in _table(each["name"], each["table"])),
        ]
    )


def _table(name: str, table: dict[str, Any]) -> list[str]:
    """The lines that stand behind a figure."""
    return [
        f"## `{name}`",
        "",
        table["about"],
        "",
        f"| {' | '.join(table['columns'])} |",
        "|---" * len(table["columns"]) + "|",
        *(f"| {' | '.join(row)} |" for row in table["rows"]),
        "",
    ]


def write_page(docs: Path, group: str, about: Sequence[str], kept: Path) -> Path:
    path = docs / f"{group}-bench.md"
    path.write_text(page(group, about, last_figures(kept, group)), encoding="utf-8")
    return path
