"""What is kept of a verdict: Evidently's pages, the verdict as JSON, a row in the warehouse, a record."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

from contracts import names
from contracts.settings import Settings
from contracts.tables import Table
from jobs.io.commit import write_durably
from jobs.io.state import VERDICTS
from jobs.io.warehouse import open_warehouse
from jobs.monitoring.columns import KINDS
from jobs.monitoring.evidently_report import DriftReport
from jobs.runs import StepContext

DRIFT_VERDICTS = Table(
    f"{names.WAREHOUSE_OPS}/drift_verdicts",
    "One row per day: the drift monitor's verdict and the figures it stands on.",
    ("day",),
    {
        "day": "date",
        "verdict": "text",
        "champion": "text",
        "data": "text",
        "predictions": "text",
        "outcomes": "text",
        "loop": "text",
        "category_bits": "double precision",
        "item_bits": "double precision",
        "tastes_lost": "double precision",
        "click_rate": "double precision",
        "hit_rate_at_10": "double precision",
        "ndcg_at_10": "double precision",
        "conversion": "double precision",
        "coverage": "double precision",
        "gini": "double precision",
        "popularity_lift": "double precision",
        "num_reference": "bigint",
        "num_current": "bigint",
        "reasons": "text",  # a JSON array
        "measures": "text",  # a JSON array
    },
)


def folder_of(settings: Settings, day: date) -> Path:
    return settings.reports_path / "drift" / day.isoformat()


def keep_files(settings: Settings, day: date, verdict: dict[str, Any], report: DriftReport | None) -> Path:
    """Write the day's files, replacing those of an earlier run, and forget the oldest full reports."""
    folder = folder_of(settings, day)
    for name, text in (("report.html", report and report.html), ("report.json", report and report.json)):
        if text:
            write_durably(folder / name, text)
        else:
            (folder / name).unlink(missing_ok=True)
    path = folder / "verdict.json"
    write_durably(path, json.dumps(verdict, indent=1, sort_keys=True, allow_nan=False) + "\n")
    full = sorted(settings.reports_path.glob("drift/*/report.html"))
    for old in full[: max(len(full) - settings.reports_kept, 0)]:
        old.unlink()
    return path


def keep_row(context: StepContext, day: date, verdict: dict[str, Any]) -> None:
    """Replace the day's row of ``ops.drift_verdicts``."""
    import pyarrow as pa

    from jobs.io.schemas import arrow_schema

    row = row_of(day, verdict)
    rows = pa.Table.from_pylist([row], schema=arrow_schema(DRIFT_VERDICTS))
    with open_warehouse(context.settings) as warehouse:
        warehouse.replace(names.WAREHOUSE_OPS, DRIFT_VERDICTS, "day", [day], rows, context.lease)


def row_of(day: date, verdict: dict[str, Any]) -> dict[str, Any]:
    """The verdict as one flat row."""
    measures = {measure["name"]: measure for kind in KINDS for measure in verdict["kinds"][kind]["measures"]}

    def figure(name: str, *path: str) -> float | None:
        found: Any = measures.get(name, {})
        for part in path:
            found = (found or {}).get(part)
        return found if isinstance(found, float) else None

    return {
        "day": day,
        "verdict": verdict["verdict"],
        "champion": verdict["champion"],
        **{kind: verdict["kinds"][kind]["status"] for kind in KINDS},
        "category_bits": figure("events.category", "effect"),
        "item_bits": figure("events.item", "effect"),
        "tastes_lost": figure("tastes_lost", "effect"),
        "click_rate": figure("clicks_lost", "facts", "rate_now"),
        "hit_rate_at_10": figure("lists_below_popularity", "facts", "hit_rate_at_10"),
        "ndcg_at_10": figure("lists_below_popularity", "facts", "ndcg_at_10"),
        "conversion": figure("conversion_lost", "facts", "rate_now"),
        **{name: (verdict["exposure"] or {}).get(name) for name in ("coverage", "gini", "popularity_lift")},
        "num_reference": verdict["num_reference"],
        "num_current": verdict["num_current"],
        "reasons": json.dumps(verdict["reasons"], ensure_ascii=False),
        "measures": json.dumps(list(measures.values()), sort_keys=True, ensure_ascii=False),
    }


def keep_record(
    context: StepContext, day: date, verdict: dict[str, Any], *, rings: bool, is_newest: bool
) -> None:
    """The record that later verdicts, ``foretaste status`` and the pages read; an alarm that rang stays on record."""
    before = context.state.get(VERDICTS, day.isoformat()) or {}
    record = {
        **verdict,
        "is_newest": is_newest,
        "rings": rings,
        "has_rung": rings or bool(before.get("has_rung")),
    }
    context.state.put(VERDICTS, day.isoformat(), record)
