"""A table's columns are those of its contract."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from expectations import rules
from expectations.rules import Suite

if TYPE_CHECKING:
    import pandas as pd


def columns_frame(expected: Mapping[str, str], found: Mapping[str, str]) -> pd.DataFrame:
    """One row per column of either, with its name and type in both."""
    import pandas as pd

    every = list(dict.fromkeys([*expected, *found]))
    return pd.DataFrame(
        {
            "column": every,
            "expected_type": [f"{name}: {expected.get(name, 'not in the contract')}" for name in every],
            "found_type": [f"{name}: {found.get(name, 'missing')}" for name in every],
        }
    )


def columns() -> Suite:
    return rules.suite(
        "columns",
        [
            rules.at_least(1),
            rules.equal("expected_type", "found_type", "is the column that contracts/tables.py says"),
        ],
    )
