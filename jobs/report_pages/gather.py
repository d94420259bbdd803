"""What the pages show, read from the loop's records and from the files that other steps have left."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from contracts import names
from jobs.annotations import Annotation, annotations_of
from jobs.io.state import (
    DELIVERIES,
    DEMOTIONS,
    DURATIONS,
    LANDINGS,
    PROMOTIONS,
    PUBLICATIONS,
    REFUSALS,
    RETRAININGS,
    ROLLBACKS,
    RUNS,
    STALENESS,
    VERDICTS,
    State,
)
from jobs.report_pages.audits import audits_written
from jobs.report_pages.views import DayView, Gate, Record, Site
from jobs.runs import run_key
from jobs.steps import STEPS


def gather(
    state: State, reports: Path, annotations: Sequence[Annotation] = (), problems: Sequence[str] = ()
) -> Site:
    """Read every record once."""
    landings, verdicts, retrainings = state.all(LANDINGS), state.all(VERDICTS), state.all(RETRAININGS)
    runs, promotions, durations = state.all(RUNS), state.all(PROMOTIONS), state.all(DURATIONS)
    demotions, refusals = state.all(DEMOTIONS), state.all(REFUSALS)
    demoted = {record["day"]: {**record, "version": version} for version, record in demotions.items()}
    publications = {
        version: {**record, "version": version}
        for version, record in sorted(
            state.all(PUBLICATIONS).items(), key=lambda item: names.version_number(item[0])
        )
    }
    flips = flips_of(publications, state.all(ROLLBACKS))
    received = _received(state.all(DELIVERIES))
    keys = sorted(
        {
            *landings,
            *verdicts,
            *retrainings,
            *(str(record["day"]) for record in (*publications.values(), *refusals.values())),
        },
        reverse=True,
    )
    days = []
    for key in keys:
        day, run = date.fromisoformat(key), runs.get(run_key(names.DAILY, date.fromisoformat(key)))
        champion = _champion(run, verdicts.get(key))
        demotion = demoted.get(key)
        if demotion is not None and demotion["version"] == champion:
            champion = str(demotion["to"])
        promotion = promotions.get(champion or "")
        reached = [flip for flip in flips if flip.day <= day]
        days.append(
            DayView(
                day=day,
                verdict=verdicts.get(key),
                landing=landings.get(key),
                publications=[record for record in publications.values() if record["day"] == key],
                retraining=_retraining(retrainings.get(key), runs, durations, refusals, day),
                champion=champion,
                gates=_gates(reports, key),
                files=_files(reports, key),
                seconds=_in_order(durations.get(run_key(names.DAILY, day), {})),
                live=reached[-1].live if reached else None,
                champion_day=date.fromisoformat(promotion["day"]) if promotion else None,
                newest_delivery=max((came for landed, came in received if landed <= day), default=None),
                rollbacks=[flip.rollback for flip in flips if flip.rollback and flip.day == day],
                refusal=refusals.get(run_key(names.DAILY, day)),
                demotion=demotion,
                annotations=annotations_of(annotations, day),
                why_lists=(run or {}).get("reasons"),
            )
        )
    feeds = [record["manifest"].get("feed") or {} for _, record in sorted(runs.items(), key=_day_of_run)]
    return Site(
        shop=_latest(feeds, "shop"),
        days=days,
        retrainings=[{**day.retraining, "day": str(day.day)} for day in days if day.retraining],
        promotions=promotions,
        dbt_docs="dbt/index.html" if (reports / "dbt" / "index.html").exists() else "",
        currency=_latest(feeds, "currency"),
        live=flips[-1].live if flips else None,
        left=str(flips[-1].rollback["from"] or "") if flips and flips[-1].rollback else "",
        demotions=demotions,
        annotations=annotations,
        problems=problems,
        audits=audits_written(reports),
        staleness=next(reversed(state.all(STALENESS).values()), None),
    )


@dataclass(frozen=True)
class Flip:
    """A move of the live pointer, and the day that it belongs to."""

    day: date
    live: Record  # the version that readers got from then on
    rollback: Record | None  # none: it was a publication


def flips_of(publications: dict[str, Record], rollbacks: dict[str, Record]) -> list[Flip]:
    """Every move of the live pointer in the order of the fences; a rollback belongs to the day it led away from."""
    found = [
        ((record.get("fence", 0), names.version_number(version)), Flip(_day(record), record, None))
        for version, record in publications.items()
    ]
    for fence, record in rollbacks.items():
        wanted = publications.get(record["to"])
        if wanted is not None:
            left = publications.get(record["from"] or "", wanted)
            found.append(((int(fence), 0), Flip(_day(left), wanted, record)))
    return [flip for _, flip in sorted(found, key=lambda pair: pair[0])]


def _retraining(
    record: Record | None,
    runs: dict[str, Record],
    durations: dict[str, Record],
    refusals: dict[str, Record],
    day: date,
) -> Record | None:
    """A retraining with what fixed its run, for its model card, the seconds of its steps, and which said no."""
    if record is None:
        return None
    key = run_key(names.RETRAIN, day)
    manifest = (runs.get(key) or {}).get("manifest") or {}
    return {
        **record,
        "manifest": manifest,
        "seconds": _in_order(durations.get(key, {})),
        "refusal": refusals.get(key),
    }


def _in_order(seconds: dict[str, float]) -> dict[str, float]:
    """The steps as they are run; a record keeps its keys by the alphabet."""
    return {
        name: seconds[name]
        for name in [*filter(seconds.__contains__, STEPS), *sorted(set(seconds) - set(STEPS))]
    }


def _received(deliveries: dict[str, Record]) -> list[tuple[date, date]]:
    """When each delivery of events landed, and the day it was received on."""
    return [
        (date.fromisoformat(record["landed_day"]), date.fromisoformat(record["received_date"]))
        for record in deliveries.values()
        if record.get("kind") == "events"
    ]


def _day(record: Record) -> date:
    return date.fromisoformat(record["day"])


def _day_of_run(item: tuple[str, Record]) -> str:
    return item[0].rsplit("/", 1)[-1]


def _latest(records: Sequence[Record], name: str) -> str:
    return next((str(record[name]) for record in reversed(records) if record.get(name)), "")


def _champion(run: Record | None, verdict: Record | None) -> str | None:
    if run is not None:
        champion = run["manifest"].get("champion")
        return str(champion) if champion else None
    return (verdict or {}).get("champion")


def _gates(reports: Path, key: str) -> list[Gate]:
    gates = []
    for page in sorted((reports / "validation" / key).glob("*.html")):
        told = page.with_suffix(".json")
        found = json.loads(told.read_text(encoding="utf-8")) if told.exists() else {}
        passed = found.get("is_passed")
        gates.append(
            Gate(page.stem, f"../validation/{key}/{page.name}", passed if isinstance(passed, bool) else None)
        )
    return gates


def _files(reports: Path, key: str) -> dict[str, str]:
    wanted = {
        "report.html": "Evidently's full report",
        "report.json": "its values (JSON)",
        "verdict.json": "the verdict (JSON)",
    }
    folder = reports / "drift" / key
    return {label: f"../drift/{key}/{name}" for name, label in wanted.items() if (folder / name).exists()}
