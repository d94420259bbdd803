"""What a transformer learns of a label is what its person had done before, whenever that was told: counted one by one."""

from __future__ import annotations

import tempfile
from datetime import date, datetime, timedelta
from itertools import groupby
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.feed import days_between
from contracts.tables import BOUGHT, FCT_INTERACTIONS, IN_CART, LOOKED
from jobs.features.cutoffs import cutoffs
from jobs.features.tasks import EventDay, TrainingSet, file_of
from jobs.io.lake import Lake
from jobs.io.schemas import arrow_schema
from jobs.training.sequences import Sequences, read_sequences

DAYS = days_between(date(2011, 3, 1), date(2011, 3, 4))
END = DAYS[-1]


@st.composite
def interactions(draw: st.DrawFn) -> list[dict[str, Any]]:
    """What two people did, told on its day or later; few instants, so that many things happen at once."""
    found = []
    for number in range(draw(st.integers(0, 14))):
        day = draw(st.sampled_from(DAYS))
        found.append(
            {
                "event_id": draw(st.sampled_from("xyz")) + str(number),
                "user_id": draw(st.sampled_from(["ann", "bob"])),
                "item_id": draw(st.sampled_from(["cup", "mug", "pot"])),
                "event_type": draw(st.sampled_from(["view", "cart", "purchase", "return"])),
                "occurred_at": datetime(day.year, day.month, day.day, draw(st.sampled_from([0, 9, 23]))),
                "event_date": day,
                "known_date": day + timedelta(days=draw(st.integers(0, 3))),
                "weight": draw(st.sampled_from([1, 5, 0, -5])),
            }
        )
    return draw(st.permutations(found))


def sequences_of(folder: Path, events: list[dict[str, Any]]) -> Sequences:
    """The training set of the last day, by the tasks that a run has Spark do."""
    days = []
    for day in DAYS:
        rows = [dict.fromkeys(FCT_INTERACTIONS.columns) | row for row in events if row["event_date"] == day]
        facts = folder / f"{day}.parquet"
        pq.write_table(pa.Table.from_pylist(rows, schema=arrow_schema(FCT_INTERACTIONS)), facts)
        to = [folder / part / str(day) for part in ("users", "pairs")]
        for each in to:
            each.mkdir(parents=True)
        EventDay((facts,), END, 0, 1, 1, *to).run()
        days.append((file_of(to[0], 0),))
    TrainingSet(tuple(days), 0, 1, folder, cutoffs(END, 1, 1)).run()
    rows = pq.read_table(file_of(folder, 0))
    lake = cast(Lake, SimpleNamespace(read=lambda table, day, columns, where: rows.select(columns)))
    return read_sequences(lake, END)


@settings(max_examples=40, deadline=None)
@given(events=interactions())
def test_every_step_comes_after_all_that_happened_before_it_and_is_told_by_the_day(
    events: list[dict[str, Any]],
) -> None:
    with tempfile.TemporaryDirectory() as home:
        found = sequences_of(Path(home), events)
        for cutoff in DAYS:
            before, after = found.between(None, cutoff), found.between(cutoff, END)
            days = found.days_until(cutoff)
            for user in ("ann", "bob"):
                wanted = sorted(
                    (row["occurred_at"], row["event_id"], row["item_id"], row["event_type"])
                    for row in events
                    if row["user_id"] == user and row["known_date"] <= END and row["weight"] > 0
                )
                # Looked at, put into the cart and bought in a row on one day is one step, at its first instant.
                runs = [
                    (step, max({"purchase": BOUGHT, "cart": IN_CART}.get(kind, LOOKED) for *_, kind in run))
                    for step, run in groupby(wanted, key=lambda row: (row[0].date(), row[2]))
                ]
                steps, depths = [step for step, _ in runs], [depth for _, depth in runs]
                earlier = [step for step in steps if step[0] <= cutoff]
                assert [*zip(days.get(user, ()), before.get(user, ()), strict=True)] == earlier
                assert [*after.get(user, ())] == [item for _, item in steps[len(earlier) :]]
                assert [*found.depths_until(cutoff).get(user, ())] == depths[: len(earlier)]
