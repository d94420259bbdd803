"""The runbook as pages: ``docs/runbook/<kind>.md`` becomes ``HOME/reports/runbook/<kind>.html``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from contracts.alarms import TITLES, runbook_page
from contracts.settings import Settings
from jobs.io.commit import write_durably

if TYPE_CHECKING:
    from jinja2 import Environment

RUNBOOK = Path(__file__).resolve().parents[1] / "docs" / "runbook"
_TEMPLATES = Path(__file__).with_name("operator_pages")
_STYLE = Path(__file__).with_name("report_pages") / "style.css"


def write_runbook(settings: Settings) -> None:
    """Write a page for each alarm, and their index; what has not changed is left alone."""
    for name, text in pages():
        write_if_changed(settings.reports_path / name, text)


def pages() -> list[tuple[str, str]]:
    """Each page's path under the reports, and its text."""
    template = environment().get_template("runbook.html.j2")
    found = [
        (runbook_page(kind), template.render(root="../", title=title, body=_html(RUNBOOK / f"{kind}.md")))
        for kind, title in TITLES.items()
    ]
    index = template.render(
        root="../", title="Runbook", body=_html(RUNBOOK / "README.md"), pages=list(TITLES.items())
    )
    return [*found, ("runbook/index.html", index)]


def runbook_url(kind: str, root: str = "") -> str:
    """Where an alarm's page is, from a page that lies ``root`` above the reports' folder (say ``../``).

    Raises:
        KeyError: there is no such alarm.
    """
    assert TITLES[kind]
    return f"{root}{runbook_page(kind)}"


def environment() -> Environment:
    """Jinja for the operators' pages, in the style of the reports."""
    from jinja2 import Environment, FileSystemLoader
    from markupsafe import Markup

    found = Environment(
        loader=FileSystemLoader(_TEMPLATES), autoescape=True, trim_blocks=True, auto_reload=False
    )
    found.globals["style"] = Markup(_STYLE.read_text(encoding="utf-8"))  # noqa: S704 - our own file, not data
    return found


def write_if_changed(path: Path, text: str) -> None:
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        write_durably(path, text)


def _html(path: Path) -> str:
    from markdown_it import MarkdownIt
    from markupsafe import Markup

    text = MarkdownIt("commonmark", {"html": False}).enable("table").render(path.read_text(encoding="utf-8"))
    return Markup(text)  # noqa: S704 - our own documentation, and raw HTML is off
