"""The alarms that wake somebody, by name: what each is called, and where its runbook page stands.

A kind is the name of its page, ``docs/runbook/<kind>.md``; on the report pages that is ``runbook/<kind>.html``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

DELIVERY_MISSING = "delivery-missing"
LANDING_REFUSED = "landing-refused"
GATE_REFUSED = "gate-refused"
DATA_INVALID = "data-invalid"
DRIFT = "drift"
CHALLENGER_REFUSED = "challenger-refused"
APPROVAL_WAITING = "approval-waiting"
PUBLISH_FAILED = "publish-failed"
ROLLBACK = "rollback"
STALE_VERSION = "stale-version"
STEP_FAILED = "step-failed"

#: Every kind, and its headline.
TITLES = {
    DELIVERY_MISSING: "The shop has not delivered",
    LANDING_REFUSED: "A delivery was refused",
    GATE_REFUSED: "A gate refused the data",
    DATA_INVALID: "The data is broken",
    DRIFT: "People's taste has drifted",
    CHALLENGER_REFUSED: "A challenger was refused",
    APPROVAL_WAITING: "A challenger waits for approval",
    PUBLISH_FAILED: "The lists could not be published",
    ROLLBACK: "Readers were pointed back at an earlier version",
    STALE_VERSION: "What is served is old",
    STEP_FAILED: "A step failed",
}


def runbook_page(kind: str) -> str:
    """The runbook page of an alarm, below the address of the report pages."""
    return f"runbook/{kind}.html"


def reason_of_alarms(alarms: Sequence[Mapping[str, Any]]) -> str:
    """Why drift alarms start a retraining, in words, from what each carries: its day and its reasons."""
    newest = max(alarms, key=lambda alarm: str(alarm["day"]))
    return f"drift alarm of {newest['day']}: {'; '.join(newest['reasons'])}"
