"""The ranked lists of a day: the champion's for whom it knows, recent popularity for the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import date
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from threadpoolctl import threadpool_limits

from contracts import names
from contracts.errors import PartitionMissing
from contracts.lists import EXPLAINED_PLACES, PERSONAL, POPULAR, REASONS_PER_PLACE
from contracts.tables import TABLES
from jobs.guard import guard_champion
from jobs.io.commit import digest_of
from jobs.io.model_files import load_model
from jobs.io.registry import model_folder
from jobs.io.state import PROMOTIONS
from jobs.ranking.next_item import NextItemModel, RankedLists
from jobs.ranking.proposer import allowed_items
from jobs.ranking.reasons import reason_columns
from jobs.ranking.world import World, load_world
from jobs.runs import StepContext, champion_of_run, lists_table, manifest_of, promoted_on
from models.topk import top_k

if TYPE_CHECKING:
    import pyarrow as pa

_BLOCK = 1024
#: Users that a process ranks at once: a whole number of the model's blocks, so that the result is the same
#: whatever the number of processes.
_SHARE = 4096


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
    import pyarrow.compute as pc

    world = load_world(context.lake, day)
    model = _load_champion(context, version)
    rows = rank_everyone(
        world,
        model,
        length=manifest["settings"]["list_length"],
        num_candidates=manifest["settings"]["num_candidates"],
        repeats_allowed=bool(manifest["feed"]["repeats_allowed"]),
        processes=context.settings.threads,
    )
    written = context.lake.replace(table.name, day, rows, inputs=inputs)
    personal = pc.sum(pc.equal(rows.column("source"), PERSONAL)).as_py() or 0
    return {
        "lists": written.num_rows,
        "personal": personal,
        "champion": version,
        "items": world.num_items,
        "demotion": demotion,
    }


def rank_everyone(
    world: World,
    model: NextItemModel | None,
    *,
    length: int,
    num_candidates: int,
    repeats_allowed: bool,
    processes: int = 1,
) -> pa.Table:
    """One list for each user of the world, as rows of ``contracts.tables.LISTS``, users in order."""
    num_users = len(world.user_ids)
    items_UK = np.full((num_users, length), -1, np.int64)
    scores_UK = np.full((num_users, length), -np.inf)
    is_personal_U = np.zeros(num_users, bool)
    reasons_UKE = np.full((num_users, min(EXPLAINED_PLACES, length), REASONS_PER_PLACE), -1, np.int64)
    if model is not None:
        ranking = model.ranking(
            world,
            length=length,
            num_candidates=num_candidates,
            repeats_allowed=repeats_allowed,
            num_explained=EXPLAINED_PLACES,
        )
        for ranked in _shares(ranking.rank, num_users, processes):
            items_UK[ranked.users], scores_UK[ranked.users] = ranked.items_UK, ranked.scores_UK
            is_personal_U[ranked.users] = ranked.is_personal_U
            reasons_UKE[ranked.users] = ranked.reasons_UKE
    others = np.flatnonzero(~is_personal_U)
    items_UK[others], scores_UK[others] = _popular(world, others, length, repeats_allowed)
    reasons_UKE[others] = -1
    return _as_rows(world, items_UK, scores_UK, is_personal_U, reasons_UKE)


def _shares(
    rank: Callable[[npt.NDArray[np.int64]], RankedLists], num_users: int, processes: int
) -> Iterator[RankedLists]:
    """Everybody's lists, share by share, by so many processes of one thread each.

    Threads inside a product of matrices would add up in another order, and scores would differ in their last bits.
    """
    shares = [np.arange(start, min(start + _SHARE, num_users)) for start in range(0, num_users, _SHARE)]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            if processes == 1 or len(shares) < 2:
                yield from map(rank, shares)
                return
            # Forked, so that nobody copies the world: it is read only.
            with ProcessPoolExecutor(
                processes, get_context("fork"), initializer=_Worker.begin, initargs=(rank,)
            ) as pool:
                yield from pool.map(_Worker.rank, shares)
    finally:
        torch.set_num_threads(threads)


class _Worker:
    """What a forked process has been given to do."""

    _rank: Callable[[npt.NDArray[np.int64]], RankedLists]

    @classmethod
    def begin(cls, rank: Callable[[npt.NDArray[np.int64]], RankedLists]) -> None:
        cls._rank = rank

    @classmethod
    def rank(cls, users: npt.NDArray[np.int64]) -> RankedLists:
        return cls._rank(users)


def _popular(
    world: World, users: npt.NDArray[np.int64], length: int, repeats_allowed: bool
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Recent popularity as a share of all, among what may be shown to each user."""
    share_N = world.popularity_N / max(float(world.popularity_N.sum()), 1.0)
    if repeats_allowed:  # everybody may be shown the same
        items_1K, shares_1K = top_k(np.where(world.is_available_N, share_N, -np.inf)[None, :], length)
        return np.repeat(items_1K, len(users), axis=0), np.repeat(shares_1K, len(users), axis=0)
    parts = []
    for start in range(0, len(users), _BLOCK):
        allowed_BN = allowed_items(world, users[start : start + _BLOCK], repeats_allowed)
        parts.append(top_k(np.where(allowed_BN, share_N[None, :], -np.inf), length))
    if not parts:
        return np.empty((0, length), np.int64), np.empty((0, length))
    return np.concatenate([items for items, _ in parts]), np.concatenate([scores for _, scores in parts])


def _as_rows(
    world: World,
    items_UK: npt.NDArray[np.int64],
    scores_UK: npt.NDArray[np.float64],
    is_personal_U: npt.NDArray[np.bool_],
    reasons_UKE: npt.NDArray[np.int64],
) -> pa.Table:
    import pyarrow as pa

    from jobs.io.schemas import schema_of

    is_item_UK = items_UK >= 0
    lengths_U = is_item_UK.sum(axis=1)
    offsets = pa.array(np.concatenate([[0], np.cumsum(lengths_U)]).astype(np.int32))
    columns = {
        "user_id": pa.array(world.user_ids, pa.string()),
        "source": pa.array([POPULAR, PERSONAL]).take(pa.array(is_personal_U.astype(np.int8))),
        "is_short": pa.array(lengths_U < items_UK.shape[1]),
        "item_ids": pa.ListArray.from_arrays(
            offsets, pa.array(world.item_ids, pa.string()).take(pa.array(items_UK[is_item_UK]))
        ),
        "scores": pa.ListArray.from_arrays(offsets, pa.array(scores_UK[is_item_UK], pa.float64())),
        **reason_columns(reasons_UKE, world.item_ids),
    }
    return pa.table(columns, schema=schema_of(TABLES[names.LISTS].columns))


def _load_champion(context: StepContext, version: str | None) -> NextItemModel | None:
    if version is None:
        return None
    promoted = context.state.get(PROMOTIONS, version)
    if promoted is None:
        raise PartitionMissing(
            f"champion version {version} has no record of its promotion. Retrain: foretaste retrain"
        )
    return load_model(model_folder(context.settings, version, promoted["sha256"]), promoted["sha256"])


def _input_digests(context: StepContext, day: date) -> list[str]:
    tables = (*names.BY_FEATURE_DAY, *names.LOOKING_BACK)
    return [context.lake.verify(table, day).digest for table in tables]
