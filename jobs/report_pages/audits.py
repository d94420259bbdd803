"""Which audits of feeds have pages, so that others can link to them."""

from __future__ import annotations

import json
from pathlib import Path

#: Below the reports' folder.
FOLDER = "audit"


def audits_written(reports: Path) -> list[tuple[str, str]]:
    """The path of each audit's page, from the reports' root, and the shop it is about."""
    return [
        (f"{FOLDER}/{path.stem}.html", str(json.loads(path.read_text(encoding="utf-8"))["shop"]))
        for path in sorted((reports / FOLDER).glob("*.json"))
        if path.with_suffix(".html").exists()
    ]
