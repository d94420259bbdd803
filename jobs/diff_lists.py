"""Whose lists does an edit change? The champion scores the sampled people twice, with the features before and after."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from contracts import names
from contracts.errors import ModelRefused, ServiceUnreachable
from contracts.settings import Settings
from contracts.tables import TABLES
from jobs.io.lake import Lake
from jobs.io.sample import Drawn, own_file
from jobs.io.state import PROMOTIONS, RUNS, State
from jobs.runs import champion_of, run_key

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

#: What the champion reads beside features: Spark has built it of the lake's own interactions.
_BUILT_BY_SPARK = (names.HISTORIES, names.COVISITATION)
_LENGTH = 10


@dataclass(frozen=True)
class ListsDiff:
    """How many of the sampled people's first ten items would be others; or why that cannot be told."""

    told: str  # in words, where there are no numbers or something has to be said about them
    day: date | None = None
    num_users: int = 0  # who have a list in both
    num_changed: int = 0  # of them: another item, or another order
    mean_overlap: float | None = None  # share of the ten that stays, over all of them
    only_before: int = 0
    only_after: int = 0


def diff_lists(
    settings: Settings,
    connection: duckdb.DuckDBPyConnection,
    drawn: Drawn,
    differing: set[str],
    new_columns: Mapping[str, list[str]],
) -> ListsDiff:
    """Compare the lists that two builds of the sample's features give.

    Args:
        connection: with the catalogs ``built`` and ``edited``.
        differing: tables whose rows are not the same.
        new_columns: of each table that was built anew.
    """
    read = {name for name in names.BY_FEATURE_DAY if TABLES[name].short_name in differing}
    added = sorted(column for name in read for column in new_columns[TABLES[name].short_name])
    if not read:
        others = sorted(differing & {TABLES[name].short_name for name in names.LEARNT_FROM})
        return ListsDiff(
            f"nothing that the champion reads of the day differs; {', '.join(others)} does, which histories are made of"
            if others
            else "no list changes: nothing that the champion reads differs"
        )
    lake, state = Lake.of(settings), State.of(settings)
    days = [day for day in drawn.feature_days if all(lake.manifest(table, day) for table in _BUILT_BY_SPARK)]
    if not days:
        return ListsDiff(
            "none of the sample's days has histories yet, so no list can be made. Run one: foretaste run --day DAY"
        )
    day = days[-1]
    version = champion_of(state, day + timedelta(days=1))
    promoted = state.get(PROMOTIONS, version) if version else None
    if version is None or promoted is None:
        return ListsDiff("there is no champion whose lists could change until a retraining promotes one")
    from jobs.io.model_files import load_model
    from jobs.io.registry import model_folder

    try:
        model = load_model(model_folder(settings, version, promoted["sha256"]), promoted["sha256"])
    except (ModelRefused, ServiceUnreachable) as error:
        known = f"the new columns {', '.join(added)}" if added else "the features that the project has now"
        return ListsDiff(f"champion {version} cannot score {known}: {error}")
    missing = _columns_missing(connection, read)
    if missing:
        return ListsDiff(
            f"champion {version} reads {', '.join(missing)}, which the edited project no longer has"
        )
    users = [user for (user,) in connection.execute("select user_id from drawn order by user_id").fetchall()]
    chosen = (state.get(RUNS, run_key(names.DAILY, day)) or {}).get("manifest", {})
    with TemporaryDirectory(dir=own_file(settings).parent) as folder:
        before, after = (
            _lists(
                _Overlaid(
                    lake,
                    {name: _rows(connection, side, name, day) for name in read},
                    users,
                    Path(folder) / side,
                ),
                day,
                model,
                settings,
                chosen,
            )
            for side in ("built", "edited")
        )
    both = sorted(before.keys() & after.keys())
    overlaps = [len(set(before[user]) & set(after[user])) / max(len(before[user]), 1) for user in both]
    return ListsDiff(
        _remark(added, read),
        day,
        len(both),
        sum(before[user] != after[user] for user in both),
        round(sum(overlaps) / len(overlaps), 6) if both else None,
        len(before.keys() - after.keys()),
        len(after.keys() - before.keys()),
    )


def _remark(added: list[str], read: set[str]) -> str:
    told = []
    if added:
        told.append(
            f"the champion does not know {', '.join(added)}: lists follow what is new after the next retraining"
        )
    over_all = sorted(TABLES[name].short_name for name in read if "user_id" not in TABLES[name].columns)
    if over_all:
        told.append(f"{', '.join(over_all)} counts the sampled people's events, before and after")
    return "; ".join(told)


def _columns_missing(connection: Any, read: set[str]) -> list[str]:
    """Columns that other rooms were promised and the edited project does not build."""
    found = []
    for name in sorted(read):
        there = set(connection.sql(f"select * from edited.{_relation(name)} limit 0").columns)
        found += [
            f"{TABLES[name].short_name}.{column}" for column in TABLES[name].columns if column not in there
        ]
    return found


def _relation(name: str) -> str:
    from jobs.transform import SCHEMAS

    return f"{SCHEMAS[name]}.{TABLES[name].short_name}"


def _rows(connection: Any, side: str, name: str, day: date) -> pa.Table:
    """A table's rows of a day; a column that only the edited project has is null."""
    import pyarrow as pa

    from jobs.io.schemas import schema_of

    order = ", ".join(TABLES[name].key)
    rows = connection.sql(
        f"select * from {side}.{_relation(name)} where feature_date = date '{day}' order by {order}"
    ).to_arrow_table()
    for lacking in schema_of(TABLES[name].columns):
        if lacking.name not in rows.column_names:
            rows = rows.append_column(lacking, pa.nulls(rows.num_rows, lacking.type))
    return rows


def _lists(
    lake: Lake, day: date, model: Any, settings: Settings, chosen: Mapping[str, Any]
) -> dict[str, list[str]]:
    from jobs.feed_reader import read_description
    from jobs.ranking.world import load_world
    from jobs.score import rank_everyone

    feed = chosen.get("feed") or read_description(settings).model_dump(mode="json")
    rows = rank_everyone(
        load_world(lake, day),
        model,
        length=_LENGTH,
        num_candidates=chosen.get("settings", {}).get("num_candidates", settings.num_candidates),
        repeats_allowed=bool(feed["repeats_allowed"]),
    )
    return dict(zip(rows.column("user_id").to_pylist(), rows.column("item_ids").to_pylist(), strict=True))


class _Overlaid(Lake):
    """The lake with some tables of its own, and of all others the rows of some people."""

    def __init__(self, lake: Lake, instead: Mapping[str, pa.Table], users: list[str], folder: Path) -> None:
        import pyarrow.parquet as pq

        super().__init__(lake.root)
        self._users, self._instead, self._files = users, instead, dict[str, Path]()
        for table, rows in instead.items():
            self._files[table] = folder / f"{table.replace('/', '.')}.parquet"
            folder.mkdir(exist_ok=True)
            pq.write_table(rows, self._files[table])

    def files(self, table: str, days: Iterable[date]) -> list[Path]:
        return [self._files[table]] if table in self._files else super().files(table, days)

    def read(
        self,
        table: str,
        day: date,
        columns: list[str] | None = None,
        where: list[tuple[str, str, Any]] | None = None,
    ) -> pa.Table:
        import pyarrow as pa
        import pyarrow.compute as pc

        if table in self._instead:
            rows = self._instead[table]
            return rows.select(columns) if columns else rows
        rows = super().read(table, day, columns, where)
        if "user_id" not in rows.column_names:
            return rows
        return rows.filter(pc.is_in(rows.column("user_id"), value_set=pa.array(self._users, pa.string())))
