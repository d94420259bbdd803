"""The ranked lists of a day: the champion's for whom it knows, and for the others what the ladder has."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from contracts import names
from contracts.errors import PartitionMissing
from contracts.lists import SOURCES
from contracts.tables import TABLES
from jobs.guard import guard_champion
from jobs.io.commit import digest_of
from jobs.io.kept_states import KeptStates
from jobs.io.model_files import load_model
from jobs.io.registry import model_folder
from jobs.io.state import PROMOTIONS
from jobs.ranking.ladder import Ladder
from jobs.ranking.next_item import NextItemModel
from jobs.ranking.shares import each_share
from jobs.ranking.states import Encode, States, brought_up_to_date
from jobs.ranking.world import FloatArray, IntArray, World, load_world
from jobs.runs import StepContext, champion_of_run, lists_table, manifest_of, promoted_on

if TYPE_CHECKING:
    import pyarrow as pa


def run(day: date, context: StepContext, *, kind: str = names.DAILY) -> dict[str, Any]:
    """Score every user with the champion of the run's manifest; write the day's lists to the lake."""
    manifest = manifest_of(context.state, kind, day)
    demotion = guard_champion(day, context) if kind == names.DAILY else ""
    if kind == names.DAILY:
        version = champion_of_run(context.state, manifest)
    else:
        version = promoted_on(context.state, day)
    table = TABLES[lists_table(kind)]
    inputs = digest_of([manifest["settings"], manifest["feed"], version, *_input_digests(context, day)])
    if context.lake.is_current(table.name, day, inputs):
        return {
            "lists": context.lake.verify(table.name, day).num_rows,
            "champion": version,
            "demotion": demotion,
            "unchanged": True,
        }
    world = load_world(context.lake, day)
    model, digest = _load_champion(context, version)
    states, told = _encoded(context, world, model, digest)
    rows = rank_everyone(
        world,
        model,
        length=manifest["settings"]["list_length"],
        num_candidates=manifest["settings"]["num_candidates"],
        repeats_allowed=bool(manifest["feed"]["repeats_allowed"]),
        processes=context.settings.threads,
        states=states,
    )
    written = context.lake.replace(table.name, day, rows, inputs=inputs)
    return {
        "lists": written.num_rows,
        "sources": sources_of(rows),
        "champion": version,
        "items": world.num_items,
        "demotion": demotion,
        **told,
    }


def sources_of(rows: pa.Table) -> dict[str, int]:
    """How many lists come from each source, from the top of the ladder down."""
    import pyarrow.compute as pc

    counts = {row["values"]: row["counts"] for row in pc.value_counts(rows.column("source")).to_pylist()}
    return {source: counts[source] for source in SOURCES if source in counts}


def rank_everyone(
    world: World,
    model: NextItemModel | None,
    *,
    length: int,
    num_candidates: int,
    repeats_allowed: bool,
    processes: int = 1,
    states: States | None = None,
) -> pa.Table:
    """One list for each user of the world, as rows of ``contracts.tables.LISTS``, users in order.

    Args:
        states: of all their histories, where they are known already; the lists are the same without.
    """
    ranking = None
    if model is not None:
        ranking = model.ranking(
            world,
            length=length,
            num_candidates=num_candidates,
            repeats_allowed=repeats_allowed,
            encode=states.encode if states is not None else None,
        )
    ladder = Ladder(world, ranking, length=length, repeats_allowed=repeats_allowed)
    shares = each_share(partial(rows_of_share, ladder), len(world.user_ids), processes)
    return together(shares)


def rows_of_share(ladder: Ladder, users: IntArray) -> pa.Table:
    """The lists of some users as rows of ``contracts.tables.LISTS``: the same wherever, and beside whatever, it is computed."""
    import pyarrow as pa

    from jobs.io.schemas import schema_of

    ranked, world = ladder.rank(users), ladder.world
    is_item_UK = ranked.items_UK >= 0
    lengths_U = is_item_UK.sum(axis=1)
    offsets = pa.array(np.concatenate([[0], np.cumsum(lengths_U)]).astype(np.int32))
    columns = {
        "user_id": pa.array(world.user_ids[users], pa.string()),
        "source": pa.array(SOURCES).take(pa.array(ranked.source_U)),
        "is_short": pa.array(lengths_U < ranked.items_UK.shape[1]),
        "item_ids": pa.ListArray.from_arrays(
            offsets, pa.array(world.item_ids, pa.string()).take(pa.array(ranked.items_UK[is_item_UK]))
        ),
        "scores": pa.ListArray.from_arrays(offsets, pa.array(ranked.scores_UK[is_item_UK], pa.float64())),
    }
    return pa.table(columns, schema=schema_of(TABLES[names.LISTS].columns))


def together(shares: Iterable[pa.Table]) -> pa.Table:
    """The rows of all shares as one table, as if there had been one share."""
    import pyarrow as pa

    from jobs.io.schemas import schema_of

    empty = schema_of(TABLES[names.LISTS].columns).empty_table()
    return pa.concat_tables([empty, *shares]).combine_chunks()


def _encoded(
    context: StepContext, world: World, model: NextItemModel | None, digest: str
) -> tuple[States | None, dict[str, int]]:
    """The states of everybody's history; only those are encoded that the last run with this model has not left."""
    if model is None:
        return None, {}
    kept = KeptStates(context.settings, digest)
    encode = partial(encode_in_shares, model.sasrec.encode, processes=context.settings.threads)
    states, encoded = brought_up_to_date(kept.read(), model.histories(world), encode)
    if encoded:
        kept.write(states)
    return states, {"histories": len(states.digests_S2), "encoded": encoded}


def encode_in_shares(encode: Encode, histories: Sequence[IntArray], processes: int) -> FloatArray:
    """The states of histories, by so many processes; those of like length come together."""
    order = np.argsort([len(items) for items in histories], kind="stable")
    parts = each_share(
        lambda share: encode([histories[place] for place in order[share]]), len(histories), processes
    )
    states_UD = np.concatenate([encode([]), *parts])
    return states_UD[np.argsort(order)]


def _load_champion(context: StepContext, version: str | None) -> tuple[NextItemModel | None, str]:
    """The champion and its digest."""
    if version is None:
        return None, ""
    promoted = context.state.get(PROMOTIONS, version)
    if promoted is None:
        raise PartitionMissing(
            f"champion version {version} has no record of its promotion. Retrain: foretaste retrain"
        )
    digest = str(promoted["sha256"])
    return load_model(model_folder(context.settings, version, digest), digest), digest


def _input_digests(context: StepContext, day: date) -> list[str]:
    tables = (*names.BY_FEATURE_DAY, *names.LOOKING_BACK)
    return [context.lake.verify(table, day).digest for table in tables]
