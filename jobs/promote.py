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
from jobs.runs import StepContext


def run(day: date, context: StepContext) -> dict[str, Any]:
    """Move the champion alias to the day's challenger if it was judged worthy and, where one is asked, a person agrees.

    The model is loaded once more from its bytes before it is trusted: digest, shapes, finite weights.

    Raises:
        NothingToDo: it was refused or not approved; the champion stays and nothing is published.
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
