"""The page of how a model grows old: its curve by age, and how often to retrain."""

from __future__ import annotations

from datetime import date
from typing import Any

from jobs.report_pages.charts import Chart, chart_of
from jobs.report_pages.tables import csv_text
from jobs.report_pages.trends import Point, fixed
from jobs.report_pages.views import Record


def staleness_values(record: Record | None) -> dict[str, Any]:
    """What the template shows: the last measurement, or that there is none."""
    return {"record": record, "curves": _curves(record) if record else []}


def staleness_csv(record: Record | None) -> str:
    """The curve, a row an age; the header alone where none was measured."""
    columns = [
        "age",
        "day",
        "num_users",
        "ndcg_at_10",
        "low",
        "high",
        "popularity",
        "lead",
        "loss",
        "loss_low",
        "loss_high",
    ]
    rows = [
        (
            aged["age"],
            aged["day"],
            aged["num_users"],
            *(aged["ndcg"][name] for name in ("mean", "low", "high")),
            aged["popularity"],
            aged["lead"]["mean"],
            *((aged["loss"] or {}).get(name, "") for name in ("mean", "low", "high")),
        )
        for aged in (record or {}).get("ages", [])
    ]
    return csv_text(columns, rows)


def _curves(record: Record) -> list[Chart]:
    """Accuracy with its interval beside popularity; and what is lost, beside what may be."""
    ages = record["ages"]
    of_day = [
        Point(
            date.fromisoformat(aged["day"]),
            aged["ndcg"]["mean"],
            aged["ndcg"]["low"],
            aged["ndcg"]["high"],
            aged["num_users"],
            aged["popularity"],
        )
        for aged in ages
    ]
    lost = [
        Point(
            date.fromisoformat(aged["day"]), aged["loss"]["mean"], aged["loss"]["low"], aged["loss"]["high"]
        )
        for aged in ages
        if aged["loss"]
    ]
    allowed = float(record["allowed"])
    form = fixed(3)
    limit = f"allowed: {form(allowed)}"
    return [
        chart_of(
            of_day,
            key="staleness",
            title="NDCG@10 by age",
            form=form,
            threshold=None,
            alarm="",
            note="dashed: popularity",
        ),
        chart_of(
            lost, key="staleness", title="Lost by age", form=form, threshold=allowed, alarm=limit, note=limit
        ),
    ]
