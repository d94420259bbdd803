"""The audit as a page among the reports, with its values as JSON beside it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from contracts.settings import Settings
from jobs.audit.plots import VIEW_BOX, plots_of
from jobs.audit.told import sections_of
from jobs.io.commit import write_durably
from jobs.report_pages.audits import FOLDER
from jobs.reports import read_site, render_page

Record = dict[str, Any]


def write_page(settings: Settings, found: Record) -> Path:
    """Replace the page and the JSON of one shop; returns the page's path."""
    name = _name_of(found["shop"])
    page = settings.reports_path / FOLDER / f"{name}.html"
    write_durably(page, render(settings, found, f"{name}.json"))
    write_durably(page.with_suffix(".json"), as_json(found))
    return page


def render(settings: Settings, found: Record, json_name: str) -> str:
    return render_page(
        read_site(settings),
        "audit",
        "../",
        found=found,
        sections=sections_of(found),
        plots=plots_of(found),
        view_box=VIEW_BOX,
        json_name=json_name,
    )


def as_json(found: Record) -> str:
    """The values as JSON; one that is no finite number is an error."""
    return json.dumps(found, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _name_of(shop: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", shop.lower()).strip("-") or "feed"
