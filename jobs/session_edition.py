"""What a version publishes to rank sessions: a model that reads histories, and everybody's recent history, packed.

U users with a history · E their events, one user's after the other's · H items that must not be shown again, likewise
M users with as many events and hidden items
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from datetime import date
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from contracts import names
from contracts.errors import ModelRefused, PartitionMissing, ServiceUnreachable
from contracts.histories import LONGEST_GAP, MOST_DAYS_AGO, WIDE
from contracts.lists import index_type
from jobs.io.lake import Lake
from jobs.io.model_files import load_model
from jobs.io.registry import model_folder
from jobs.io.state import PROMOTIONS
from jobs.ranking.score_model import Model
from jobs.ranking.session import session_model, with_most_popular
from jobs.ranking.world import IntArray, World, index_of, load_catalogue
from jobs.runs import StepContext
from models.session_bytes import to_bytes

log = logging.getLogger("foretaste.publish")

#: Of a model: what every process of the API reads of each version, and holds twice.
MOST_BYTES = 256 << 20


@dataclass(frozen=True)
class Sessions:
    """What sessions are ranked over, before it is known what its items are called in a version."""

    world: World  # without people
    model: Model | None

    @property
    def item_ids(self) -> pa.Array:
        return pa.array(self.world.item_ids, pa.string())


@dataclass(frozen=True)
class SessionEdition:
    """The model and the histories of a version, ready to be written."""

    model: bytes
    user_ids: list[str]
    packed_U: list[bytes]

    @property
    def digest(self) -> str:
        """Of the model."""
        return hashlib.sha256(self.model).hexdigest()

    @property
    def num_bytes(self) -> int:
        """What the store has to hold, without what it needs for itself."""
        return len(self.model) + sum(map(len, self.packed_U)) + sum(map(len, self.user_ids))


def load_sessions(day: date, context: StepContext, champion: str | None) -> tuple[Sessions | None, str]:
    """What sessions of a day are ranked over and by; None, and why, where it is not to be had: lists are published without."""
    try:
        world = with_most_popular(load_catalogue(context.lake, day))
        context.lake.verify(names.HISTORIES, day)
        if champion is None:
            return Sessions(world, None), ""
        promoted = context.state.get(PROMOTIONS, champion)
        if promoted is None:
            raise PartitionMissing(f"champion version {champion} has no record of its promotion")
        digest = promoted["sha256"]
        return Sessions(world, load_model(model_folder(context.settings, champion, digest), digest)), ""
    except (PartitionMissing, ServiceUnreachable, ModelRefused) as error:
        log.warning("sessions_left_out day=%s why=%s", day, error)
        return None, f"{error}"


def session_edition_of(
    sessions: Sessions, vocabulary: pa.Array, lake: Lake, day: date, *, repeats_allowed: bool
) -> tuple[SessionEdition | None, str]:
    """The edition of a day; None, and why, where the model is too large to be held by the API.

    Args:
        vocabulary: the ids of the version's items in the order of their indices.
    """
    index_N = index_of(sessions.item_ids, vocabulary)
    model = to_bytes(session_model(sessions.model, sessions.world, index_N))
    if len(model) > MOST_BYTES:
        return (
            None,
            f"the model for sessions has {len(model) >> 20} MiB, and more than {MOST_BYTES >> 20} are too many",
        )
    users, packed_U = pack_histories(
        lake.read(names.HISTORIES, day), vocabulary, repeats_allowed=repeats_allowed
    )
    return SessionEdition(model, users, packed_U), ""


def pack_histories(
    rows: pa.Table, vocabulary: pa.Array, *, repeats_allowed: bool
) -> tuple[list[str], list[bytes]]:
    """Users, and ``contracts.histories.pack_history`` of each, many at once; without what is not in the vocabulary.

    Args:
        rows: of ``contracts.tables.HISTORIES``.
    """
    num_users, index_dtype = rows.num_rows, np.dtype(index_type(len(vocabulary)))
    user_E, item_E, is_known_E = _flat(rows.column("item_ids"), vocabulary)
    depth_E, days_E = (
        pc.list_flatten(rows.column(name)).to_numpy()[is_known_E].astype(np.int64)
        for name in ("item_depths", "item_days_ago")
    )
    is_first_E = np.diff(user_E, prepend=-1) != 0
    gap_E = np.where(is_first_E, 0, np.clip(-np.diff(days_E, prepend=0), 0, LONGEST_GAP))
    told_E = (depth_E | gap_E << 2).astype(np.uint8)
    user_H, item_H, _ = _flat(rows.column("seen_item_ids"), vocabulary)
    if repeats_allowed:
        user_H, item_H = user_H[:0], item_H[:0]
    is_hidden_H = ~np.isin(user_H * len(vocabulary) + item_H, user_E * len(vocabulary) + item_E)
    user_H, item_H = user_H[is_hidden_H], item_H[is_hidden_H]
    events_U, hidden_U = (np.bincount(users, minlength=num_users) for users in (user_E, user_H))
    ends_U, hidden_ends_U = np.cumsum(events_U), np.cumsum(hidden_U)
    last_U = np.zeros(num_users, np.int64)
    last_U[events_U > 0] = np.minimum(days_E[ends_U[events_U > 0] - 1], MOST_DAYS_AGO)
    packed: list[bytes] = [b""] * num_users
    users_by_shape = np.lexsort((hidden_U, events_U))
    borders = np.flatnonzero(np.diff(events_U[users_by_shape]) | np.diff(hidden_U[users_by_shape])) + 1
    for start, end in pairwise([0, *borders.tolist(), num_users] if num_users else [0]):
        users_M = users_by_shape[start:end]
        num_events, num_hidden = int(events_U[users_M[0]]), int(hidden_U[users_M[0]])
        at_ME = ends_U[users_M][:, None] - num_events + np.arange(num_events)
        at_MH = hidden_ends_U[users_M][:, None] - num_hidden + np.arange(num_hidden)
        parts = (
            np.full((len(users_M), 1), WIDE if index_dtype.itemsize == 4 else 0, np.uint8),
            _bytes(np.full((len(users_M), 1), num_events), "<u2"),
            _bytes(last_U[users_M][:, None], "<u2"),
            _bytes(item_E[at_ME], index_dtype),
            told_E[at_ME],
            _bytes(item_H[at_MH], index_dtype),
        )
        joined = np.concatenate(parts, axis=1)
        text, width = joined.tobytes(), joined.shape[1]
        for row, user in enumerate(users_M.tolist()):
            packed[user] = text[row * width : (row + 1) * width]
    return rows.column("user_id").to_pylist(), packed


def _flat(lists: pa.ChunkedArray, vocabulary: pa.Array) -> tuple[IntArray, IntArray, npt.NDArray[np.bool_]]:
    """The user and the index of each known item of some lists, and which entries of all lists these are."""
    index = index_of(pc.list_flatten(lists), vocabulary)
    users = np.repeat(np.arange(len(lists)), pc.list_value_length(lists).to_numpy())
    return users[index >= 0], index[index >= 0], index >= 0


def _bytes(values: IntArray, dtype: npt.DTypeLike) -> npt.NDArray[np.uint8]:
    """Rows of numbers as rows of bytes."""
    return (
        values.astype(dtype).view(np.uint8).reshape(len(values), values.shape[1] * np.dtype(dtype).itemsize)
    )
