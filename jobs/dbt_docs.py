"""dbt's own documentation of the tables, as one page beside the reports."""

from __future__ import annotations

import shutil
from pathlib import Path

from contracts.errors import ForetasteError, LeaseHeld
from contracts.settings import Settings
from jobs.io import dbt
from jobs.io.commit import write_durably
from jobs.io.state import LANDINGS, State


def refresh_docs(settings: Settings, *, run_id: str) -> Path | None:
    """The page, written again when the project has changed since; None while there are no tables.

    It reads the warehouse, so it takes the lease: while a run is at work, the page stays as it is.

    Raises:
        ForetasteError: the project does not compile.
    """
    page = settings.reports_path / "dbt" / "index.html"
    written_for = page.with_name("project.sha256")
    state = State.of(settings)
    if not state.all(LANDINGS):
        return None
    digest = dbt.project_digest()  # of all that the docs show: queries, and the descriptions beside them
    if page.exists() and written_for.exists() and written_for.read_text() == digest:
        return page
    try:
        with state.lease(run_id, "docs", settings.lease_seconds, is_last=True):
            if not dbt.invoke(settings, ["docs", "generate", "--static"]).success:
                raise ForetasteError(f"dbt could not write its docs. Its log: {dbt.log_of(settings)}")
    except LeaseHeld:
        return page if page.exists() else None
    page.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(settings.home / "dbt" / "target" / "static_index.html", page)
    write_durably(written_for, digest)
    return page
