"""What has to hold of the ranked lists, of every user's, before anybody sees one.

U users · E entries of all their lists · X reasons of all their places
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from contracts.lists import EXPLAINED_PLACES, PERSONAL, REASONS_PER_PLACE, SOURCES
from expectations import rules
from expectations.frames import as_frame
from expectations.rules import Suite

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd
    import pyarrow as pa

#: Users looked at together: bounds the memory at this many lists.
_BLOCK = 50_000

#: Lists may be short where a catalogue is small; were most of them empty, nothing would be recommended.
MIN_FILLED_SHARE = 0.5


def lists_frame(
    lists: pa.Table,
    catalogue: pa.Table,
    length: int,
    histories: pa.Table,
    *,
    repeats_allowed: bool,
) -> pd.DataFrame:
    """One row per user: what is wrong with the list, counted.

    Args:
        catalogue: item_id and is_available of the day.
        histories: user_id, item_ids and seen_item_ids: what may be a reason, and what may not be recommended again.
        repeats_allowed: may what was seen be recommended again?
    """
    import pandas as pd

    blocks = [lists.slice(start, _BLOCK) for start in range(0, max(lists.num_rows, 1), _BLOCK)]
    frames = [_block_frame(block, catalogue, length, histories, repeats_allowed) for block in blocks]
    return pd.concat(frames, ignore_index=True)


def _block_frame(
    lists: pa.Table, catalogue: pa.Table, length: int, histories: pa.Table, repeats_allowed: bool
) -> pd.DataFrame:
    import numpy as np
    import pyarrow.compute as pc

    frame = as_frame(lists)
    items, scores = lists.column("item_ids").combine_chunks(), lists.column("scores").combine_chunks()
    vocabulary = catalogue.column("item_id").combine_chunks()
    # One more, never available: what an unknown item's number of -1 points to.
    is_available_N = np.append(
        pc.fill_null(catalogue.column("is_available"), False).to_numpy().astype(bool), False
    )
    rows_E = pc.list_parent_indices(items).to_numpy(zero_copy_only=False).astype(np.int64)
    items_E = pc.fill_null(pc.index_in(items.flatten(), value_set=vocabulary), -1).to_numpy(
        zero_copy_only=False
    )

    def per_user(is_bad_E: npt.NDArray[np.bool_], of_rows_E: npt.NDArray[np.int64] = rows_E) -> Any:
        return np.bincount(of_rows_E[is_bad_E], minlength=len(frame))

    frame["num_items"] = (
        pc.fill_null(pc.list_value_length(items), -1).to_numpy(zero_copy_only=False).astype(np.int64)
    )
    frame["num_scores"] = (
        pc.fill_null(pc.list_value_length(scores), -1).to_numpy(zero_copy_only=False).astype(np.int64)
    )
    frame["is_filled"] = frame["num_items"] > 0
    frame["is_below_length"] = frame["num_items"] < length
    frame["num_unknown"] = per_user(items_E < 0)
    frame["num_unavailable"] = per_user((items_E >= 0) & ~is_available_N[items_E])
    pairs_E = rows_E * (len(vocabulary) + 1) + items_E + 1
    frame["num_repeated"] = per_user(_is_repeated(pairs_E))
    seen_pairs = None if repeats_allowed else _pairs(lists, histories, "seen_item_ids", vocabulary)
    frame["num_seen"] = 0 if seen_pairs is None else per_user(np.isin(pairs_E, seen_pairs))
    score_rows_E = pc.list_parent_indices(scores).to_numpy(zero_copy_only=False).astype(np.int64)
    scores_E = pc.fill_null(scores.flatten(), float("nan")).to_numpy(zero_copy_only=False)
    frame["num_not_finite"] = per_user(~np.isfinite(scores_E), score_rows_E)
    is_rising_E = np.zeros(len(scores_E), bool)
    is_rising_E[1:] = (scores_E[1:] > scores_E[:-1]) & (score_rows_E[1:] == score_rows_E[:-1])
    frame["num_rising"] = per_user(is_rising_E, score_rows_E)
    _count_reasons(frame, lists, vocabulary, _pairs(lists, histories, "item_ids", vocabulary))
    return frame


def _count_reasons(
    frame: pd.DataFrame, lists: pa.Table, vocabulary: pa.Array, history_pairs: npt.NDArray[np.int64]
) -> None:
    """Add to the frame what is wrong with the reasons of each list, counted."""
    import numpy as np
    import pyarrow.compute as pc

    places, items = (lists.column(name).combine_chunks() for name in ("reason_places", "reason_item_ids"))
    for name, column in (("num_reason_places", places), ("num_reasons", items)):
        lengths = pc.fill_null(pc.list_value_length(column), -1).to_numpy(zero_copy_only=False)
        frame[name] = lengths.astype(np.int64)
    rows_X = pc.list_parent_indices(items).to_numpy(zero_copy_only=False).astype(np.int64)
    numbers = pc.fill_null(pc.index_in(items.flatten(), value_set=vocabulary), -1)
    items_X = numbers.to_numpy(zero_copy_only=False).astype(np.int64)
    is_foreign_X = ~np.isin(rows_X * (len(vocabulary) + 1) + items_X + 1, history_pairs) | (items_X < 0)
    frame["num_foreign_reasons"] = np.bincount(rows_X[is_foreign_X], minlength=len(frame))
    place_rows_X = pc.list_parent_indices(places).to_numpy(zero_copy_only=False).astype(np.int64)
    places_X = pc.fill_null(places.flatten(), -1).to_numpy(zero_copy_only=False).astype(np.int64)
    last_X = np.minimum(frame["num_items"].to_numpy()[place_rows_X], EXPLAINED_PLACES)
    is_misplaced_X = (places_X < 1) | (places_X > last_X)
    is_misplaced_X[1:] |= (places_X[1:] < places_X[:-1]) & (place_rows_X[1:] == place_rows_X[:-1])
    is_misplaced_X[REASONS_PER_PLACE:] |= (places_X[REASONS_PER_PLACE:] == places_X[:-REASONS_PER_PLACE]) & (
        place_rows_X[REASONS_PER_PLACE:] == place_rows_X[:-REASONS_PER_PLACE]
    )
    frame["num_misplaced_reasons"] = np.bincount(place_rows_X[is_misplaced_X], minlength=len(frame))
    is_same_length = bool((frame["num_reason_places"] == frame["num_reasons"]).all())
    is_again_X = (
        _is_repeated(
            (rows_X * (EXPLAINED_PLACES + 1) + np.clip(places_X, 0, EXPLAINED_PLACES)) * (len(vocabulary) + 1)
            + items_X
            + 1
        )
        if is_same_length
        else np.zeros(len(rows_X), bool)
    )  # told of the lengths already
    frame["num_repeated_reasons"] = np.bincount(rows_X[is_again_X], minlength=len(frame))
    is_personal = frame["source"] == PERSONAL
    frame["num_impersonal_reasons"] = np.where(is_personal, 0, np.maximum(frame["num_reasons"], 0))


def _is_repeated(pairs_E: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Is there the same pair before? Of copies all but one are repeated."""
    import numpy as np

    order = np.argsort(pairs_E, kind="stable")
    is_repeated_E = np.zeros(len(pairs_E), bool)
    is_repeated_E[order[1:]] = pairs_E[order[1:]] == pairs_E[order[:-1]]
    return is_repeated_E


def _pairs(lists: pa.Table, histories: pa.Table, column: str, vocabulary: pa.Array) -> npt.NDArray[np.int64]:
    """What a column of the histories holds of the users of a block, as pairs of the block's row and the item."""
    import numpy as np
    import pyarrow.compute as pc

    rows_of = pc.index_in(histories.column("user_id"), value_set=lists.column("user_id").combine_chunks())
    of_block = histories.filter(pc.is_valid(rows_of))
    rows_of = rows_of.drop_null().to_numpy().astype(np.int64)
    items = of_block.column(column).combine_chunks()
    parents = pc.list_parent_indices(items).to_numpy(zero_copy_only=False)
    numbers = pc.index_in(items.flatten(), value_set=vocabulary)
    is_known = pc.is_valid(numbers).to_numpy(zero_copy_only=False)
    numbers = pc.fill_null(numbers, -1).to_numpy(zero_copy_only=False)
    pairs: npt.NDArray[np.int64] = (rows_of[parents] * (len(vocabulary) + 1) + numbers + 1)[is_known]
    return pairs


def lists(length: int) -> Suite:
    """Suite of the lists: ``length`` distinct items that are for sale, scores finite and never rising, or short and said so."""
    return rules.suite(
        "lists",
        [
            rules.at_least(1),
            *rules.never_missing("user_id", "source", "is_short"),
            *rules.ids("user_id"),
            rules.one_row_per("user_id"),
            rules.one_of(SOURCES, "source"),
            *rules.between(0, length, "num_items"),
            rules.equal("num_items", "num_scores", "as many scores as items"),
            rules.equal(
                "is_short", "is_below_length", f"is_short says whether fewer than {length} items are listed"
            ),
            rules.always(
                "is_filled", f"at least {MIN_FILLED_SHARE:.0%} of the lists hold an item", MIN_FILLED_SHARE
            ),
            rules.none_of_them("num_repeated", "no item stands twice"),
            rules.none_of_them("num_unknown", "every item is in the catalogue"),
            rules.none_of_them("num_unavailable", "every item is for sale"),
            rules.none_of_them(
                "num_seen", "nothing is recommended again that was seen, where the shop does not want it"
            ),
            rules.none_of_them("num_not_finite", "every score is finite"),
            rules.none_of_them("num_rising", "scores never rise"),
            *rules.between(0, EXPLAINED_PLACES * REASONS_PER_PLACE, "num_reasons"),
            rules.equal("num_reason_places", "num_reasons", "every reason has its place"),
            rules.none_of_them("num_foreign_reasons", "every reason is an item of the user's own history"),
            rules.none_of_them(
                "num_misplaced_reasons",
                f"reasons come by place, at most {REASONS_PER_PLACE} each, and of the first {EXPLAINED_PLACES} alone",
            ),
            rules.none_of_them("num_repeated_reasons", "no place names a reason twice"),
            rules.none_of_them("num_impersonal_reasons", "a list that is not personal names no reasons"),
        ],
    )


def coverage_frame(users: pa.ChunkedArray, listed: pa.ChunkedArray) -> pd.DataFrame:
    """One row per user who should have a list."""
    import pyarrow as pa
    import pyarrow.compute as pc

    expected = users.unique()
    return as_frame(
        pa.table({"user_id": expected, "is_listed": pc.is_in(expected, value_set=listed.combine_chunks())})
    )


def coverage() -> Suite:
    """Suite over everybody with a history or features: nobody is left out."""
    return rules.suite(
        "coverage",
        [rules.at_least(1), rules.one_row_per("user_id"), rules.always("is_listed", "has a list")],
    )
