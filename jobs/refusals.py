"""What a step has said no to, on record for the pages: an analyst reads of it on the same day."""

from __future__ import annotations

import logging
from datetime import date

from contracts.errors import ForetasteError
from jobs.io.state import REFUSALS, State
from jobs.runs import StepContext, run_key
from jobs.steps import kind_of

log = logging.getLogger("foretaste.refusals")


def keep_refusal(context: StepContext, step: str, day: date, refusal: ForetasteError) -> None:
    """Note the refusal and bring the pages up to date; what goes wrong there is logged, for the refusal is the news."""
    from jobs.site import publish_after_run  # pages are imported by those that write them

    record = {"day": day.isoformat(), "step": step, "why": f"{type(refusal).__name__}: {refusal}"}
    context.state.put(REFUSALS, run_key(kind_of(step), day), record)
    try:
        publish_after_run(context.settings, day)
    except (ForetasteError, OSError) as error:
        log.warning("refusal_not_on_the_pages day=%s step=%s problem=%s", day, step, error)


def forget_refusal(state: State, step: str, day: date) -> None:
    """The step has passed: what it said no to is over."""
    key = run_key(kind_of(step), day)
    if (state.get(REFUSALS, key) or {}).get("step") == step:
        state.change(REFUSALS, key, lambda held: None)
