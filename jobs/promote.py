"""Promote the challenger of a day, or refuse it with reasons."""

from __future__ import annotations

from datetime import date
from typing import Any

from contracts.errors import NothingToDo, PartitionMissing
from jobs.io.commit import cross
from jobs.io.model_files import load_model
from jobs.io.registry import model_folder, open_registry
from jobs.io.state import PROMOTIONS, RETRAININGS
from jobs.runs import StepContext


def run(day: date, context: StepContext) -> dict[str, Any]:
    """Move the champion alias to the day's challenger if it was judged worthy.

    The model is loaded once more from its bytes before it is trusted: digest, shapes, finite weights.

    Raises:
        NothingToDo: it was refused; the champion stays and nothing is published.
        ModelRefused: what is registered is not what was judged.
    """
    record = context.state.get(RETRAININGS, day.isoformat())
    if record is None or "challenger" not in record:
        raise PartitionMissing(
            f"no challenger was trained on {day}. Train one: foretaste retrain --day {day}"
        )
    version, verdict = record["challenger"], record["verdict"]
    is_promoted = bool(verdict["is_promoted"])
    context.state.put(RETRAININGS, day.isoformat(), {**record, "is_promoted": is_promoted})
    if not is_promoted:
        raise NothingToDo(
            f"challenger {version} is refused, the champion stays: {'; '.join(verdict['reasons'])}"
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
    return {"champion": version, "reasons": verdict["reasons"]}
