"""The Feature Definition Document: what each feature is, how it is computed, who uses it, and how it is distributed.

Everything is read from where it is decided: the YAML and SQL of the feature models, the monitor's thresholds, the champion's
own description, the lake's last partitions. Nothing of it is written by hand.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from datetime import date
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import yaml

from contracts.features import MODELS, Feature
from contracts.settings import Settings
from contracts.tables import FEAT_ITEM_DAILY, FEAT_USER_DAILY, Table
from jobs.feature_edition import further_key, online_tables
from jobs.feature_lineage import Lineage, lineage_of
from jobs.io.lake import Lake
from jobs.io.state import DEMOTIONS, PROMOTIONS, State
from jobs.monitoring.thresholds import load_thresholds

if TYPE_CHECKING:
    import pyarrow as pa

_NUM_BINS = 24
#: Of more rows an even sample is drawn and halved; the least and the most are of all.
_MOST_ROWS = 200_000


@dataclass(frozen=True)
class Distribution:
    """A feature's values on the last day."""

    num_rows: int
    null_share: float
    low: float | None = None
    median: float | None = None
    high: float | None = None
    num_different: int | None = None  # of a text
    bins: tuple[int, ...] = ()  # rows by value, from the least to the most
    is_logarithmic: bool = False  # the bins' widths grow with the values


@dataclass(frozen=True)
class Entry:
    """One feature of the document."""

    feature: Feature
    lineage: Lineage
    ranker: str  # the ranker's column that it becomes; empty where it becomes none
    gate: str
    drift: str
    weight: float | None = None  # of that column in the champion, the largest being 1
    is_learnt: bool | None = None  # does the champion know it? None: there is no champion
    distribution: Distribution | None = None


@dataclass(frozen=True)
class TableEntry:
    """One feature table of the document."""

    table: Table
    entries: tuple[Entry, ...]
    exposures: tuple[str, ...]
    last_day: date | None = None
    age_days: int | None = None

    @property
    def name(self) -> str:
        return self.table.short_name

    @property
    def by(self) -> str | None:
        return further_key(self.table)

    @property
    def docs(self) -> str:
        """The model's page in dbt's docs, from the reports' root."""
        return f"dbt/index.html#!/model/model.foretaste.{self.name}"


@dataclass(frozen=True)
class Document:
    """All features, and the champion whose weights are shown."""

    tables: tuple[TableEntry, ...]
    champion: str | None = None

    @property
    def num_features(self) -> int:
        return sum(len(table.entries) for table in self.tables)


def declared() -> Document:
    """What is true of the features whatever has been run: the same for the same project."""
    lookback = load_thresholds().features.lookback_days
    return Document(
        tuple(
            TableEntry(
                table=table,
                entries=tuple(
                    Entry(
                        feature=feature,
                        lineage=lineage_of(table.short_name, feature.name),
                        ranker=_ranker_column(table, feature),
                        gate=_gate(feature),
                        drift=_drift(table, feature, lookback),
                    )
                    for feature in table.features
                ),
                exposures=_exposures().get(table.short_name, ()),
            )
            for table in online_tables()
        )
    )


def document_of(settings: Settings, today: date) -> Document:
    """The document with the figures of the last run, as of a day."""
    lake = Lake.of(settings)
    champion, weights = _champion(settings)
    tables = []
    for table in declared().tables:
        days = lake.days(table.table.name)
        last = days[-1] if days else None
        rows = lake.read(table.table.name, last) if last else None
        entries = tuple(
            replace(
                entry,
                weight=_weight_of(entry.ranker, weights),
                is_learnt=None if champion is None else _weight_of(entry.ranker, weights) is not None,
                distribution=_distribution(rows, entry.feature),
            )
            for entry in table.entries
        )
        age = (today - last).days if last else None
        tables.append(replace(table, entries=entries, last_day=last, age_days=age))
    return Document(tuple(tables), champion)


def _ranker_column(table: Table, feature: Feature) -> str:
    """The ranker gets every number of a user and of an item, and of what is told by a further key the candidate's own."""
    by = further_key(table)
    if not feature.is_number or (by and not feature.name.startswith("affinity")):
        return ""
    if by:
        return f"{by.removesuffix('_id')}_affinity"
    return f"{table.key[0].removesuffix('_id')}.{feature.name}"


def _gate(feature: Feature) -> str:
    told = [] if feature.missing is not None else ["never null"]
    if feature.data_type in ("integer", "bigint", "double precision"):
        low, high = feature.at_least, feature.at_most
        told.append(
            "finite" if low is None and high is None
            else f"≥ {low:,.0f}" if high is None
            else f"≤ {high:,.0f}" if low is None
            else f"{low:,.0f} to {high:,.0f}"
        )  # fmt: skip
    return ", ".join(told)


def _drift(table: Table, feature: Feature, lookback: dict[str, int]) -> str:
    if table not in (FEAT_USER_DAILY, FEAT_ITEM_DAILY) or not feature.is_number:
        return ""
    days = lookback.get(f"{table.key[0].removesuffix('_id')}.{feature.name}")
    return "shown" if days is None else f"judged, {days} days"


@cache
def _exposures() -> dict[str, tuple[str, ...]]:
    """The exposures of the dbt project by the model that they depend on."""
    found: dict[str, list[str]] = {}
    for path in sorted(MODELS.parent.rglob("*.yml")):
        text = path.read_text(encoding="utf-8")
        if "exposures:" not in text:
            continue
        for exposure in (yaml.safe_load(text) or {}).get("exposures") or []:
            for depended in exposure.get("depends_on") or []:
                model = str(depended).partition("'")[2].partition("'")[0]
                found.setdefault(model, []).append(str(exposure.get("label") or exposure["name"]))
    return {model: tuple(names) for model, names in found.items()}


def _champion(settings: Settings) -> tuple[str | None, dict[str, float]]:
    """The champion's version, and how much each of its ranker's columns weighs, the heaviest 1."""
    state = State.of(settings)
    promotions, demotions = state.all(PROMOTIONS), state.all(DEMOTIONS)
    standing = {version: record for version, record in promotions.items() if version not in demotions}
    version = max(standing, key=lambda each: (standing[each]["day"], int(each)), default=None)
    folder = settings.home / "models" / str(standing[version].get("sha256")) if version else None
    if folder is None or not (folder / "model.json").exists():
        return None, {}
    return version, _weights(folder)


def _weights(folder: Path) -> dict[str, float]:
    """Each column's line and its share of the first layer, as one length: what the ranker multiplies it by.

    A champion without a ranker, which scores by itself, multiplies none.
    """
    from safetensors.numpy import load_file

    columns = json.loads((folder / "model.json").read_text(encoding="utf-8")).get("features", [])
    if not columns:
        return {}
    state = load_file(folder / "ranker.safetensors")
    matrices = [state[name] for name in ("line.weight", "layers.0.weight") if name in state]
    stacked = [matrix.astype(np.float64) for matrix in matrices if matrix.shape[-1] == len(columns)]
    if not stacked:
        return dict.fromkeys(columns, 0.0)
    sizes = np.sqrt(np.square(np.concatenate(stacked)).sum(axis=0))
    return {name: float(size / (sizes.max() or 1)) for name, size in zip(columns, sizes, strict=True)}


def _weight_of(column: str, weights: dict[str, float]) -> float | None:
    """The weight of a column or, where it was prepared into several (a flag, say), the heaviest of them."""
    if not column:
        return None
    prepared = re.compile(re.escape(column) + r"(?:__.*|\W.*)?")
    parts = [weight for name, weight in weights.items() if prepared.fullmatch(name)]
    return max(parts, default=None)


def _distribution(rows: pa.Table | None, feature: Feature) -> Distribution | None:
    """None where there are no rows, or the feature was declared after them."""
    if rows is None or rows.num_rows == 0 or feature.name not in rows.column_names:
        return None
    column = rows[feature.name]
    null_share = column.null_count / rows.num_rows
    known = column.drop_null()
    if feature.data_type == "text":
        return Distribution(rows.num_rows, null_share, num_different=len(known.unique()))
    values: npt.NDArray[np.float64] = known.to_numpy().astype(np.float64)
    values = values[np.isfinite(values)]
    if not len(values):
        return Distribution(rows.num_rows, null_share)
    low, high = float(values.min()), float(values.max())
    values = values[:: -(-len(values) // _MOST_ROWS)]
    median = float(np.median(values))
    bins, is_logarithmic = _bins(values, low, median, high)
    return Distribution(
        rows.num_rows, null_share, low, median, high, bins=bins, is_logarithmic=is_logarithmic
    )


def _bins(
    values: npt.NDArray[np.float64], low: float, median: float, high: float
) -> tuple[tuple[int, ...], bool]:
    """Rows by value; on a logarithmic scale where most values would otherwise stand in one bar."""
    is_skewed = high - low > 20 and (high - low) > 10 * max(abs(median - low), 1)
    shown = np.arcsinh(values) if is_skewed else values
    ends = (float(np.arcsinh(low)), float(np.arcsinh(high))) if is_skewed else (low, high)
    if ends[0] == ends[1]:
        return (len(values),), False
    counts, _ = np.histogram(shown, bins=_NUM_BINS, range=ends)
    return tuple(int(count) for count in counts), bool(is_skewed)
