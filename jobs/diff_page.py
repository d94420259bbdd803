"""What an edit changes, as text that somebody reads who has not made it."""

from __future__ import annotations

from jobs.diff import ColumnDiff, Diff, Side, TableDiff
from jobs.diff_lists import ListsDiff


def render(found: Diff) -> str:
    """The whole of it."""
    same = [table.name for table in found.tables if table.is_same]
    lines = [
        f"edited: {', '.join(found.edited)}",
        f"sample: {found.drawn.told}",
        "compared: the tables as the project builds them now with those that built the lake, on this sample",
    ]
    for table in found.tables:
        if not table.is_same:
            lines += ["", *_of_table(table)]
    if same:
        lines += ["", f"built by other SQL, the same rows: {', '.join(same)}"]
    return "\n".join([*lines, "", *_of_lists(found.lists)])


def _of_table(table: TableDiff) -> list[str]:
    lines = [
        f"{table.name}: {table.before:,} rows before, {table.after:,} now; "
        f"{table.added:,} added, {table.removed:,} removed, {table.changed:,} changed"
    ]
    if table.note:
        return [*lines, f"  {table.note}"]
    differing = [
        column for column in table.columns if column.changed or column.before is None or column.after is None
    ]
    others = [column for column in table.columns if column not in differing]
    if table.added or table.removed:  # whose distributions may differ although no row of both does
        moved = [column for column in others if column.distance]
        differing += moved
        others = [column for column in others if column not in moved]
    for column in differing:
        lines += _of_column(column, table)
    if others:
        lines.append(f"  the same in every row of both: {', '.join(column.name for column in others)}")
    return lines


def _of_column(column: ColumnDiff, table: TableDiff) -> list[str]:
    if column.before is None and column.after is not None:
        return [f"  {column.name} is new ({column.type}): {_of_side(column.after)}"]
    if column.after is None and column.before is not None:
        return [f"  {column.name} is gone ({column.type}): it was {_of_side(column.before)}"]
    assert column.before is not None
    assert column.after is not None
    both = table.after - table.added
    share = (
        f"{column.changed:,} of {both:,} rows of both differ" if column.changed else "no row of both differs"
    )
    distance = "" if column.distance is None else f", distance {column.distance:.3f} of 1"
    return [
        f"  {column.name}: {share}{distance}",
        f"    before  {_of_side(column.before)}",
        f"    now     {_of_side(column.after)}",
    ]


def _of_side(side: Side) -> str:
    told = [f"{side.null_share:.1%} null", f"{side.distinct:,} different"]
    if side.mean is not None:
        told.append(f"mean {_number(side.mean)}")
        told.append(f"10/50/90 % at {' / '.join(_number(value) for value in (side.p10, side.p50, side.p90))}")
    return ", ".join(told)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}" if float(value).is_integer() else f"{value:,.3f}"


def _of_lists(lists: ListsDiff) -> list[str]:
    if lists.day is None:
        return [f"lists: {lists.told}"]
    overlap = (
        "" if lists.mean_overlap is None else f"; on average {lists.mean_overlap:.1%} of the ten items stay"
    )
    lines = [
        f"lists of {lists.day}: the first ten items of {lists.num_changed:,} of {lists.num_users:,} people would change{overlap}"
    ]
    if lists.only_before or lists.only_after:
        lines.append(
            f"  {lists.only_before:,} people would lose their list, {lists.only_after:,} would get one"
        )
    return [*lines, *([f"  {lists.told}"] if lists.told else [])]
