"""Run the suites between two rooms; refuse to go on when one is not met."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from contracts import names
from contracts.errors import PartitionMissing
from contracts.tables import BOUGHT, FIT
from jobs.features.cutoffs import cutoffs_of
from jobs.gate import Gate
from jobs.io.lake import Lake
from jobs.io.state import LANDINGS
from jobs.passed import keep_passed, num_rows_passed
from jobs.runs import StepContext, lists_table, manifest_of, settings_of_cutoff, settings_of_run

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from expectations.rules import Suite

#: A bulk landing touches hundreds of days: the rows of all are counted, those of the newest are looked at.
_DAYS_LOOKED_AT = 7


def run_landed(day: date, context: StepContext) -> dict[str, Any]:
    """Gate on what the landing of ``day`` touched, and on the catalogue.

    Raises:
        GateRefused: something that landed is not what was promised.
        PartitionMissing: the day has not been landed.
    """
    import pandas as pd

    from expectations import landed

    record = context.state.get(LANDINGS, day.isoformat())
    if record is None:
        raise PartitionMissing(f"day {day} has not been landed. Land it: foretaste step land --day {day}")
    gate = Gate(
        "landed",
        day,
        context,
        f"See what was refused: foretaste quarantine --day {day}; a delivery is mended by a later one",
    )
    touched = [
        each
        for each in map(date.fromisoformat, sorted(record["touched"]))
        if _num_rows(context.lake, names.RAW_EVENTS, each)
        or not _num_rows(context.lake, names.RAW_DECISIONS, each)
    ]
    if not touched:
        gate.note(names.RAW_EVENTS, "The landing touched no day: no event was delivered.")
    else:
        manifests = [context.lake.manifest(names.RAW_EVENTS, each) for each in touched]
        counts = pd.DataFrame(
            {
                "partition_date": pd.Series([pd.Timestamp(each) for each in touched]),
                "num_rows": [manifest.num_rows if manifest else 0 for manifest in manifests],
            }
        )
        gate.judge(f"{names.RAW_EVENTS} (days touched)", landed.partitions(), counts)
        newest = [each for each, manifest in zip(touched, manifests, strict=True) if manifest][
            -_DAYS_LOOKED_AT:
        ]
        if gate.has_columns([names.RAW_EVENTS], newest):
            gate.judge(names.RAW_EVENTS, landed.events(day), _landed_events(context, day, newest))
    catalogue = context.lake.days(names.RAW_ITEMS, until=day)
    if not catalogue:
        gate.note(names.RAW_ITEMS, "No item was ever delivered.")
    elif gate.has_columns([names.RAW_ITEMS], catalogue[-1:]):
        from expectations.frames import as_frame

        items = _known(context.lake.read(names.RAW_ITEMS, catalogue[-1], list(landed.ITEM_COLUMNS)), day)
        gate.judge(names.RAW_ITEMS, landed.items(day), as_frame(items))
    for table, columns, suite in (
        (names.RAW_DECISIONS, landed.DECISION_COLUMNS, landed.decisions),
        (names.RAW_CONSENTS, landed.CONSENT_COLUMNS, landed.consents),
        (names.RAW_IDENTITIES, landed.IDENTITY_COLUMNS, landed.identities),
    ):
        _judge_newest(gate, context, day, table, columns, suite)
    return gate.finish()


def _judge_newest(
    gate: Gate,
    context: StepContext,
    day: date,
    table: str,
    columns: Sequence[str],
    suite: Callable[[date], Suite],
) -> None:
    """Judge the newest day of a kind that a shop may leave out; nothing where it says nothing."""
    from expectations.frames import as_frame

    days = [each for each in context.lake.days(table, until=day) if _num_rows(context.lake, table, each)]
    if days and gate.has_columns([table], days[-1:]):
        rows = _known(context.lake.read(table, days[-1], list(columns)), day)
        if rows.num_rows:
            gate.judge(table, suite(day), as_frame(rows))


def _num_rows(lake: Lake, table: str, day: date) -> int:
    manifest = lake.manifest(table, day)
    return manifest.num_rows if manifest else 0


def run_features(day: date, context: StepContext) -> dict[str, Any]:
    """Gate on the day's catalogue, features, histories, co-visitation and co-purchase.

    Raises:
        GateRefused: a table does not hold what it promises.
        PartitionMissing: a table was not built.
    """
    from expectations import features
    from expectations.frames import as_frame

    lake, chosen = context.lake, settings_of_run(context, day)
    gate = Gate(
        "features",
        day,
        context,
        f"Build anew: foretaste step transform --day {day}, then foretaste step build --day {day}",
    )
    if gate.has_columns((*names.BY_FEATURE_DAY, *names.LOOKING_BACK), [day]):
        catalogue = lake.read(names.DIM_ITEMS, day)
        gate.judge(names.DIM_ITEMS, features.dim_items(day), as_frame(catalogue))
        items = features.items_frame(lake.read(names.FEAT_ITEM_DAILY, day), catalogue)
        gate.judge(names.FEAT_ITEM_DAILY, features.feat_item_daily(day, catalogue.num_rows), items)
        users = as_frame(lake.read(names.FEAT_USER_DAILY, day))
        gate.judge(names.FEAT_USER_DAILY, features.feat_user_daily(day), users)
        shares = as_frame(lake.read(names.FEAT_USER_CATEGORY_DAILY, day))
        gate.judge(names.FEAT_USER_CATEGORY_DAILY, features.feat_user_category_daily(day), shares)
        num_users = int((users["brands_28d"] > 0).sum())  # who acted on brands has an affinity to some
        shares = as_frame(lake.read(names.FEAT_USER_BRAND_DAILY, day))
        gate.judge(names.FEAT_USER_BRAND_DAILY, features.feat_user_brand_daily(day, num_users), shares)
        histories = _judge_looking_back(gate, day, context, chosen)
        _judge_recency(gate, features.recency_frame(users, histories, chosen["history_days"]))
    told = gate.finish()
    keep_passed(context, day, _looking_back(chosen))
    return told


def run_training(day: date, context: StepContext) -> dict[str, Any]:
    """Gate on the training set of a retraining, and on what was known at its cut-offs.

    Raises:
        GateRefused: the training set is too small or not what it promises.
        PartitionMissing: it was not built.
    """
    from expectations import training

    chosen = settings_of_run(context, day)
    gate = Gate(
        "training",
        day,
        context,
        f"A larger set needs a longer history (foretaste load --day … --to {day}) or shorter splits "
        f"(FORETASTE_JUDGE_DAYS, now {chosen['judge_days']}); the champion stays meanwhile",
    )
    ends = cutoffs_of(day, chosen)
    cutoffs = [end for end in sorted(set(ends)) if _is_built(context.lake, end)]
    is_readable = gate.has_columns((names.SEQUENCES, names.TRAINING_IMPRESSIONS), [day])
    if gate.has_columns(names.LOOKING_BACK, cutoffs) and is_readable:
        rows = context.lake.read(names.SEQUENCES, day)
        frame = training.sequences_frame(rows, day, chosen["judge_days"], chosen["rank_days"])
        splits = training.splits_frame(rows)
        gate.judge(names.SEQUENCES, training.sequences(day, chosen["history_days"]), frame)
        gate.judge(f"{names.SEQUENCES} (splits)", training.splits(), splits)
        gate.judge(f"{names.SEQUENCES} (fit)", training.fit(), splits[splits["split"] == FIT])
        _judge_impressions(gate, day, context, chosen)
        for cutoff in cutoffs:
            _judge_cutoff(gate, cutoff, context, settings_of_cutoff(context, cutoff, chosen))
        for cutoff in sorted(set(ends) - set(cutoffs)):
            gate.note(f"{names.HISTORIES} ({cutoff})", "Nobody had acted by then: nothing to look back on.")
    return gate.finish()


def run_scores(day: date, context: StepContext, *, kind: str = names.DAILY) -> dict[str, Any]:
    """Gate on every user's list.

    Raises:
        GateRefused: a list holds what must not be published, or somebody has none.
        PartitionMissing: nothing was scored.
    """
    import pyarrow as pa

    from expectations import scores

    lake, table = context.lake, lists_table(kind)
    manifest = manifest_of(context.state, kind, day)
    length = manifest["settings"]["list_length"]
    step = "score" if kind == names.DAILY else "score-challenger"
    name = "scores" if kind == names.DAILY else "scores-retrained"
    gate = Gate(name, day, context, f"What is published stays. Score anew: foretaste step {step} --day {day}")
    if gate.has_columns([table], [day]):
        lists = lake.read(table, day)
        catalogue = lake.read(names.DIM_ITEMS, day, ["item_id", "is_available"])
        histories = lake.read(names.HISTORIES, day, ["user_id", "item_ids", "seen_item_ids"])
        users = lake.read(names.FEAT_USER_DAILY, day, ["user_id"]).column("user_id")
        expected = pa.chunked_array([*histories.column("user_id").chunks, *users.chunks], pa.string())
        repeats_allowed = bool(manifest["feed"]["repeats_allowed"])
        frame = scores.lists_frame(lists, catalogue, length, histories, repeats_allowed=repeats_allowed)
        gate.judge(table, scores.lists(length), frame)
        gate.judge(
            f"{table} (users)", scores.coverage(), scores.coverage_frame(expected, lists.column("user_id"))
        )
    return gate.finish()


def _looking_back(chosen: dict[str, Any]) -> dict[str, Suite]:
    """The suites of the histories and the neighbours, as they are set."""
    from expectations import features

    return {
        names.HISTORIES: features.histories(chosen["history_length"], chosen["history_days"]),
        **{table: features.neighbours(table) for table in (names.COVISITATION, names.COPURCHASE)},
    }


def _judge_looking_back(gate: Gate, day: date, context: StepContext, chosen: dict[str, Any]) -> pd.DataFrame:
    """Judge the histories, which it returns, and the neighbours as of a day."""
    suites = _looking_back(chosen)
    histories = _judge_histories(gate, day, context, suites[names.HISTORIES])
    for table in (names.COVISITATION, names.COPURCHASE):
        _judge_neighbours(gate, table, day, context, chosen, suites[table])
    return histories


def _judge_cutoff(gate: Gate, day: date, context: StepContext, chosen: dict[str, Any]) -> None:
    """Judge what looks back from a cut-off, but for what the gate of that day has passed as it is now."""
    which = f" ({day})"
    for table, suite in _looking_back(chosen).items():
        num_rows = num_rows_passed(context, table, day, suite)
        if num_rows is not None:
            gate.note(f"{table}{which}", f"Passed gate features of {day}, and is the same now.", num_rows)
        elif table == names.HISTORIES:
            _judge_histories(gate, day, context, suite, which)
        else:
            _judge_neighbours(gate, table, day, context, chosen, suite, which)


def _judge_histories(
    gate: Gate, day: date, context: StepContext, suite: Suite, which: str = ""
) -> pd.DataFrame:
    from expectations import features

    histories = features.histories_frame(context.lake.read(names.HISTORIES, day))
    gate.judge(f"{names.HISTORIES}{which}", suite, histories)
    return histories


def _judge_neighbours(
    gate: Gate,
    table: str,
    day: date,
    context: StepContext,
    chosen: dict[str, Any],
    suite: Suite,
    which: str = "",
) -> None:
    """Judge co-visitation or co-purchase; either may be empty where nobody acted on two items."""
    from expectations import features

    rows, history_days = context.lake.read(table, day), chosen["history_days"]
    is_possible, why = {
        names.COVISITATION: (_is_covisitation_possible, "nobody acted on two items within a day"),
        names.COPURCHASE: (_is_copurchase_possible, f"nobody bought two items within {history_days} days"),
    }[table]
    if rows.num_rows == 0 and not is_possible(context.lake, day - timedelta(days=history_days - 1), day):
        gate.note(f"{table}{which}", f"Empty, as {why}.")
    else:
        gate.judge(f"{table}{which}", suite, features.neighbours_frame(rows))


def _judge_recency(gate: Gate, frame: pd.DataFrame) -> None:
    """Judge whether features and histories are of the same days, where there is anybody to tell by."""
    from expectations import features

    name = f"{names.HISTORIES} (beside {names.FEAT_USER_DAILY})"
    if frame.empty:
        gate.note(name, "Nobody with a history has acted of late.")
    else:
        gate.judge(name, features.recency(), frame)


def _is_built(lake: Lake, day: date) -> bool:
    """Is there anything that looks back from the day? There is nothing before the first interaction."""
    return any(lake.manifest(table, day) is not None for table in names.LOOKING_BACK)


def _judge_impressions(gate: Gate, day: date, context: StepContext, chosen: dict[str, Any]) -> None:
    """Judge what was shown; nothing at all is no fault where the shop told of nothing."""
    import pyarrow.compute as pc

    from expectations import training

    lake, table = context.lake, names.TRAINING_IMPRESSIONS
    first = day - timedelta(days=chosen["history_days"] - 1)
    rows = lake.read(table, day)
    if rows.num_rows == 0 and not any(
        pc.any(pc.less_equal(lake.read(names.FCT_IMPRESSIONS, each, ["known_date"])[0], day)).as_py()
        for each in lake.days(names.FCT_IMPRESSIONS, first=first, until=day)
    ):
        gate.note(table, "Empty, as the shop told of no list that was seen: nothing is learnt from outcomes.")
        return
    frame = training.impressions_frame(rows, day, chosen["judge_days"], chosen["rank_days"])
    gate.judge(table, training.impressions(day, chosen["history_days"]), frame)


def _is_covisitation_possible(lake: Lake, first: date, until: date) -> bool:
    """Did anybody act on two items within a day? Within it an item in a row counts once, so two steps are two items.

    It asks the event days as they are known now: a past day's gate may know of more than its day did.
    """
    import pyarrow.compute as pc

    return any(
        pc.any(pc.greater(pc.list_value_length(lake.read(names.USER_DAYS, day, ["item_ids"])[0]), 1)).as_py()
        for day in lake.days(names.USER_DAYS, first=first, until=until)
    )


def _is_copurchase_possible(lake: Lake, first: date, until: date) -> bool:
    """Did anybody buy two items? It asks the event days as they are known now, too."""
    import pyarrow.compute as pc

    bought_by: dict[str, str] = {}
    for day in lake.days(names.USER_DAYS, first=first, until=until):
        rows = lake.read(names.USER_DAYS, day, ["user_id", "item_ids", "item_depths"]).combine_chunks()
        is_bought = pc.equal(pc.list_flatten(rows.column("item_depths")), BOUGHT)
        users = rows.column("user_id").take(pc.list_parent_indices(rows.column("item_ids"))).filter(is_bought)
        items = pc.list_flatten(rows.column("item_ids")).filter(is_bought)
        for user, item in zip(users.to_pylist(), items.to_pylist(), strict=True):
            if bought_by.setdefault(user, item) != item:
                return True
    return False


def _landed_events(context: StepContext, day: date, event_days: Sequence[date]) -> pd.DataFrame:
    """The rows of several partitions, as the run of ``day`` sees them, with what the suite compares them to."""
    import pyarrow as pa

    from expectations import landed

    parts = [
        _known(context.lake.read(names.RAW_EVENTS, each, list(landed.EVENT_COLUMNS)), day)
        for each in event_days
    ]
    dates = [pa.repeat(pa.scalar(each), part.num_rows) for each, part in zip(event_days, parts, strict=True)]
    known = [
        _known(context.lake.read(names.RAW_ITEMS, each, ["item_id", "known_date"]), day).column("item_id")
        for each in context.lake.days(names.RAW_ITEMS, until=day)
    ]
    items = pa.chunked_array([chunk for column in known for chunk in column.chunks], pa.string()).unique()
    return landed.events_frame(pa.concat_tables(parts), pa.chunked_array(dates), pa.chunked_array([items]))


def _known(rows: pa.Table, day: date) -> pa.Table:
    """What the run of ``day`` may see: rows that became known later belong to a later gate."""
    import pyarrow.compute as pc

    return rows.filter(pc.less_equal(rows.column("known_date"), day))
