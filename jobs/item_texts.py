"""The items of a version as they are published: one JSON each, with what the rules look at."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from contracts.published_items import MARGIN, PublishedItem, attributes_of, values_of
from contracts.serving_rules import ServingRules

#: What has to be known of an item.
COLUMNS = (
    "item_id",
    "title",
    "category",
    "brand",
    "price_cents",
    "available_from",
    "available_until",
    "attributes",
)


def item_texts(items: pa.Table, popularity_N: npt.NDArray[np.float64], rules: ServingRules) -> list[bytes]:
    """The JSON of each item; of the attributes it holds those that a rule names.

    Args:
        items: rows with :data:`COLUMNS`.
        popularity_N: of each, what recent popularity ranks by.
    """
    encode, named = msgspec.json.Encoder().encode, rules.attributes
    rows = items.select(list(COLUMNS)).to_pylist()
    return [
        encode(_published(row, popularity, named))
        for row, popularity in zip(rows, popularity_N.tolist(), strict=True)
    ]


def _published(row: dict[str, Any], popularity: float, named: set[str]) -> PublishedItem:
    told = attributes_of(row.pop("attributes"))
    return PublishedItem(
        **{
            **row,
            "available_from": _utc(row["available_from"]),
            "available_until": _utc(row["available_until"]),
        },
        popularity=popularity,
        margin=_number(told.get(MARGIN)),
        attributes={name: values_of(told[name]) for name in sorted(named & told.keys())},
    )


def _number(value: Any) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and math.isfinite(value) else None


def _utc(instant: datetime | None) -> datetime | None:
    return None if instant is None else instant.replace(tzinfo=UTC)
