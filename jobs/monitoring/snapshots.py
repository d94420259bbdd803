"""Columns of features and of lists: as the champion first saw and made them, and as they are today."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np

from contracts import names
from contracts.lists import PERSONAL
from contracts.tables import FEAT_ITEM_DAILY, FEAT_USER_DAILY
from jobs.io.lake import Lake
from jobs.monitoring.columns import NUMBERS, SHARES, Column
from jobs.monitoring.engine import engine, source
from jobs.monitoring.panel import sample_rows
from jobs.monitoring.thresholds import Thresholds
from jobs.monitoring.windows import Span

if TYPE_CHECKING:
    import pandas as pd

#: The shop's growth is no drift of its items: their features of these units are compared as multiples of the day's mean.
_RELATIVE = ("events", "points", "millionths of a point", "users")
_FIRST_ITEMS = 10
MAX_LISTS = 2000


def feature_columns(
    lake: Lake, reference: Span, day: date, first_day: date, thresholds: Thresholds
) -> tuple[list[Column], str]:
    """The distributions of ``feat_user_daily`` and ``feat_item_daily``, and why there are none if so."""
    columns: list[Column] = []
    for table, prefix, key in (
        (FEAT_USER_DAILY, "user", "user_id"),
        (FEAT_ITEM_DAILY, "item", "item_id"),
    ):
        known = lake.days(table.name, first=reference.first, until=reference.last)
        if not known:
            return [], f"{table.short_name} has no partition of {reference}"
        if lake.manifest(table.name, day) is None:
            return [], f"{table.short_name} has no partition of {day}"
        before = sample_rows(_features(lake, table.name, known[-1]), [key], thresholds.evidence.sample_rows)
        now = sample_rows(_features(lake, table.name, day), [key], thresholds.evidence.sample_rows)
        history_days = (known[-1] - first_day).days + 1
        for feature in table.features:
            # A column that was declared after the champion's days has nothing to be held against.
            if feature.is_number and feature.name in before and feature.name in now:
                columns.append(
                    feature_column(
                        f"{prefix}.{feature.name}",
                        before[feature.name],
                        now[feature.name],
                        history_days,
                        thresholds,
                        is_relative=prefix == "item" and feature.unit in _RELATIVE,
                    )
                )
    return columns, ""


def _features(lake: Lake, table: str, day: date) -> pd.DataFrame:
    frame: pd.DataFrame = lake.read(table, day).to_pandas()
    if "active_days_28d" in frame:
        # As history grows so does the number of people who left long ago; it says nothing about those who act.
        frame = frame[frame["active_days_28d"] > 0].reset_index(drop=True)
    return frame


def feature_column(
    name: str,
    before: pd.Series[Any],
    now: pd.Series[Any],
    history_days: int,
    thresholds: Thresholds,
    *,
    is_relative: bool = False,
) -> Column:
    """One feature before and now, judged if it looks back no further than the reference's history reaches.

    With ``is_relative`` values are compared as multiples of their mean.
    """
    lookback = thresholds.features.lookback_days.get(name)
    note = ""
    if lookback is None:
        note = "not among those that may ring: shown, never judged"
    elif history_days < lookback:
        note = f"looks back {lookback} days, and the reference had {history_days}"
    return Column(
        kind="data",
        name=name,
        label=name,
        method=NUMBERS,
        reference=_compressed(before, is_relative),
        current=_compressed(now, is_relative),
        threshold=None if note else thresholds.features.threshold,
        note=note,
        is_one_of_many=True,
        is_minor=lookback is None,
    )


def _compressed(values: pd.Series[Any], is_relative: bool) -> pd.Series[Any]:
    """Counts, money and ages span decades: sign(x)·log(1 + |x|), as the ranker gets them."""
    import pandas as pd

    numbers = values.astype("float64")
    if is_relative:
        mean = float(numbers.mean())
        numbers = numbers / mean if mean > 0 else numbers
    array = numbers.to_numpy()
    shrunk = np.log1p(np.maximum(array, 0)) - np.log1p(np.maximum(-array, 0))
    return pd.Series(shrunk, values.index, name=values.name)


def list_columns(first: pd.DataFrame, today: pd.DataFrame, thresholds: Thresholds) -> list[Column]:
    """What the champion recommends: categories and items of the first ten, and the best score.

    Args:
        first: the champion's first lists, as :func:`first_items` gives them.
        today: its lists of the day.
    """
    wanted: tuple[tuple[str, str, float], ...] = (
        ("category", "Categories recommended", thresholds.predictions.category_bits),
        ("item_id", "Items recommended", thresholds.predictions.item_bits),
    )
    columns = [
        Column(
            kind="predictions",
            name=f"lists.{name.removesuffix('_id')}",
            label=label,
            method=SHARES,
            reference=first[name],
            current=today[name],
            threshold=threshold,
            reference_clusters=first["user_id"],
            num_current_clusters=today["user_id"].nunique(),
        )
        for name, label, threshold in wanted
    ]
    tops = tuple(lists.loc[lists["place"] == 1, "score"].reset_index(drop=True) for lists in (first, today))
    note = "the scale of scores is the model's own: shown, never judged"
    return [
        *columns,
        Column(
            "predictions", "lists.best_score", "Best score of a list", NUMBERS, tops[0], tops[1], note=note
        ),
    ]


def first_items(
    lake: Lake, table: str, day: date, threads: int, *, max_users: int, users: pd.Series[Any] | None = None
) -> pd.DataFrame:
    """The first ten items of people's own lists: user_id, place, item_id, score, category; one row an item.

    Of more than ``max_users`` those are taken whose id has the lowest hash; ``users`` asks for these only.
    """
    query = engine(threads)
    asked = "true"
    if users is not None:
        query.register("asked", users.to_frame("user_id"))
        asked = "user_id in (select user_id from asked)"
    rows: pd.DataFrame = query.sql(
        f"""
        with chosen as (
            select user_id, item_ids[1:{_FIRST_ITEMS}] as item_ids, scores[1:{_FIRST_ITEMS}] as scores
            from {source(lake, table, [day])} where source = '{PERSONAL}' and {asked}
            order by md5(user_id), user_id limit {max_users}
        ),
        places as (
            select user_id, unnest(range(1, len(item_ids) + 1)) as place, unnest(item_ids) as item_id,
                unnest(scores) as score
            from chosen
        )
        select places.user_id, places.place, places.item_id, places.score, items.category
        from places
        left join {source(lake, names.DIM_ITEMS, lake.days(names.DIM_ITEMS, until=day)[-1:])} as items
            on items.item_id = places.item_id
        order by places.user_id, places.place
        """
    ).to_df()
    return rows
