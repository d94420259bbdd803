"""What a version publishes, as arrays: checked list by list, digested and packed at once.

U users · T the items of all their lists, one list after the other · X the reasons of all their places, likewise
N items of the catalogue · M lists of one length and as many reasons
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from contracts.errors import GateRefused
from contracts.lists import EXPLAINED_PLACES, POPULAR, SOURCES, flags, index_type, pack
from contracts.serving_rules import ServingRules
from contracts.tables import LISTS
from jobs.item_texts import item_texts

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

#: Lists handled at once: few enough for the caches, many enough for NumPy.
_BLOCK = 4096


@dataclass(frozen=True)
class Lists:
    """Everybody's list: user u has ``items_T[offsets_U1[u] : offsets_U1[u + 1]]``, best first."""

    user_ids: list[str]  # rising
    source_U: IntArray  # places in SOURCES
    is_short_U: BoolArray
    offsets_U1: IntArray
    items_T: IntArray  # places in the catalogue, -1 for what is not for sale
    scores_T: npt.NDArray[np.float64]
    reason_offsets_U1: IntArray
    reason_places_X: IntArray  # from 1
    reason_items_X: IntArray  # places in the catalogue, for sale or not; -1 for what is not in it

    def blocks(self) -> Iterator[tuple[IntArray, IntArray, IntArray]]:
        """Users whose lists are alike in length, and where their items stand in T and their reasons in X, as matrices."""
        lengths_U, reasons_U = np.diff(self.offsets_U1), np.diff(self.reason_offsets_U1)
        users = np.lexsort((reasons_U, lengths_U))
        borders = np.flatnonzero(np.diff(lengths_U[users]) | np.diff(reasons_U[users])) + 1
        for alike in np.split(users, borders):
            for start in range(0, len(alike), _BLOCK):
                users_M = alike[start : start + _BLOCK]
                yield (
                    users_M,
                    self.offsets_U1[users_M][:, None] + np.arange(lengths_U[users_M[0]]),
                    self.reason_offsets_U1[users_M][:, None] + np.arange(reasons_U[users_M[0]]),
                )


@dataclass(frozen=True)
class Edition:
    """The lists of a run, ready to be written: every list packed, the items that they name, and the digest."""

    user_ids: list[str]
    packed_U: list[bytes]
    item_ids: pa.Array  # the vocabulary, in the order of its indices
    items: list[bytes]  # JSON of each item of the vocabulary
    popular: bytes  # the packed list for whoever has none
    rules: str  # JSON of the rules under which all this is shown
    digest: str

    @property
    def num_bytes(self) -> int:
        """What the store has to hold, without what it needs for itself."""
        texts = (self.user_ids, self.packed_U, self.items)
        return sum(len(text) for column in texts for text in column) + len(self.popular) + len(self.rules)


def edition_of(
    lists: pa.Table,
    catalogue: pa.Table,
    popularity: pa.Table,
    length: int,
    rules: ServingRules,
    ranked_over: pa.Array | None = None,
) -> Edition:
    """The edition of a day's lists.

    Args:
        lists: rows of ``contracts.tables.LISTS``.
        catalogue: the day's items, with :data:`jobs.item_texts.COLUMNS` and whether they are for sale.
        popularity: ``item_id`` and ``popularity_7d``, what strangers get ranked by.
        length: how long a list is that does not say it is short.
        rules: under which the lists are shown.
        ranked_over: ids of items that sessions are ranked over, which no list has to name.

    Raises:
        GateRefused: a list is not what a reader may be given.
    """
    catalogue = catalogue.sort_by("item_id")
    item_ids = catalogue["item_id"].combine_chunks()
    is_for_sale_N = _numpy(pc.fill_null(catalogue["is_available"], False)).astype(bool)
    found = read_lists(lists, item_ids, is_for_sale_N)
    refuse_unfit(found, lists["item_ids"], length)
    for_sale = np.flatnonzero(is_for_sale_N)
    popularity_N = popularity_of(item_ids, popularity)
    best, shares = popular_list(popularity_N[for_sale], popularity, length)
    best = for_sale[best]
    # The vocabulary holds what a list names, or gives as a reason, or a rule gives a place, or a session may be answered with.
    is_named_N = _numpy(pc.is_in(item_ids, pa.array(sorted(rules.pinned), item_ids.type))).astype(bool)
    if ranked_over is not None:
        is_named_N |= _numpy(pc.is_in(item_ids, ranked_over))
    is_named_N[found.items_T] = is_named_N[found.reason_items_X] = is_named_N[best] = True
    index_N = np.cumsum(is_named_N) - 1
    shown = catalogue.filter(pa.array(is_named_N))
    return Edition(
        user_ids=found.user_ids,
        packed_U=pack_all(found, index_N, shown.num_rows),
        item_ids=shown["item_id"].combine_chunks(),
        items=item_texts(shown, popularity_N[is_named_N], rules),
        popular=pack(index_N[best].tolist(), shares.tolist(), POPULAR, len(best) < length, shown.num_rows),
        rules=rules.to_json(),
        digest=digest(found, item_ids),
    )


def read_lists(rows: pa.Table, vocabulary: pa.Array, is_for_sale_N: BoolArray) -> Lists:
    """The rows of ``contracts.tables.LISTS`` as arrays.

    Raises:
        GateRefused: a value is missing, a list has not one score an item or one place a reason, or users are not in order.
    """
    users = rows["user_id"]
    if rows.num_rows == 0:
        raise GateRefused("there is not one list: nothing is published. Look at the features of the day")
    if lacking := [name for name in LISTS.columns if name not in rows.column_names]:
        raise GateRefused(
            f"the lists have no column {lacking[0]}: they were scored before there was one. Score the day again"
        )
    for name in LISTS.columns:
        column = rows[name]
        is_list = pa.types.is_list(column.type)
        if column.null_count or (is_list and pc.list_flatten(column).null_count):
            raise GateRefused(
                f"column {name} of the lists has missing values: nothing is published. Score the day again"
            )
    lengths_U, reasons_U = (pc.list_value_length(rows[name]) for name in ("item_ids", "reason_item_ids"))
    for counts_U, name, what in (
        (lengths_U, "scores", "has not one score an item"),
        (reasons_U, "reason_places", "has not one place a reason"),
    ):
        _refuse(_numpy(pc.not_equal(counts_U, pc.list_value_length(rows[name]))), users, what)
    is_out_of_order_U = _numpy(pc.less_equal(users[1:], users[:-1]))
    _refuse(
        np.concatenate([[users[0].as_py() == ""], is_out_of_order_U]),
        users,
        "is nobody's, or out of order, or a second one",
    )
    source_U = _numpy(pc.fill_null(pc.index_in(rows["source"], pa.array(SOURCES)), -1)).astype(np.int64)
    _refuse(source_U < 0, users, f"has a source that is none of {', '.join(SOURCES)}")
    items_T, reasons_X = (
        _numpy(pc.fill_null(pc.index_in(pc.list_flatten(rows[name]), vocabulary), -1)).astype(np.int64)
        for name in ("item_ids", "reason_item_ids")
    )
    return Lists(
        user_ids=users.to_pylist(),
        source_U=source_U,
        is_short_U=_numpy(rows["is_short"]),
        offsets_U1=np.concatenate([[0], np.cumsum(_numpy(lengths_U), dtype=np.int64)]),
        items_T=np.where(np.append(is_for_sale_N, False)[items_T], items_T, -1),
        scores_T=_numpy(pc.list_flatten(rows["scores"])),
        reason_offsets_U1=np.concatenate([[0], np.cumsum(_numpy(reasons_U), dtype=np.int64)]),
        reason_places_X=_numpy(pc.list_flatten(rows["reason_places"])).astype(np.int64),
        reason_items_X=reasons_X,
    )


def refuse_unfit(lists: Lists, item_ids: pa.ChunkedArray, length: int) -> None:
    """Look at every list of every user: this is the last place where a bad one can be stopped.

    Raises:
        GateRefused: a list names what is not for sale or an item twice, has scores that are not finite or
            rise, is short without saying so, or a reason is of no item or of no place that may have one.
    """
    lengths_U = np.diff(lists.offsets_U1)
    is_foreign_U, is_repeating_U, is_infinite_U, is_rising_U, is_baseless_U = np.zeros(
        (5, len(lengths_U)), bool
    )
    for users_M, at_MK, reasons_MX in lists.blocks():
        last = min(at_MK.shape[1], EXPLAINED_PLACES)
        places_MX = lists.reason_places_X[reasons_MX]
        is_baseless_MX = (lists.reason_items_X[reasons_MX] < 0) | (places_MX < 1) | (places_MX > last)
        is_baseless_U[users_M] = is_baseless_MX.any(axis=1)
        items_MK, scores_MK = lists.items_T[at_MK], lists.scores_T[at_MK]
        sorted_MK = np.sort(items_MK, axis=1)
        is_foreign_U[users_M] = (items_MK < 0).any(axis=1)
        is_repeating_U[users_M] = (sorted_MK[:, 1:] == sorted_MK[:, :-1]).any(axis=1)
        is_infinite_U[users_M] = ~np.isfinite(scores_MK).all(axis=1)
        is_rising_U[users_M] = (scores_MK[:, 1:] > scores_MK[:, :-1]).any(axis=1)
    if is_foreign_U.any():
        foreign = pc.list_flatten(item_ids)[int(np.argmax(lists.items_T < 0))].as_py()
        _refuse(is_foreign_U, lists.user_ids, f"names {foreign!r}, which is not for sale")
    _refuse(is_repeating_U, lists.user_ids, "names an item twice")
    _refuse(is_infinite_U, lists.user_ids, "has scores that are not finite")
    _refuse(is_rising_U, lists.user_ids, "has scores that rise")
    _refuse(is_baseless_U, lists.user_ids, "has a reason of no item of the catalogue, or of no place")
    is_wrong_U = (lengths_U > length) | ((lengths_U < length) != lists.is_short_U)
    if is_wrong_U.any():
        user = int(np.argmax(is_wrong_U))
        told = f"holds {lengths_U[user]} of {length} items and says is_short={bool(lists.is_short_U[user])}"
        _refuse(is_wrong_U, lists.user_ids, told)


def popularity_of(item_ids: pa.Array, popularity: pa.Table) -> npt.NDArray[np.float64]:
    """The popularity of each item; 0 of what nothing is told of."""
    place = pc.index_in(popularity["item_id"], item_ids)
    is_known = pc.is_valid(place)
    popularity_N = np.zeros(len(item_ids))
    told = pc.fill_null(popularity["popularity_7d"].filter(is_known), 0)
    popularity_N[_numpy(place.filter(is_known))] = _numpy(told)
    return popularity_N


def popular_list(
    popularity_N: npt.NDArray[np.float64], popularity: pa.Table, length: int
) -> tuple[IntArray, npt.NDArray[np.float64]]:
    """Places of the most popular items, ties in their order, and each one's share of all popularity."""
    best = np.argsort(-popularity_N, kind="stable")[:length]
    total = float(max(pc.sum(popularity["popularity_7d"]).as_py() or 0, 1))
    return best.astype(np.int64), np.asarray(np.round(popularity_N[best] / total, 6), np.float64)


def digest(lists: Lists, vocabulary: pa.Array) -> str:
    """``contracts.lists.list_digest`` of all lists, many at once."""
    found = hashlib.sha256()
    millionths_T = np.rint(lists.scores_T * 1e6).astype(np.int64)
    users = pa.array(lists.user_ids, pa.string())
    for start in range(0, len(users), _BLOCK):
        offsets = lists.offsets_U1[start : start + _BLOCK + 1]
        part = slice(offsets[0], offsets[-1])
        items = vocabulary.take(pa.array(lists.items_T[part]))
        cells = pc.binary_join_element_wise(items, pc.cast(pa.array(millionths_T[part]), pa.string()), "\x1f")
        of_user = pc.binary_join(
            pa.ListArray.from_arrays(pa.array(offsets - offsets[0], pa.int32()), cells), "\x1f"
        )
        lines = pc.binary_join_element_wise(
            pc.binary_join_element_wise(users[start : start + _BLOCK], of_user, "\x1f"), "", "\n"
        )
        found.update(
            pc.binary_join(pa.ListArray.from_arrays(pa.array([0, len(lines)], pa.int32()), lines), "")[
                0
            ].as_buffer()
        )
    return found.hexdigest()


def pack_all(lists: Lists, index_N: IntArray, num_items: int) -> list[bytes]:
    """``contracts.lists.pack`` of every list, many at once; ``index_N`` is each item's index in the version."""
    index_dtype = np.dtype(index_type(num_items))
    flags_U = np.array(
        [[flags(source, short, num_items) for short in (False, True)] for source in SOURCES],
        np.uint8,
    )[lists.source_U, lists.is_short_U.astype(int)]
    packed: list[bytes] = [b""] * len(lists.user_ids)

    def indices(items: IntArray) -> npt.NDArray[np.uint8]:
        return index_N[items].astype(index_dtype).view(np.uint8).reshape(len(items), -1)

    for users_M, at_MK, reasons_MX in lists.blocks():
        num, length = at_MK.shape
        scores = lists.scores_T[at_MK].astype("<f4").view(np.uint8).reshape(num, -1)
        parts = [flags_U[users_M][:, None], indices(lists.items_T[at_MK]), scores]
        if reasons_MX.shape[1]:
            parts[0] = parts[0] | flags(POPULAR, False, 0, has_reasons=True)
            parts.insert(1, np.tile(np.array([length], "<u2").view(np.uint8), (num, 1)))
            parts += [
                lists.reason_places_X[reasons_MX].astype(np.uint8),
                indices(lists.reason_items_X[reasons_MX]),
            ]
        rows = np.concatenate(parts, axis=1)
        text, width = rows.tobytes(), rows.shape[1]
        for row, user in enumerate(users_M.tolist()):
            packed[user] = text[row * width : (row + 1) * width]
    return packed


def _refuse(is_wrong_U: BoolArray, users: Any, what: str) -> None:
    """Refuse to publish when one list is wrong, naming the first."""
    if is_wrong_U.any():
        user = users[int(np.argmax(is_wrong_U))]
        name = user if isinstance(user, str) else user.as_py()
        others = f" ({np.count_nonzero(is_wrong_U):,} of {len(is_wrong_U):,} lists)"
        raise GateRefused(
            f"the list of user {name!r} {what}{others}: nothing is published. Score the day again"
        )


def _numpy(values: pa.Array | pa.ChunkedArray) -> npt.NDArray[Any]:
    found: npt.NDArray[Any] = (
        values.to_numpy() if isinstance(values, pa.ChunkedArray) else values.to_numpy(zero_copy_only=False)
    )
    return found
