"""What there is to recommend: how well it is described, and how much of what people do falls on how few items."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jobs.audit.sql import distribution, row, rows, share

if TYPE_CHECKING:
    import duckdb

Record = dict[str, Any]

_COLUMNS = ("title", "category", "brand", "price", "attributes")


def catalogue_of(engine: duckdb.DuckDBPyConnection) -> Record:
    """Items described and acted upon, either without the other, and what of each is known; users told of."""
    described = row(
        engine,
        f"select count(*) as n, {', '.join(f'count(*) filter (where {name}) as {name}' for name in _COLUMNS)} from catalogue",
    )
    acted = row(
        engine,
        """
        with acted as (select item_id, count(*) as acts from acts join items using (item) group by item_id)
        select count(*) as items, sum(acts)::bigint as acts, count(catalogue.item_id) as described,
            sum(case when catalogue.item_id is null then acts else 0 end)::bigint as undescribed_acts
        from acted left join catalogue using (item_id)
        """,
    )
    people = row(
        engine,
        """
        with active as (select distinct person from acts where person is not null)
        select count(*) as active, count(users.user_id) as told_of
        from active join people using (person) left join users using (user_id)
        """,
    )
    users = row(engine, "select count(*) as n from users")
    return {
        "described": described["n"],
        "coverage": {name: share(described[name], described["n"]) for name in _COLUMNS},
        "undescribed_items": acted["items"] - acted["described"],
        "undescribed_acts_share": share(acted["undescribed_acts"], acted["acts"]),
        "untouched_items": described["n"] - acted["described"],
        "users_told_of": users["n"],
        "unknown_people": people["active"] - people["told_of"],
    }


def concentration_of(engine: duckdb.DuckDBPyConnection) -> Record:
    """How unevenly acts are spread over the items that have any, and over people."""
    return {
        "items": _spread(engine, "item"),
        "people": _spread(engine, "person"),
        "item_acts": _acts_of_items(engine),
    }


def _acts_of_items(engine: duckdb.DuckDBPyConnection) -> Record | None:
    engine.execute("create temp table item_acts as select count(*) as acts from acts group by item")
    return distribution(engine, "item_acts", "acts")


def _spread(engine: duckdb.DuckDBPyConnection, column: str) -> Record | None:
    """Gini coefficient, share of the busiest hundredth, and the curve: what share the busiest 5 %, 10 % … have."""
    engine.execute(
        f"""
        create or replace temp table ranked as
        with counted as (select {column} as who, count(*) as acts from acts where {column} is not null group by who)
        select acts, row_number() over (order by acts desc, who) as place, count(*) over () as n, sum(acts) over () as total
        from counted
        """
    )
    found = row(
        engine,
        """
        select max(n) as n, max(total)::bigint as total, sum(place * acts)::hugeint as weighted,
            sum(case when place <= ceil(n / 100) then acts else 0 end)::bigint as top
        from ranked
        """,
    )
    if not found["n"]:
        return None
    curve = rows(
        engine,
        """
        select step, sum(case when place <= ceil(n * step / 20) then acts else 0 end)::bigint
        from ranked, range(1, 21) as steps(step) group by step order by step
        """,
    )
    n, total = found["n"], found["total"]
    # Of n sorted from the busiest on: G = (n + 1 - 2 Σ place·acts / Σ acts) / n (Gini, 1912).
    gini = (n + 1 - 2 * int(found["weighted"]) / total) / n
    return {
        "n": n,
        "gini": round(gini, 4),
        "top_hundredth_share": share(found["top"], total),
        "curve": [
            {"share_of_busiest": step / 20, "share_of_acts": share(acts, total)} for step, acts in curve
        ],
    }
