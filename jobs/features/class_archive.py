"""``python -m jobs.features.class_archive``: make the archive of Spark's classes; a part of ``make setup``.

A day of a small shop is built in a folder of its own, so that the archive holds what a build loads.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from datetime import date, datetime, time, timedelta
from pathlib import Path

from contracts import names
from contracts.errors import ForetasteError
from contracts.settings import Settings, load_settings
from contracts.tables import FCT_INTERACTIONS
from jobs.features import build
from jobs.io.java import class_archive
from jobs.io.lake import Lake
from jobs.io.spark import spark_context
from jobs.io.state import State
from jobs.runs import StepContext

_DAY = date(2026, 1, 6)
_PEOPLE, _ITEMS = 40, 12


def make_class_archive() -> Path:
    """Make the archive unless it stands; what was begun and not finished is no archive.

    Raises:
        JavaMissing: there is no Java, or it is too old.
    """
    archive = class_archive()
    if archive.exists():
        return archive
    archive.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="class-archive-", dir=archive.parent))
    try:
        settings = load_settings(home=folder / "home", spark_master="local[2]", spark_memory="1g")
        made = folder / archive.name
        with State.of(settings).lease("class-archive", "build", 600, is_last=True) as lease:
            context = StepContext.of(settings, lease)
            _export(context.lake, settings)
            with spark_context(settings, archive_classes_to=made):
                build.run(_DAY, context, kind=names.RETRAIN)
        if made.exists():
            made.replace(archive)
    finally:
        shutil.rmtree(folder)
    return archive


def _export(lake: Lake, settings: Settings) -> None:
    """Interactions of two days."""
    import pyarrow as pa

    from jobs.io.schemas import arrow_schema

    for day in (_DAY - timedelta(days=1), _DAY):
        rows = [
            {
                "event_id": f"{day}-{person}-{step}",
                "user_id": f"user{person}",
                "item_id": f"item{(person + step) % _ITEMS}",
                "event_type": "view",
                "occurred_at": datetime.combine(day, time(12, step)),
                "event_date": day,
                "known_date": day,
                "weight": 1 if step else -1,
                "quantity": 1,
                "revenue_cents": 100,
            }
            for person in range(_PEOPLE)
            for step in range(6)
        ]
        table = pa.Table.from_pylist(rows, schema=arrow_schema(FCT_INTERACTIONS))
        lake.replace(names.FCT_INTERACTIONS, day, table, inputs="made up")


def main() -> int:
    try:
        is_made = make_class_archive().exists()
        why = "this Java makes none"
    except (ForetasteError, OSError) as error:
        is_made, why = False, str(error)
    if not is_made:
        sys.stderr.write(f"No archive of Spark's classes, so Spark will start slower: {why}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
