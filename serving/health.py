"""Is what is served what it should be? Judged from what this process sees alone, whatever an orchestrator says."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct

from serving.published import View


class Health(Struct, frozen=True):
    """How well this process can answer, and why not better."""

    status: Annotated[
        Literal["ok", "degraded", "unavailable"],
        Meta(
            description="degraded: decisions are answered, from lower on the ladder or from an old version."
        ),
    ]
    reasons: list[str]
    version: str | None
    day: str | None
    age_seconds: int | None


def judge(view: View, now: datetime, max_age_hours: float, problem: str = "") -> Health:
    """The health of a view, and of a process that has this problem beside it."""
    bundle = view.bundle
    reasons = [told for told in (view.problem, problem) if told]
    if bundle is None:
        return Health("unavailable", [*reasons, "no version was ever seen"], None, None, None)
    age = bundle.age_seconds(now)
    if age > max_age_hours * 3600:
        reasons.append(
            f"{bundle.version} was published {age / 3600:.1f} hours ago; more than {max_age_hours:g} are too many"
        )
    status: Literal["ok", "degraded"] = "degraded" if reasons else "ok"
    return Health(status, reasons, bundle.version, bundle.pointer.day, age)
