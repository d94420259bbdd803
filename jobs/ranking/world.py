"""What was known at the end of a day, as arrays that models understand.

U users · N items of the catalogue, in the order of their ids · F features · C categories · B brands
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from contracts import names
from contracts.errors import PartitionMissing
from contracts.tables import FEAT_ITEM_DAILY, FEAT_USER_DAILY, HISTORIES
from jobs.io.lake import Lake
from models.events import events_of

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    from scipy.sparse import csr_matrix

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float32]

#: Every number that a feature table declares is a feature of the ranker.
USER_FEATURES = tuple(feature.name for feature in FEAT_USER_DAILY.features if feature.is_number)
ITEM_FEATURES = tuple(feature.name for feature in FEAT_ITEM_DAILY.features if feature.is_number)
#: What the catalogue says of an item in words that many items share.
ITEM_WORDS = ("category", "brand")


@dataclass(frozen=True)
class World:
    """Catalogue, histories and features as known at the end of ``cutoff``; item i is ``item_ids[i]``."""

    cutoff: date
    item_ids: npt.NDArray[np.object_]  # sorted
    is_available_N: npt.NDArray[np.bool_]
    category_N: IntArray  # code of the item's category, -1 without one
    brand_N: IntArray  # code of the item's brand, -1 without one
    titles_N: npt.NDArray[np.object_]  # "" where an item has none
    item_words: dict[str, npt.NDArray[np.object_]]  # of each of ITEM_WORDS the item's; "" where it has none
    item_features_NF: FloatArray  # logarithms, see _compress; NaN where a value is missing
    popularity_N: FloatArray  # weights of the last seven days: "recent popularity"
    neighbours_NN: csr_matrix  # co-visitation weights
    bought_with_NN: csr_matrix  # co-purchase weights
    user_ids: npt.NDArray[np.object_]  # sorted: everyone with a history or features
    histories: list[IntArray]  # of each user, oldest first
    steps: Deeds  # the same, step by step
    seen: list[IntArray]  # every item that the user acted upon, sorted
    deeds: Deeds  # what the users did with these
    user_features_UF: FloatArray  # likewise logarithms
    affinity_UC: csr_matrix  # share of the user's weight by category
    brand_affinity_UB: csr_matrix  # the same by brand

    @property
    def num_items(self) -> int:
        return len(self.item_ids)

    def events(self, user: int) -> IntArray:
        """The history of a user as :func:`models.events.events_of`, with days that are the same tomorrow."""
        begin, today = self.steps.starts_U[user], np.datetime64(self.cutoff).astype(np.int64)
        part = slice(begin, begin + len(self.histories[user]))
        return events_of(self.histories[user], self.steps.depths_D[part], today - self.steps.days_ago_D[part])


@dataclass(frozen=True)
class Deeds:
    """How far users went with items, and how long ago.

    D deeds: one for each item that a user has seen, or for each step of a history, a user's side by side and in the order
    of ``World.seen``, or of ``World.histories``
    """

    starts_U: IntArray  # where those of a user begin
    depths_D: npt.NDArray[np.signedinteger[Any]]  # one of contracts.tables.DEPTHS
    days_ago_D: npt.NDArray[np.signedinteger[Any]]

    def of_users(self, rows_U: IntArray) -> Deeds:
        """Those of these users, -1 for one without any."""
        return Deeds(np.append(self.starts_U, 0)[rows_U], self.depths_D, self.days_ago_D)


def load_catalogue(lake: Lake, cutoff: date) -> World:
    """The world at the end of ``cutoff`` without its people, from this day's own partitions.

    Raises:
        PartitionMissing: one of them was never built.
    """
    from scipy.sparse import csr_matrix

    items = _frame(lake, names.DIM_ITEMS, cutoff, ("item_id", "title", *ITEM_WORDS, "is_available"))
    items = items.sort_values("item_id").reset_index(drop=True)
    item_ids = items["item_id"].to_numpy(dtype=object)
    item_features = _frame(lake, names.FEAT_ITEM_DAILY, cutoff, ("item_id", *ITEM_FEATURES))
    item_features = item_features.set_index("item_id").reindex(item_ids)
    item_words = {name: items[name].fillna("").to_numpy(dtype=object) for name in ITEM_WORDS}
    (categories, category_N), (brands, brand_N) = (_coded(item_words[name]) for name in ITEM_WORDS)
    nobody = Deeds(*np.empty((3, 0), np.int64))
    return World(
        cutoff=cutoff,
        item_ids=item_ids,
        is_available_N=items["is_available"].to_numpy(dtype=bool),
        category_N=category_N,
        brand_N=brand_N,
        titles_N=items["title"].fillna("").to_numpy(dtype=object),
        item_words=item_words,
        item_features_NF=_compress(item_features[list(ITEM_FEATURES)]),
        popularity_N=item_features["popularity_7d"].fillna(0).to_numpy(dtype=np.float32),
        neighbours_NN=_neighbours(lake, names.COVISITATION, cutoff, item_ids),
        bought_with_NN=_neighbours(lake, names.COPURCHASE, cutoff, item_ids),
        user_ids=np.empty(0, object),
        histories=[],
        steps=nobody,
        seen=[],
        deeds=nobody,
        user_features_UF=np.empty((0, len(USER_FEATURES)), np.float32),
        affinity_UC=csr_matrix((0, len(categories) + 1)),
        brand_affinity_UB=csr_matrix((0, len(brands) + 1)),
    )


def load_world(lake: Lake, cutoff: date) -> World:
    """The world at the end of ``cutoff``, from this day's own partitions: as known then, whatever was told later.

    Raises:
        PartitionMissing: one of them was never built.
    """
    catalogue = load_catalogue(lake, cutoff)
    users = _frame(lake, names.FEAT_USER_DAILY, cutoff, ("user_id", *USER_FEATURES)).set_index("user_id")
    with_history, histories, steps, seen, deeds = _histories(lake, cutoff, catalogue.item_ids)
    user_ids = np.array(sorted({*with_history.to_pylist(), *users.index}), dtype=object)
    rows_U = index_of(user_ids, with_history.to_numpy(zero_copy_only=False))
    tables = (names.FEAT_USER_CATEGORY_DAILY, names.FEAT_USER_BRAND_DAILY)
    affinity_UC, brand_affinity_UB = (
        _affinity(lake, table, cutoff, user_ids, kind, _coded(catalogue.item_words[kind])[0])
        for kind, table in zip(ITEM_WORDS, tables, strict=True)
    )
    empty = np.empty(0, np.int64)
    return replace(
        catalogue,
        user_ids=user_ids,
        histories=[histories[row] if row >= 0 else empty for row in rows_U.tolist()],
        steps=steps.of_users(rows_U),
        seen=[seen[row] if row >= 0 else empty for row in rows_U.tolist()],
        deeds=deeds.of_users(rows_U),
        user_features_UF=_compress(users.reindex(user_ids)[list(USER_FEATURES)]),
        affinity_UC=affinity_UC,
        brand_affinity_UB=brand_affinity_UB,
    )


def index_of(ids: Any, all_ids: Any) -> IntArray:
    """The position of each id (NumPy or Arrow) in an array of different ids, -1 where it is not in it."""
    import pyarrow as pa
    import pyarrow.compute as pc

    wanted, among = (
        each if isinstance(each, pa.Array | pa.ChunkedArray) else pa.array(each, pa.string())
        for each in (ids, all_ids)
    )
    found = pc.fill_null(pc.index_in(wanted, value_set=among), -1)
    return np.asarray(
        found.to_numpy(zero_copy_only=False) if isinstance(found, pa.Array) else found.to_numpy(), np.int64
    )


def each_index_of(
    lists: Sequence[npt.NDArray[np.object_]], all_ids: npt.NDArray[np.object_]
) -> list[IntArray]:
    """:func:`index_of` for many lists at once: the ids are hashed once and not for each."""
    if not lists:
        return []
    return cut(index_of(np.concatenate(lists), all_ids), np.cumsum([len(ids) for ids in lists]))


def cut(values: npt.NDArray[Any], ends: npt.NDArray[np.integer[Any]]) -> list[npt.NDArray[Any]]:
    """Views of the values, each up to its end; for millions of parts many times faster than ``np.split``."""
    return [values[start:end] for start, end in pairwise([0, *ends.tolist()])]


def _frame(lake: Lake, table: str, day: date, columns: tuple[str, ...]) -> pd.DataFrame:
    """The columns of a partition.

    Raises:
        PartitionMissing: there is no such partition, or it is older than one of the columns.
    """
    if lake.manifest(table, day) is None:
        raise PartitionMissing(
            f"{table} has no partition {day}. Build it: foretaste load --day {day - timedelta(days=90)} --to {day}"
        )
    _refuse_without(lake, table, day, columns, f"foretaste rebuild --day {day} --to {day}")
    frame: pd.DataFrame = lake.read(table, day, list(columns)).to_pandas()
    return frame


def _refuse_without(lake: Lake, table: str, day: date, columns: Iterable[str], build: str) -> None:
    """Refuse a partition that is older than one of the columns.

    Raises:
        PartitionMissing: it is; the message says how to build it anew.
    """
    import pyarrow.parquet as pq

    there = {name for path in lake.files(table, [day]) for name in pq.read_schema(path).names}
    if lacking := [name for name in columns if name not in there]:
        raise PartitionMissing(
            f"{table} of {day} has no column {lacking[0]}: it was built before there was one. Build it anew: {build}"
        )


def _compress(features: pd.DataFrame) -> FloatArray:
    """Counts, money and ages span decades: sign(x)·log(1 + |x|). What is no number is missing."""
    values = features.to_numpy(dtype=np.float64, na_value=np.nan)
    values = np.where(np.isfinite(values), values, np.nan)
    return np.asarray(np.sign(values) * np.log1p(np.abs(values)), np.float32)


def _histories(
    lake: Lake, cutoff: date, item_ids: npt.NDArray[np.object_]
) -> tuple[pa.Array, list[IntArray], Deeds, list[IntArray], Deeds]:
    """Users; of each the history and what it has seen, by catalogue index, with its deeds. What left the catalogue is left out."""
    _refuse_without(lake, names.HISTORIES, cutoff, HISTORIES.columns, f"foretaste run --day {cutoff}")
    table = lake.read(names.HISTORIES, cutoff)
    history_U, is_known_step = _known(table.column("item_ids"), item_ids)
    seen_U, is_known = _known(table.column("seen_item_ids"), item_ids)
    steps, deeds = _deeds(table, "item", history_U, is_known_step), _deeds(table, "seen", seen_U, is_known)
    return table.column("user_id").combine_chunks(), history_U, steps, seen_U, deeds


def _deeds(table: pa.Table, prefix: str, items_U: list[IntArray], is_known: npt.NDArray[np.bool_]) -> Deeds:
    """What the columns of a prefix tell of each of the items that are known."""
    import pyarrow.compute as pc

    ends_U = np.cumsum([len(items) for items in items_U], dtype=np.int64)
    depths_D, days_ago_D = (
        pc.list_flatten(table.column(f"{prefix}_{name}")).to_numpy()[is_known].astype(kind)
        for name, kind in (
            ("depths", np.int8),
            ("days_ago", np.int16),
        )  # of millions of people they take room
    )
    return Deeds(np.concatenate([[0], ends_U[:-1]]).astype(np.int64), depths_D, days_ago_D)


Steps: TypeAlias = (
    "tuple[npt.NDArray[np.object_], pa.ListArray, npt.NDArray[np.int32], npt.NDArray[np.datetime64]]"
)


def steps_by_user(lake: Lake, day: date, until: date | None = None) -> Steps:
    """The training set of ``day``, up to ``until``: users, sorted; the items of each in order; how far each went, and its day."""
    where = [("event_date", "<=", until)] if until else None
    return steps_of(lake.read(names.SEQUENCES, day, list(STEPS), where))


#: The columns of a table of what users wanted, day by day.
STEPS = ("user_id", "event_date", "item_ids", "item_depths")


def steps_of(rows: pa.Table) -> Steps:
    """Rows of users and days, in any order, user by user: see :func:`steps_by_user`."""
    import pyarrow as pa
    import pyarrow.compute as pc

    rows = rows.sort_by([("user_id", "ascending"), ("event_date", "ascending")]).combine_chunks()
    users = rows.column("user_id").to_numpy()
    items_of_day = rows.column("item_ids").combine_chunks()
    lengths = pc.list_value_length(items_of_day).to_numpy(zero_copy_only=False)
    days = np.repeat(rows.column("event_date").to_numpy(), lengths)
    is_first = np.concatenate([np.ones(min(len(users), 1), bool), users[1:] != users[:-1]])
    ends = np.concatenate([[0], np.cumsum(lengths)])
    offsets = np.append(ends[:-1][is_first], ends[-1]).astype(np.int32)
    depths = pc.list_flatten(rows.column("item_depths")).to_numpy()
    return users[is_first], pa.ListArray.from_arrays(offsets, items_of_day.flatten()), depths, days


def _known(
    lists: pa.ChunkedArray, item_ids: npt.NDArray[np.object_]
) -> tuple[list[IntArray], npt.NDArray[np.bool_]]:
    """Each list's items by catalogue index, and which entries of all lists these are; others are not in the catalogue."""
    import pyarrow.compute as pc

    lengths_U = np.asarray(pc.list_value_length(lists))
    items = index_of(pc.list_flatten(lists), item_ids)
    is_known = items >= 0
    users = np.repeat(np.arange(len(lengths_U)), lengths_U)[is_known]
    return cut(items[is_known], np.cumsum(np.bincount(users, minlength=len(lengths_U)))), is_known


def _neighbours(lake: Lake, table: str, cutoff: date, item_ids: npt.NDArray[np.object_]) -> csr_matrix:
    from scipy.sparse import csr_matrix

    rows = lake.read(table, cutoff)
    left, right = (index_of(rows.column(name), item_ids) for name in ("item_id", "neighbour_id"))
    is_known = (left >= 0) & (right >= 0)
    weights = rows.column("weight").to_numpy().astype(np.float64)[is_known]
    return csr_matrix((weights, (left[is_known], right[is_known])), shape=(len(item_ids), len(item_ids)))


def _coded(words_N: npt.NDArray[np.object_]) -> tuple[dict[str, int], IntArray]:
    """The codes of the categories (or brands) of items, and each item's; -1 without one."""
    codes = {word: code for code, word in enumerate(sorted({*words_N} - {""}))}
    return codes, np.array([codes.get(word, -1) for word in words_N], np.int64)


def _affinity(
    lake: Lake, table: str, cutoff: date, user_ids: npt.NDArray[np.object_], kind: str, codes: dict[str, int]
) -> csr_matrix:
    """The share of each user's weight by the code of the category (or brand)."""
    from scipy.sparse import csr_matrix

    rows = _frame(lake, table, cutoff, ("user_id", kind, "affinity_micros"))
    users = index_of(rows["user_id"].to_numpy(dtype=object), user_ids)
    code = rows[kind].map(codes).fillna(-1).to_numpy(dtype=np.int64)
    is_known = (users >= 0) & (code >= 0)
    shares = rows["affinity_micros"].to_numpy(dtype=np.float64)[is_known] / 1e6
    # One column more than codes, so that code -1 reads an empty one.
    return csr_matrix((shares, (users[is_known], code[is_known])), shape=(len(user_ids), len(codes) + 1))
