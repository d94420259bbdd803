"""What a gate found, kept as JSON and as a page that needs nothing beside itself."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from contracts.settings import Settings
from jobs.io.commit import write_durably

if TYPE_CHECKING:
    from expectations.findings import Finding

_STYLE = """
:root { color-scheme: light dark; --ink: #1c1b1a; --ground: #fbfaf8; --rule: #dedad3; --ok: #1b6e3c; --bad: #a3172b; --soft: #5c5853; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #efece7; --ground: #161514; --rule: #3a3733; --ok: #8ddaa8; --bad: #ff9fac; --soft: #b0aaa1; }
}
body { margin: 0 auto; max-width: 72rem; padding: 1rem 1.25rem 3rem; color: var(--ink); background: var(--ground);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
.ok { color: var(--ok); } .bad { color: var(--bad); font-weight: 600; } .soft { color: var(--soft); font-size: .9rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; }
th, td { text-align: left; vertical-align: top; padding: .35rem .7rem .35rem 0; border-bottom: 1px solid var(--rule); }
td { overflow-wrap: anywhere; }
"""


@dataclass(frozen=True)
class Judged:
    """One table and what was found of it."""

    table: str
    num_rows: int
    findings: tuple[Finding, ...]
    note: str = ""  # why there is nothing to find

    @property
    def refused(self) -> list[Finding]:
        return [finding for finding in self.findings if not finding.is_met]


def page_path(settings: Settings, day: date, gate: str) -> Path:
    return settings.reports_path / "validation" / day.isoformat() / f"{gate}.html"


def page_url(settings: Settings, day: date, gate: str) -> str:
    """Address of the page under ``foretaste up``; empty without it."""
    return f"{settings.reports_url}/validation/{day}/{gate}.html" if settings.reports_url else ""


def write_result(settings: Settings, day: date, gate: str, judged: Sequence[Judged]) -> Path:
    """Replace the JSON and the page of one gate and day; returns the page's path."""
    is_passed = not any(each.refused for each in judged)
    told = {
        "gate": gate,
        "day": day.isoformat(),
        "is_passed": is_passed,
        "tables": [
            {
                "table": each.table,
                "num_rows": each.num_rows,
                "note": each.note,
                "expectations": [asdict(finding) for finding in each.findings],
            }
            for each in judged
        ],
    }
    page = page_path(settings, day, gate)
    write_durably(page.with_suffix(".json"), json.dumps(told, indent=1, ensure_ascii=False) + "\n")
    write_durably(page, _render(day, gate, judged, is_passed))
    return page


def _render(day: date, gate: str, judged: Sequence[Judged], is_passed: bool) -> str:
    title = f"Gate on {gate.replace('-', ' ')} · {day}"
    num_expectations = sum(len(each.findings) for each in judged)
    num_refused = sum(len(each.refused) for each in judged)
    verdict = (
        f'<p class="ok">Passed: all {num_expectations} expectations are met.</p>'
        if is_passed
        else f'<p class="bad">Refused: {num_refused} of {num_expectations} expectations are not met.</p>'
    )
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f"<h1>{escape(title)}</h1>\n{verdict}\n{''.join(_table(each) for each in judged)}"
        f'<p class="soft"><a href="../../index.html">All reports</a></p>\n</body>\n</html>\n'
    )


def _table(judged: Judged) -> str:
    rows = "".join(_row(finding) for finding in sorted(judged.findings, key=lambda finding: finding.is_met))
    note = f'<p class="soft">{escape(judged.note)}</p>\n' if judged.note else ""
    head = "<tr><th>verdict</th><th>column</th><th>expectation</th><th>observed</th></tr>"
    table = (
        f'<div class="wide"><table>\n<thead>{head}</thead>\n<tbody>\n{rows}</tbody>\n</table></div>\n'
        if rows
        else ""
    )
    return (
        f'<h2>{escape(judged.table)} <span class="soft">{judged.num_rows:,} rows</span></h2>\n{note}{table}'
    )


def _row(finding: Finding) -> str:
    verdict = '<td class="ok">met</td>' if finding.is_met else '<td class="bad">not met</td>'
    told = f'{escape(finding.meaning)}<br><span class="soft">{escape(finding.expectation)}</span>'
    return f"<tr>{verdict}<td>{escape(finding.column)}</td><td>{told}</td><td>{escape(finding.observed)}</td></tr>\n"
