"""Which partitions have passed the gate of their day: as long as they and their suite stay the same, nothing new is found."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING

from jobs.io.commit import digest_of
from jobs.io.state import PASSED
from jobs.runs import StepContext

if TYPE_CHECKING:
    from expectations.rules import Suite


def keep_passed(context: StepContext, day: date, suites: Mapping[str, Suite]) -> None:
    """Remember that a day's partition of each table has passed its suite."""
    for table, suite in suites.items():
        manifest = context.lake.manifest(table, day)
        if manifest is not None:
            record = {"content": manifest.digest, "suite": _digest(suite)}
            context.state.put(PASSED, f"{table}/{day}", record)


def num_rows_passed(context: StepContext, table: str, day: date, suite: Suite) -> int | None:
    """The rows of a partition that has passed this suite with the content it has now; None of any other."""
    manifest, record = context.lake.manifest(table, day), context.state.get(PASSED, f"{table}/{day}")
    if manifest is None or record != {"content": manifest.digest, "suite": _digest(suite)}:
        return None
    return manifest.num_rows


def _digest(suite: Suite) -> str:
    told = [(each.expectation_type, each.configuration.kwargs) for each in suite.expectations]
    return digest_of([suite.name, told])
