"""The training set of a day: what every user wanted, in order, and when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from contracts import names
from contracts.errors import PartitionMissing
from jobs.io.lake import Lake
from jobs.ranking.world import STEPS, IntArray, World, cut, each_index_of, steps_by_user, steps_of

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Sequences:
    """The training set of a day: S steps of U users, each user's in order."""

    user_ids: npt.NDArray[np.object_]  # sorted
    users_S: IntArray  # index into user_ids, never falling
    items_S: npt.NDArray[np.object_]
    depths_S: npt.NDArray[np.int32]  # how far each step went, one of contracts.tables.DEPTHS
    days_S: npt.NDArray[np.datetime64]

    @property
    def last_day(self) -> date:
        """The day of the last step of all; the beginning of time where there is none."""
        found: date = self.days_S.max().astype("datetime64[D]").item() if len(self.days_S) else date.min
        return found

    def between(self, after: date | None, until: date) -> dict[str, npt.NDArray[np.object_]]:
        """Each user's items later than ``after`` and not later than ``until``; users without any are left out."""
        return self._by_user(self.items_S, after, until)

    def days_until(self, until: date) -> dict[str, npt.NDArray[np.datetime64]]:
        """The day of each of a user's items up to ``until``."""
        return self._by_user(self.days_S, None, until)

    def depths_until(self, until: date) -> dict[str, npt.NDArray[np.int32]]:
        """How far a user went at each of its items up to ``until``."""
        return self._by_user(self.depths_S, None, until)

    def _by_user(
        self, values_S: npt.NDArray[Any], after: date | None, until: date
    ) -> dict[str, npt.NDArray[Any]]:
        is_inside_S = self.days_S <= np.datetime64(until)
        if after is not None:
            is_inside_S &= self.days_S > np.datetime64(after)
        users = self.users_S[is_inside_S]
        starts = np.flatnonzero(np.diff(users, prepend=-1))
        ends = np.append(starts[1:], len(users)) if len(starts) else starts
        return dict(zip(self.user_ids[users[starts]], cut(values_S[is_inside_S], ends), strict=True))


def read_sequences(lake: Lake, day: date, until: date | None = None) -> Sequences:
    """The training set that Spark has built for a day; later rows than ``until`` are not read."""
    return _sequences(*steps_by_user(lake, day, until))


def read_user_days(lake: Lake, first: date, until: date) -> Sequences:
    """The same of days for which no training set was built, from what every event day has settled.

    Raises:
        PartitionMissing: of none of these days it has been.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    days = lake.days(names.USER_DAYS, first=first, until=until)
    if not days:
        raise PartitionMissing(
            f"{names.USER_DAYS} has no partition from {first} to {until}. Build them: foretaste run --day {until}"
        )
    rows = pa.concat_tables([lake.read(names.USER_DAYS, day, list(STEPS)) for day in days])
    return _sequences(*steps_of(rows.filter(pc.greater(pc.list_value_length(rows.column("item_ids")), 0))))


def _sequences(
    users: npt.NDArray[np.object_],
    lists: pa.ListArray,
    depths: npt.NDArray[np.int32],
    days: npt.NDArray[np.datetime64],
) -> Sequences:
    import pyarrow.compute as pc

    lengths_U = pc.list_value_length(lists).to_numpy(zero_copy_only=False)
    items_S = lists.flatten().to_numpy(zero_copy_only=False)
    return Sequences(users, np.repeat(np.arange(len(users)), lengths_U), items_S, depths, days)


def targets_of(
    world: World, outcomes: dict[str, npt.NDArray[np.object_]], repeats_allowed: bool
) -> tuple[IntArray, list[IntArray]]:
    """Users with a history and, for each, what they then acted on, as far as it could have been recommended."""
    candidates = [
        index for index, user in enumerate(world.user_ids) if user in outcomes and len(world.histories[index])
    ]
    wanted = each_index_of([outcomes[world.user_ids[index]] for index in candidates], world.item_ids)
    users, targets = [], []
    for index, items in zip(candidates, wanted, strict=True):
        items = np.unique(items[items >= 0])
        if not repeats_allowed:
            items = np.setdiff1d(items, world.seen[index])
        if len(items):
            users.append(index)
            targets.append(items)
    return np.array(users, dtype=np.int64), targets
