"""The Feature Definition Document as Markdown, and what its page draws."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from jobs.feature_document import Document, Entry, TableEntry

_ONLY_CAST = re.compile(r"(cast\()?\s*(coalesce\()?[\w.]+(, 0\))?( as [\w ]+\))?")
_INTRODUCTION = """# Features

What each feature is, how it is computed, from what, and who uses it: read from the YAML and SQL of
`dbt_project/models/features`, from `expectations/drift.toml` and the ranker. To add a feature is to write its SQL and its YAML
there; contract, gate, training set, online store and this document follow. Written by `foretaste feature-document`."""


def markdown(document: Document) -> str:
    """The document; with the figures of the last run where there are any."""
    lines = [_INTRODUCTION, f"{document.num_features} features in {len(document.tables)} tables."]
    for table in document.tables:
        lines.append(f"## {table.name}")
        lines.append(" ".join(filter(None, (table.table.grain, _freshness(table), _exposed(table)))))
        lines += ["\n".join(_entry(table, entry)) for entry in table.entries]
    return "\n\n".join(lines) + "\n"


def _freshness(table: TableEntry) -> str:
    return f"Last partition: {table.last_day}, {table.age_days} days ago." if table.last_day else ""


def _exposed(table: TableEntry) -> str:
    return f"Exposed to: {', '.join(table.exposures)}." if table.exposures else ""


def _entry(table: TableEntry, entry: Entry) -> Iterator[str]:
    feature = entry.feature
    yield f"### {table.name}.{feature.name}"
    yield ""
    yield feature.description
    yield ""
    yield f"* Unit: {feature.unit}; made of: {', '.join(feature.source)}; owner: {feature.owner}"
    if feature.missing is not None:
        yield f"* Null: {feature.missing}"
    yield f"* Used by: {'; '.join(uses(entry))}"
    yield f"* Reads: {', '.join(entry.lineage.models)}; all from {', '.join(entry.lineage.origins)}"
    if entry.distribution is not None:
        found = entry.distribution
        drawn = f", `{sparkline(found.bins)}`" if found.bins else ""
        yield f"* Last run: {', '.join(figures(entry))}{drawn}"
    if entry.lineage.steps:
        yield ""
        yield "```sql"
        yield from (f"{step.place}.{step.column} = {step.expression}" for step in entry.lineage.steps)
        yield "```"


def uses(entry: Entry) -> list[str]:
    """Who uses a feature, in words."""
    found = []
    if entry.ranker:
        told = {None: "", True: "", False: ", not learnt by the champion"}[entry.is_learnt]
        size = f", weight {entry.weight:.2f}" if entry.weight is not None else ""
        found.append(f"ranker ({entry.ranker}{size}{told})")
    if entry.gate:
        found.append(f"gate ({entry.gate})")
    if entry.drift:
        found.append(f"drift monitor ({entry.drift})")
    return [*found, "online store"]


def telling(entry: Entry) -> str:
    """The expression that says most: the first that does more than to cast what another one computes."""
    expressions = [step.expression for step in entry.lineage.steps]
    return next((each for each in expressions if not _ONLY_CAST.fullmatch(each)), "".join(expressions[:1]))


def figures(entry: Entry) -> list[str]:
    """The figures of the last run, in words."""
    found = entry.distribution
    if found is None:
        return []
    told = [f"{spelt(found.num_rows)} rows", f"{found.null_share:.1%} null"]
    if found.num_different is not None:
        told.append(f"{spelt(found.num_different)} different values")
    if found.median is not None:
        told.append(f"least {spelt(found.low)}, median {spelt(found.median)}, most {spelt(found.high)}")
    return told


def bars(bins: Sequence[int]) -> str:
    """A path of bars in a box as wide as there are bins and 30 high; the highest fills it, what is there can be seen."""
    most = max(bins)
    heights = [max(round(30 * count / most), 1) if count else 0 for count in bins]
    return "M0,30" + "".join(f"V{30 - height}h1" for height in heights) + "V30z"


def sparkline(bins: Sequence[int]) -> str:
    """The same as text."""
    blocks = "▁▂▃▄▅▆▇█"
    most = max(bins)
    return "".join(" " if not count else blocks[min(count * 8 // most, 7)] for count in bins)


def spelt(value: float | None) -> str:
    """A figure of a feature, as short as it can be told."""
    if value is None:
        return "–"
    shown = f"{value:,.0f}" if float(value).is_integer() else f"{value:,.4g}"
    return shown.replace(",", "\u202f").replace("-", "−")
