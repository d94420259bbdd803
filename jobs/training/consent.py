"""Whom a training set may hold: by what the day of the retraining knew of consent."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt

from jobs.denials import denials_of_erased
from jobs.people import People, people_known
from jobs.runs import StepContext


def num_unconsented(
    context: StepContext, day: date, user_ids: npt.NDArray[np.object_], feed: Mapping[str, Any]
) -> int:
    """How many of the users may at no time be used, by all that was known on the day.

    Whoever withdraws later is withheld from readers at once, and missing from the next training set.
    """
    missing = feed["missing_consent"] == "granted"
    people = people_known(context.lake, day, missing=missing, denials=denials_of_erased(context.state))
    if people is None:
        return 0 if missing else len(user_ids)
    return count_unconsented(people, user_ids)


def count_unconsented(people: People, user_ids: npt.NDArray[np.object_]) -> int:
    """How many of the users have no span of time in which they may be used."""
    return sum(not any(span.may for span in people.spans_of(user_id)) for user_id in user_ids.tolist())
