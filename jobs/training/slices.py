"""The slices that a challenger is judged in: people by what they have done and by what the shop says of them, and items.

U judged users · N items
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt

from contracts import names
from jobs.io.lake import Lake
from jobs.judging.evidence import GROUPS, ITEMS, PEOPLE, Slice
from jobs.monitoring.engine import engine, source
from jobs.ranking.world import ITEM_FEATURES, IntArray, World
from models.metrics import ndcg_at

#: An item is new for so many days after it went on sale.
_NEW_DAYS = 28
#: The short head: this share of the catalogue, the most popular first. What is left is the long tail.
_HEAD_SHARE = 0.2
#: A number with more values than these makes groups by its quartiles.
_MOST_VALUES = 8


def tail_of(world: World) -> npt.NDArray[np.bool_]:
    """Which items are of the long tail: all but the most popular fifth of the catalogue, ties to the lesser id."""
    is_tail_N = np.ones(world.num_items, bool)
    is_tail_N[np.argsort(-world.popularity_N, kind="stable")[: int(world.num_items * _HEAD_SHARE)]] = False
    return is_tail_N


def new_items_of(world: World) -> npt.NDArray[np.bool_]:
    """Which items have been on sale for less than four weeks."""
    age_N = world.item_features_NF[:, ITEM_FEATURES.index("age_days")]  # a logarithm, see the world
    return np.asarray(age_N < np.log1p(_NEW_DAYS))


def slices_of(
    world: World,
    users: IntArray,
    targets: Sequence[IntArray],
    lists: Mapping[str, npt.NDArray[Any]],
    ndcg: Mapping[str, npt.NDArray[np.float64]],
    groups: Mapping[str, tuple[IntArray, list[str]]],
    k: int,
) -> tuple[Slice, ...]:
    """NDCG@k in every slice, by model.

    People are cut into thirds by how many items they have acted upon up to the cut-off. Of items, what counts as wanted is
    only what belongs to the slice, and people who wanted nothing of it are left out.
    """
    num_seen_U = np.array([len(world.seen[user]) for user in users.tolist()])
    found = []
    for name, is_in_U in _thirds(num_seen_U):
        found.append(Slice(PEOPLE, name, {model: of_U[is_in_U] for model, of_U in ndcg.items()}))
    for name, is_in_N in (
        (f"new items (on sale for less than {_NEW_DAYS} days)", new_items_of(world)),
        (f"long tail (all but the most popular {_HEAD_SHARE:.0%} of items)", tail_of(world)),
    ):
        wanted = [items[is_in_N[items]] for items in targets]
        rows = np.flatnonzero([len(items) > 0 for items in wanted])
        if len(rows):
            kept = [wanted[row] for row in rows.tolist()]
            found.append(
                Slice(ITEMS, name, {model: ndcg_at(of_UK[rows], kept, k) for model, of_UK in lists.items()})
            )
    for attribute, (groups_U, values) in sorted(groups.items()):
        for code, value in enumerate(values):
            of_group = {model: of_U[groups_U == code] for model, of_U in ndcg.items()}
            found.append(Slice(GROUPS, f"{attribute}: {value}", of_group))
    return tuple(found)


def _thirds(num_seen_U: npt.NDArray[np.int64]) -> list[tuple[str, npt.NDArray[np.bool_]]]:
    """New, light and heavy users: thirds of the judged ones; people with equally many items stay together."""
    light, heavy = np.quantile(num_seen_U, [1 / 3, 2 / 3], method="lower") if len(num_seen_U) else (0, 0)
    parts = {
        f"new users (up to {light} items seen)": num_seen_U <= light,
        f"light users ({light + 1} to {heavy} items seen)": (num_seen_U > light) & (num_seen_U <= heavy),
        f"heavy users (more than {heavy} items seen)": num_seen_U > heavy,
    }
    return [(name, is_in_U) for name, is_in_U in parts.items() if is_in_U.any()]


def read_groups(
    lake: Lake, day: date, user_ids: npt.NDArray[np.object_], *, min_users: int, threads: int
) -> dict[str, tuple[IntArray, list[str]]]:
    """By attribute of the shop's users, as known on a day: each judged user's group, -1 without one, and the groups' names.

    Groups of fewer than ``min_users`` are none: neither may a slice point at somebody, nor does it say much. A list or an
    object is no group; a number of many values is cut at its quartiles.
    """
    told = _attributes(lake, day, user_ids, threads)
    groups: dict[str, tuple[IntArray, list[str]]] = {}
    for attribute in sorted({name for attributes in told for name in attributes}):
        words = _words([attributes.get(attribute) for attributes in told])
        values = sorted(word for word, count in Counter(words).items() if word and count >= min_users)
        if len(values) >= 2:
            code = {word: number for number, word in enumerate(values)}
            groups[attribute] = (np.array([code.get(word, -1) for word in words], np.int64), values)
    return groups


def _attributes(
    lake: Lake, day: date, user_ids: npt.NDArray[np.object_], threads: int
) -> list[dict[str, Any]]:
    """What the shop last said of each of the users."""
    days = lake.days(names.RAW_USERS, until=day)
    rows = (
        engine(threads)
        .execute(
            f"""
            select user_id, arg_max(attributes, received_date)
            from {source(lake, names.RAW_USERS, days)}
            where known_date <= ? and attributes is not null and user_id in (select unnest(?::varchar[]))
            group by user_id
            """,
            [day, user_ids.tolist()],
        )
        .fetchall()
    )
    found = {user_id: json.loads(attributes) for user_id, attributes in rows}
    return [found.get(user_id, {}) for user_id in user_ids.tolist()]


def _words(values: Sequence[Any]) -> list[str]:
    """Each value as the name of a group; "" where it is none."""
    numbers = {value for value in values if _is_number(value)}
    if len(numbers) <= _MOST_VALUES:
        return [str(value) if isinstance(value, str | bool | int | float) else "" for value in values]
    all_numbers = [value for value in values if _is_number(value)]
    ends = sorted(set(np.quantile(all_numbers, [0.25, 0.5, 0.75, 1], method="lower").tolist()))
    return [_band(value, ends) if _is_number(value) else "" for value in values]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _band(value: float, ends: Sequence[float]) -> str:
    """The first end that a number does not lie above."""
    place = next(place for place, end in enumerate(ends) if value <= end)
    return f"up to {ends[place]:g}" if place == 0 else f"above {ends[place - 1]:g} to {ends[place]:g}"
