"""The ranked lists of a day: the champion's for whom it knows, and for the others what the ladder has."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from datetime import date
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from contracts import names
from contracts.errors import PartitionMissing
from contracts.tables import TABLES
from jobs.guard import guard_champion
from jobs.io.commit import digest_of
from jobs.io.kept_states import KeptStates
from jobs.io.registry import model_folder
from jobs.io.state import PROMOTIONS
from jobs.monitoring.list_sources import count_sources
from jobs.ranking.ladder import ladder_of
from jobs.ranking.list_rows import rows_of_share, together
from jobs.ranking.next_item import NextItemModel
from jobs.ranking.reasons import EXPLAINED_EVENTS
from jobs.ranking.score_model import Model
from jobs.ranking.shares import each_share
from jobs.ranking.spark_shares import Scene, encode_on_spark, rank_on_spark
from jobs.ranking.states import Encode, States, brought_up_to_date
from jobs.ranking.world import FloatArray, IntArray, World, load_world
from jobs.runs import StepContext, champion_of_run, lists_table, manifest_of, promoted_on

if TYPE_CHECKING:
    import pyarrow as pa


#: Bytes of states that are kept at most: about 1.4 million people with the default settings.
_MOST_BYTES = 2 << 30


def run(day: date, context: StepContext, *, kind: str = names.DAILY) -> dict[str, Any]:
    """Score every user with the champion of the run's manifest; write the day's lists to the lake."""
    manifest = manifest_of(context.state, kind, day)
    demotion = guard_champion(day, context) if kind == names.DAILY else ""
    if kind == names.DAILY:
        version = champion_of_run(context.state, manifest)
    else:
        version = promoted_on(context.state, day)
    table = TABLES[lists_table(kind)]
    columns = list(table.columns)  # lists that were made before there was one are made anew
    inputs = digest_of(
        [manifest["settings"], manifest["feed"], version, columns, *_input_digests(context, day)]
    )
    if context.lake.is_current(table.name, day, inputs):
        return {
            "lists": context.lake.verify(table.name, day).num_rows,
            "champion": version,
            "demotion": demotion,
            "unchanged": True,
        }
    world = load_world(context.lake, day)
    digest, folder = _champion_files(context, version)
    scene = Scene(
        context.lake.root,
        day,
        inputs,
        folder,
        digest,
        length=manifest["settings"]["list_length"],
        num_candidates=manifest["settings"]["num_candidates"],
        repeats_allowed=bool(manifest["feed"]["repeats_allowed"]),
    )
    rank = _on_spark if context.settings.score_with == "spark" else _by_processes
    rows, told = rank(context, scene, world)
    written = context.lake.replace(table.name, day, rows, inputs=inputs)
    return {
        "lists": written.num_rows,
        "sources": count_sources(rows),
        "champion": version,
        "items": world.num_items,
        "demotion": demotion,
        **told,
    }


def rank_everyone(
    world: World,
    model: Model | None,
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
    ladder = ladder_of(
        world,
        model,
        length=length,
        num_candidates=num_candidates,
        repeats_allowed=repeats_allowed,
        encode=states.encode if states is not None else None,
    )
    shares = each_share(partial(rows_of_share, ladder), len(world.user_ids), processes)
    return together(shares)


def _by_processes(context: StepContext, scene: Scene, world: World) -> tuple[pa.Table, dict[str, int]]:
    model, processes = scene.load_model(), context.settings.threads
    states, told = None, dict[str, int]()
    if isinstance(model, NextItemModel):  # what scores by itself keeps no states
        encode = partial(encode_in_shares, model.encode, processes=processes)
        states, told = _encoded(_kept_states(context, scene), model.histories(world), encode)
    rows = rank_everyone(
        world,
        model,
        length=scene.length,
        num_candidates=scene.num_candidates,
        repeats_allowed=scene.repeats_allowed,
        processes=processes,
        states=states,
    )
    return rows, told


def _on_spark(context: StepContext, scene: Scene, world: World) -> tuple[pa.Table, dict[str, int]]:
    """The same by Spark's workers, who find the champion, its states and the day's tables below the home folder."""
    from jobs.io.spark import spark_context

    staged = context.lake.staging("recommendations/shares", scene.day)
    model, told, path = scene.load_model(), dict[str, int](), None
    with spark_context(context.settings) as spark:
        if isinstance(model, NextItemModel):
            kept = _kept_states(context, scene)
            encode = partial(encode_on_spark, spark, scene, staged)
            states, told = _encoded(kept, model.histories(world), encode)
            path = kept.path if states is not None else None
        rows = together(rank_on_spark(spark, scene, staged, len(world.user_ids), path))
    shutil.rmtree(staged)
    return rows, told


def _kept_states(context: StepContext, scene: Scene) -> KeptStates:
    return KeptStates(context.settings, scene.model_digest, EXPLAINED_EVENTS)


def _encoded(
    kept: KeptStates, histories: Sequence[IntArray], encode: Encode
) -> tuple[States | None, dict[str, int]]:
    """The states of everybody's history; only those are encoded that the last run with this model has not left.

    Of more people than fit into the bound nothing is kept, and whoever ranks them encodes them.
    """
    if encode([]).shape[1] * 4 * len(histories) > _MOST_BYTES:
        return None, {}
    before = kept.read()
    states, encoded = brought_up_to_date(before, histories, encode)
    if encoded or len(states.digests_S2) != len(before.digests_S2):  # what nobody has any more is forgotten
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


def _champion_files(context: StepContext, version: str | None) -> tuple[str, Path | None]:
    """The champion's digest, and the folder that holds it on this machine."""
    if version is None:
        return "", None
    promoted = context.state.get(PROMOTIONS, version)
    if promoted is None:
        raise PartitionMissing(
            f"champion version {version} has no record of its promotion. Retrain: foretaste retrain"
        )
    return promoted["sha256"], model_folder(context.settings, version, promoted["sha256"])


def _input_digests(context: StepContext, day: date) -> list[str]:
    tables = (*names.BY_FEATURE_DAY, *names.LOOKING_BACK)
    return [context.lake.verify(table, day).digest for table in tables]
