"""Which feature days can be built together? Those that one set of facts tells of, and that were set alike.

Facts are built by the words and links that one day knows. They tell of earlier days as well, as long as nothing that became
known in between makes an event of these days count otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from itertools import groupby
from typing import Any

from contracts import names
from contracts.tables import RAW_CONSENTS, RAW_EVENTS, RAW_IDENTITIES
from jobs.attribution import days_that_learn_otherwise
from jobs.io.lake import Lake
from jobs.io.state import LANDINGS
from jobs.io.warehouse import open_warehouse, prepare
from jobs.runs import StepContext, has_begun, settings_of_run


def passes_of(days: Sequence[date], context: StepContext) -> list[tuple[list[date], dict[str, Any]]]:
    """Days in a row that have one set of variables, and that one set of facts can tell of."""
    variables = {day: variables_of(context, day) for day in days}
    found: list[tuple[list[date], dict[str, Any]]] = []
    for _, group in groupby(days, key=lambda day: sorted(variables[day].items())):
        row = list(group)
        learning = _learning_days(row, variables[row[0]], context)
        for day in row:
            if day == row[0] or day in learning:
                found.append(([], variables[day]))
            found[-1][0].append(day)
    return found


def _learning_days(days: Sequence[date], variables: Mapping[str, Any], context: StepContext) -> set[date]:
    """The days but the first by whose words and links an event of an earlier day counts otherwise."""
    if len(days) == 1 or not has_told(context.lake):
        return set()
    with open_warehouse(context.settings) as warehouse:
        for table in (RAW_EVENTS, RAW_CONSENTS, RAW_IDENTITIES):
            prepare(warehouse, names.WAREHOUSE_RAW, table)
        return days_that_learn_otherwise(warehouse, days[0], days[-1], missing=is_granted(variables))


def is_granted(variables: Mapping[str, Any]) -> bool:
    """Does silence mean consent?"""
    return bool(variables["missing_consent"] == "granted")


def variables_of(context: StepContext, day: date) -> dict[str, Any]:
    """What dbt is told of the run: its settings, and what silence about consent meant when the day was landed.

    A day that was landed with a later one was loaded, and goes by what that one's run was set to.
    """
    landings = context.state.all(LANDINGS)
    landed = min((key for key in landings if key >= day.isoformat()), default=day.isoformat())
    chosen = settings_of_run(context, day if has_begun(context.state, day) else date.fromisoformat(landed))
    return {
        "half_life_days": chosen["half_life_days"],
        "missing_consent": landings.get(landed, {}).get("missing_consent", "granted"),
        "session_gap_minutes": chosen["session_gap_minutes"],
    }


def has_told(lake: Lake) -> bool:
    """Has anybody ever said or linked anything?"""
    return any(lake.days(table) for table in (names.RAW_CONSENTS, names.RAW_IDENTITIES))
