"""The pages' numbers as flat tables, written as Parquet for any SQL tool; a cell of text in a CSV starts no formula."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from contracts.tables import Table
from jobs.io.commit import fsync_path
from jobs.io.schemas import arrow_schema
from jobs.report_pages.views import DayView, Record, Site

DAYS = Table(
    "days",
    "One row per day that has a page.",
    ("day",),
    {
        "day": "date",
        "verdict": "text",  # ok, drift, invalid; none where the day was not judged
        "has_rung": "boolean",
        "mark": "text",  # of the annotations: expected, wrong, incident
        "reasons": "text",
        "champion": "text",
        "published_version": "text",
        "live_version": "text",  # at the day's end, rollbacks included
        "retraining": "text",  # promoted, refused, begun
        "rows_read": "bigint",
        "rows_good": "bigint",
        "rows_quarantined": "bigint",
        "rows_duplicate": "bigint",
        "rows_set_aside": "bigint",
        "events_in_window": "bigint",
        "lists_num_users": "bigint",
        "hit_rate_at_10": "double precision",
        "ndcg_at_10": "double precision",
        "popularity_ndcg_at_10": "double precision",
        "newest_event_age_hours": "double precision",
        "newest_delivery_age_days": "bigint",
        "champion_age_days": "bigint",
        "live_age_days": "bigint",
        "run_seconds": "double precision",
    },
)
MEASURES = Table(
    "measures",
    "One row per day and measure of its verdict.",
    ("day", "kind", "name"),
    {
        "day": "date",
        "kind": "text",
        "name": "text",
        "label": "text",
        "unit": "text",
        "status": "text",
        "value": "double precision",
        "noise": "double precision",
        "noise_sd": "double precision",
        "effect": "double precision",
        "threshold": "double precision",
        "num_reference": "bigint",
        "num_current": "bigint",
        "note": "text",
    },
)
KPIS = Table(
    "kpis",
    "One row per day, slice and figure; money in cents.",
    ("day", "sliced_by", "slice", "name"),
    {
        "day": "date",
        "sliced_by": "text",  # all, version or group
        "slice": "text",
        "name": "text",
        "numerator": "bigint",
        "n": "bigint",
        "value": "double precision",
        "low": "double precision",
        "high": "double precision",
    },
)
ANSWERS = Table(
    "answers",
    "One row per day, version, rung of the ladder and reason: what the API answered.",
    ("day", "version", "source", "fallback"),
    {
        "day": "date",
        "version": "text",
        "source": "text",
        "fallback": "text",
        "num_decisions": "bigint",
        "num_short": "bigint",
        "num_ruled": "bigint",
        "num_dropping": "bigint",
        "num_shown": "bigint",
        "num_clicked": "bigint",
        "num_purchased": "bigint",
    },
)
RETRAININGS = Table(
    "retrainings",
    "One row per retraining and model that it judged; one without a model where none was judged yet.",
    ("day", "model"),
    {
        "day": "date",
        "reason": "text",
        "outcome": "text",  # promoted, refused, begun
        "reasons": "text",
        "champion": "text",
        "challenger": "text",
        "num_users": "bigint",
        "model": "text",
        "ndcg_at_10": "double precision",
        "hit_rate_at_10": "double precision",
        "recall_at_10": "double precision",
        "coverage_at_10": "double precision",
        "difference": "double precision",  # challenger minus the model, NDCG@10
        "difference_low": "double precision",
        "difference_high": "double precision",
        "mlflow_url": "text",
    },
)
RATIOS = ("ctr", "conversion", "revenue_per_session", "impression_conversion")


def rows_of(site: Site) -> dict[str, tuple[Table, list[Record]]]:
    """Every flat table, oldest day first."""
    days = sorted(site.days, key=lambda day: day.day)
    return {
        "days": (DAYS, [day_row(day) for day in days]),
        "measures": (MEASURES, [row for day in days for row in _measures(day)]),
        "kpis": (KPIS, [row for day in days for row in _kpis(day)]),
        "answers": (ANSWERS, [row for day in days for row in _answers(day)]),
        "retrainings": (RETRAININGS, [row for day in days for row in _retraining(day)]),
    }


def day_row(day: DayView) -> Record:
    """A day as one flat row."""
    rows, lists, ages = day.accounts.get("events", {}), day.lists or {}, day.ages
    return {
        "day": day.day,
        "verdict": day.status,
        "has_rung": day.has_rung,
        "mark": ", ".join(sorted({entry.mark for entry in day.annotations})),
        "reasons": "; ".join(day.reasons),
        "champion": day.champion,
        "published_version": day.published["version"] if day.published else None,
        "live_version": day.live["version"] if day.live else None,
        "retraining": day.retrained or None,
        **{
            f"rows_{name}": rows.get(name)
            for name in ("read", "good", "quarantined", "duplicate", "set_aside")
        },
        "events_in_window": (day.verdict or {}).get("num_current"),
        "lists_num_users": lists.get("num_users"),
        **{name: lists.get(name) for name in ("hit_rate_at_10", "ndcg_at_10", "popularity_ndcg_at_10")},
        "newest_event_age_hours": ages["newest_event"],
        "newest_delivery_age_days": ages["newest_delivery"],
        "champion_age_days": ages["champion_age"],
        "live_age_days": ages["live_age"],
        "run_seconds": round(sum(day.seconds.values()), 3) if day.seconds else None,
    }


def _measures(day: DayView) -> Iterator[Record]:
    wanted = set(MEASURES.columns)
    for kind, found in (day.verdict or {}).get("kinds", {}).items():
        for measure in found["measures"]:
            known = {name: value for name, value in measure.items() if name in wanted}
            yield {**dict.fromkeys(MEASURES.columns), **known, "day": day.day, "kind": kind}


def _kpis(day: DayView) -> Iterator[Record]:
    for sliced_by, slice_name, kpis in slices_of(day.kpis):
        for name in RATIOS:
            yield {"day": day.day, "sliced_by": sliced_by, "slice": slice_name, "name": name, **kpis[name]}


def _answers(day: DayView) -> Iterator[Record]:
    for found in day.answers:
        yield {
            "day": day.day,
            **{name: found[name] for name in ANSWERS.columns if name in found},
            "num_shown": found["clicked"]["n"],
            "num_clicked": found["clicked"]["numerator"],
            "num_purchased": found["purchased"]["numerator"],
        }


def slices_of(kpis: Mapping[str, Any]) -> Iterator[tuple[str, str, Record]]:
    """How the figures are sliced, the slice, and its figures: everybody first."""
    if kpis:
        yield "all", "all", kpis["all"]
        for sliced_by in ("version", "group"):
            for slice_name, found in kpis[f"by_{sliced_by}"].items():
                yield sliced_by, slice_name, found


def _retraining(day: DayView) -> Iterator[Record]:
    record = day.retraining
    if record is None:
        return
    verdict = record.get("verdict") or {}
    metrics = record.get("metrics") or {}
    for model in metrics or [None]:
        values, difference = metrics.get(model, {}), (verdict.get("differences") or {}).get(model, {})
        yield {
            "day": day.day,
            "reason": record.get("reason"),
            "outcome": day.retrained,
            "reasons": "; ".join(verdict.get("reasons") or []),
            "champion": record.get("champion"),
            "challenger": record.get("challenger"),
            "num_users": record.get("num_users"),
            "model": model,
            **{name: values.get(name) for name in RETRAININGS.columns if name.endswith("_at_10")},
            "difference": difference.get("mean"),
            "difference_low": difference.get("low"),
            "difference_high": difference.get("high"),
            "mlflow_url": record.get("mlflow_url"),
        }


def write_parquet(path: Path, table: Table, rows: Sequence[Record]) -> None:
    """Replace one flat table; the same rows give the same bytes, and leave the file as it is."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path.parent.mkdir(parents=True, exist_ok=True)
    staged = path.with_name(f".{path.name}.{os.getpid()}")
    pq.write_table(pa.Table.from_pylist(list(rows), schema=arrow_schema(table)), staged, compression="zstd")
    if path.exists() and path.read_bytes() == staged.read_bytes():
        staged.unlink()
        return
    fsync_path(staged)
    staged.replace(path)


def csv_text(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A CSV that a spreadsheet opens without computing anything that a shop has delivered."""
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    writer.writerows([[_cell(value) for value in row] for row in (header, *rows)])
    return written.getvalue()


def _cell(value: Any) -> Any:
    """Text that a spreadsheet would take for a formula is quoted by an apostrophe; numbers stay numbers."""
    is_formula = isinstance(value, str) and value.lstrip().startswith(("=", "+", "-", "@", "\t", "\r"))
    return f"'{value}" if is_formula else value
