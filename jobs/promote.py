"""Promote the challenger of a day, or refuse it with reasons."""

from __future__ import annotations

from datetime import date
from typing import Any

from contracts.errors import NothingToDo
from jobs.approval import APPROVED, UNANSWERED, WAITING, approval_of, judged, told
from jobs.io.commit import cross
from jobs.io.model_files import load_model
from jobs.io.registry import model_folder, open_registry
from jobs.io.state import PROMOTIONS, RETRAININGS
from jobs.judging.bounds import load_bounds
from jobs.landing.when_known import landed_until
from jobs.runs import StepContext


def run(day: date, context: StepContext) -> dict[str, Any]:
    """Move the champion alias to the day's challenger if it was judged worthy and, where one is asked, a person agrees.

    The model is loaded once more from its bytes before it is trusted: digest, shapes, finite weights.

    Raises:
        NothingToDo: it was refused or not approved, or is out of date by now; the champion stays and nothing is published.
        PartitionMissing: there is no challenger.
        ModelRefused: what is registered is not what was judged.
    """
    record = judged(context.state, day)
    version, verdict = record["challenger"], record["verdict"]
    approval = approval_of(record, context) if verdict["is_promoted"] else None
    is_promoted = bool(verdict["is_promoted"]) and (approval is None or approval["answer"] == APPROVED)
    record |= {"is_promoted": is_promoted, "approval": approval}
    context.state.put(RETRAININGS, day.isoformat(), record)
    if not verdict["is_promoted"]:
        raise NothingToDo(
            f"challenger {version} is refused, the champion stays: {'; '.join(verdict['reasons'])}"
        )
    if approval is not None and not is_promoted:
        way_out = f". Answer: foretaste approve --day {day} --by NAME (--decline to refuse)"
        raise NothingToDo(
            f"challenger {version} is not promoted, the champion stays: {told(approval)}"
            + (way_out if approval["answer"] in (WAITING, UNANSWERED) else "")
        )
    if why := _why_stale(day, context):
        record["is_promoted"] = False
        context.state.put(RETRAININGS, day.isoformat(), record)
        raise NothingToDo(f"challenger {version} is not promoted, the champion stays: {why}")
    load_model(model_folder(context.settings, version, record["sha256"]), record["sha256"])
    with open_registry(context.settings) as registry:
        registry.promote(version, context.lease)
    cross("registry:promoted")
    promotion = {
        "day": day.isoformat(),
        "sha256": record["sha256"],
        "metrics": record["metrics"].get("challenger", {}),
        "mlflow_url": record["mlflow_url"],
    }
    context.state.put(PROMOTIONS, version, promotion)
    reasons = [*verdict["reasons"], *([told(approval)] if approval else [])]
    return {"champion": version, "reasons": reasons, "mlflow_url": record["mlflow_url"]}


def _why_stale(day: date, context: StepContext) -> str:
    """That what the challenger has learnt from is too old by now, as an answer may take long; "" where it is not."""
    newest, most = landed_until(context.state), load_bounds().data.max_age_days
    if newest is None or (newest - day).days <= most:
        return ""
    return (
        f"it knows nothing after {day}, {(newest - day).days} days before the newest that has landed, {newest} "
        f"(at most {most}, max_age_days in expectations/promotion.toml). Train again: foretaste retrain --day {newest}"
    )
