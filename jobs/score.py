"""The ranked lists of a day: the champion's for whom it knows, recent popularity for the others."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

from contracts import names
from contracts.errors import PartitionMissing
from contracts.lists import PERSONAL, POPULAR
from contracts.tables import TABLES
from jobs.io.commit import digest_of
from jobs.io.model_files import load_model
from jobs.io.registry import model_folder
from jobs.io.state import PROMOTIONS
from jobs.ranking.next_item import NextItemModel, allowed_items
from jobs.ranking.world import World, load_world
from jobs.runs import StepContext, lists_table, manifest_of, promoted_on
from models.topk import top_k

if TYPE_CHECKING:
    import pyarrow as pa

_BLOCK = 1024


def run(day: date, context: StepContext, *, kind: str = names.DAILY) -> dict[str, Any]:
    """Score every user with the champion of the run's manifest; write the day's lists to the lake."""
    torch.set_num_threads(context.settings.threads)
    manifest = manifest_of(context.state, kind, day)
    version = manifest["champion"] if kind == names.DAILY else promoted_on(context.state, day)
    table = TABLES[lists_table(kind)]
    inputs = digest_of([manifest["settings"], manifest["feed"], version, *_input_digests(context, day)])
    if context.lake.is_current(table.name, day, inputs):
        return {
            "lists": context.lake.verify(table.name, day).num_rows,
            "champion": version,
            "unchanged": True,
        }
    world = load_world(context.lake, day, day)
    model = _load_champion(context, version)
    rows = rank_everyone(
        world,
        model,
        length=manifest["settings"]["list_length"],
        num_candidates=manifest["settings"]["num_candidates"],
        repeats_allowed=bool(manifest["feed"]["repeats_allowed"]),
    )
    written = context.lake.replace(table.name, day, rows, inputs=inputs)
    personal = rows.column("source").to_pylist().count(PERSONAL)
    return {"lists": written.num_rows, "personal": personal, "champion": version, "items": world.num_items}


def rank_everyone(
    world: World, model: NextItemModel | None, *, length: int, num_candidates: int, repeats_allowed: bool
) -> pa.Table:
    """One list for each user of the world, as rows of ``contracts.tables.LISTS``, users in order."""
    everyone = np.arange(len(world.user_ids))
    popular_UK, popular_scores_UK = _popular(world, everyone, length, repeats_allowed)
    if model is None:
        return _as_rows(world, popular_UK, popular_scores_UK, np.zeros(len(everyone), bool))
    ranked = model.rank(
        world, everyone, length=length, num_candidates=num_candidates, repeats_allowed=repeats_allowed
    )
    is_personal_U1 = ranked.is_personal_U[:, None]
    return _as_rows(
        world,
        np.where(is_personal_U1, ranked.items_UK, popular_UK),
        np.where(is_personal_U1, ranked.scores_UK, popular_scores_UK),
        ranked.is_personal_U,
    )


def _popular(
    world: World, users: npt.NDArray[np.int64], length: int, repeats_allowed: bool
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Recent popularity as a share of all, among what may be shown to each user."""
    share_N = world.popularity_N / max(float(world.popularity_N.sum()), 1.0)
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
) -> pa.Table:
    import pyarrow as pa

    from jobs.io.schemas import schema_of

    is_item_UK = items_UK >= 0
    lengths_U = is_item_UK.sum(axis=1)
    offsets = pa.array(np.concatenate([[0], np.cumsum(lengths_U)]).astype(np.int32))
    columns = {
        "user_id": pa.array(world.user_ids, pa.string()),
        "source": pa.array(np.where(is_personal_U, PERSONAL, POPULAR).tolist(), pa.string()),
        "is_short": pa.array(lengths_U < items_UK.shape[1]),
        "item_ids": pa.ListArray.from_arrays(
            offsets, pa.array(world.item_ids[items_UK[is_item_UK]], pa.string())
        ),
        "scores": pa.ListArray.from_arrays(offsets, pa.array(scores_UK[is_item_UK], pa.float64())),
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
    tables = (*names.BY_FEATURE_DAY, names.HISTORIES, names.COVISITATION)
    return [context.lake.verify(table, day).digest for table in tables]
