"""How the audit asks DuckDB: one row as a dictionary, shares and quantiles that are finite or None."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import duckdb

#: Of every distribution that is told.
QUANTILES = {"p10": 0.1, "p25": 0.25, "median": 0.5, "p75": 0.75, "p90": 0.9, "p99": 0.99}


def row(engine: duckdb.DuckDBPyConnection, query: str, values: Sequence[Any] = ()) -> dict[str, Any]:
    """The one row that a query gives, by column."""
    done = engine.execute(query, list(values))
    names = [column[0] for column in done.description or ()]
    (found,) = done.fetchall()
    return dict(zip(names, found, strict=True))


def rows(engine: duckdb.DuckDBPyConnection, query: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    return engine.execute(query, list(values)).fetchall()


def share(part: float | None, whole: float | None) -> float | None:
    """A part of a whole, rounded to a hundred-thousandth; None where there is no whole."""
    return round((part or 0) / whole, 5) if whole else None


def distribution(engine: duckdb.DuckDBPyConnection, table: str, column: str) -> dict[str, Any] | None:
    """Quantiles, mean and largest of a column of whole numbers, and how many lie in each doubling: 1, 2, 3–4, 5–8 …

    Columns and tables are names of our own.
    """
    levels = ", ".join(str(level) for level in QUANTILES.values())
    found = row(
        engine,
        f"""
        select count(*) as n, sum({column})::bigint as total, max({column}) as largest,
            quantile_disc({column}, [{levels}]) as quantiles
        from {table}
        """,
    )
    if not found["n"]:
        return None
    doublings = rows(
        engine,
        f"select ceil(log2({column}))::integer as power, count(*) from {table} group by power order by power",
    )
    return {
        "n": found["n"],
        "mean": round(found["total"] / found["n"], 2),
        **dict(zip(QUANTILES, found["quantiles"], strict=True)),
        "largest": found["largest"],
        "doublings": [
            {"from": 2 ** (power - 1) + 1 if power else 1, "to": 2**power, "count": count}
            for power, count in doublings
        ],
    }
