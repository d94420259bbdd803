"""The analysts' pages: a plain static site under HOME/reports, written from the loop's own records."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterator
from datetime import date, datetime
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contracts.errors import SettingInvalid
from contracts.settings import Settings
from jobs.annotations import load_annotations
from jobs.feature_document import document_of
from jobs.io.commit import write_durably
from jobs.io.state import State
from jobs.report_pages import compare, definitions, feature_page, figures
from jobs.report_pages.charts import MARKS, Chart, bar_of, charts_of
from jobs.report_pages.day_page import account_names, accuracy, deeds, neighbours
from jobs.report_pages.gather import gather
from jobs.report_pages.quality import quality_rows, quarantine_csv, reasons_of
from jobs.report_pages.retraining_page import retraining_values
from jobs.report_pages.staleness_page import staleness_csv, staleness_values
from jobs.report_pages.tables import rows_of, slices_of, write_parquet
from jobs.report_pages.trends import TRENDS, csv_of
from jobs.report_pages.views import DayView, Site

if TYPE_CHECKING:
    from jinja2 import Environment

_TEMPLATES = Path(__file__).with_name("report_pages")
#: Days on the index; older ones keep their pages.
_MOST_DAYS = 365
_KINDS = {
    "data": "What comes in: features and what people do",
    "predictions": "What we recommend",
    "outcomes": "What followed",
    "loop": "What the loop does to itself",
}


def build_reports(settings: Settings, now: datetime) -> Path:
    """Write every page, CSV and flat table that has changed; returns the index."""
    site = read_site(settings)

    def is_written(name: str, inputs: str) -> bool:
        return _inputs_of(settings.reports_path / name) == inputs

    features = features_of(settings, site, now)
    for name, text in (*pages_of(site, now, is_written), *features, *csvs_of(site)):
        _write_if_changed(settings.reports_path / name, text)
    for name, (table, rows) in rows_of(site).items():
        write_parquet(settings.reports_path / "data" / f"{name}.parquet", table, rows)
    return settings.reports_path / "index.html"


def read_site(settings: Settings) -> Site:
    """Everything that the pages show; annotations that cannot be read are said there, and hold nothing up."""
    try:
        annotations, problems = load_annotations(settings), []
    except SettingInvalid as error:
        annotations, problems = (), [f"No annotations are shown: {error}"]
    return gather(State.of(settings), settings.reports_path, annotations, problems)


def day_page(settings: Settings, day: date) -> Path:
    """Where the page of a day lies."""
    return settings.reports_path / "days" / f"{day}.html"


def pages_of(
    site: Site, now: datetime, is_written: Callable[[str, str], bool] = lambda name, inputs: False
) -> Iterator[tuple[str, str]]:
    """Each page's path under the reports, and its text.

    Args:
        is_written: has a page been written of these inputs before? A year of days takes seconds to write, and
            nearly all of them are as they were.
    """
    render: Callable[..., str] = partial(_render, _environment(), site)
    charts = charts_of(site.days)
    yield "index.html", render("index", "", now=now, charts=charts, **_index(site))
    yield "quality.html", render("quality", "", **_quality(site, charts))
    yield "compare.html", render("compare", "", **_compare(site))
    yield "staleness.html", render("staleness", "", **staleness_values(site.staleness))
    yield "definitions.html", render("definitions", "", groups=definitions.GROUPS)
    for place, day in enumerate(site.days):
        values = {
            "day": day,
            "deeds": deeds(day),
            "accuracy": accuracy(day),
            "slices": list(slices_of(day.kpis)),
            "account_names": account_names(day),
            "kinds": _kinds(day),
            **neighbours(site.days, place),
        }
        name, inputs = f"days/{day.day}.html", _digest(site, values)
        if not is_written(name, inputs):
            yield name, render("day", "../", inputs=inputs, **values)
    for record in site.retrainings:
        values = retraining_values(record)
        name, inputs = f"retrainings/{record['day']}.html", _digest(site, values)
        if not is_written(name, inputs):
            yield name, render("retraining", "../", inputs=inputs, **values)


def features_of(settings: Settings, site: Site, now: datetime) -> Iterator[tuple[str, str]]:
    """The Feature Definition Document, with the figures of the last run: as a page and as Markdown."""
    document = document_of(settings, now.date())
    yield "features.html", _render(_environment(), site, "features", "", document=document, page=feature_page)
    yield "features.md", feature_page.markdown(document)


_INPUTS = '<meta name="inputs" content="'


def _digest(site: Site, values: dict[str, Any]) -> str:
    """What a page is made of: its values, what every page says of the site, and this code."""
    made_of = (values, site.shop, site.currency, site.dbt_docs, _digest_of_code())
    return hashlib.sha256(repr(made_of).encode()).hexdigest()


@cache
def _digest_of_code() -> str:
    digest = hashlib.sha256()
    for path in (Path(__file__), *sorted(_TEMPLATES.glob("*.*"))):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _inputs_of(page: Path) -> str:
    """What a page that lies there was made of; empty where none does, or where it does not say."""
    try:
        with page.open(encoding="utf-8") as text:
            head = text.read(2000)
    except FileNotFoundError:
        return ""
    return head.partition(_INPUTS)[2].partition('"')[0]


def csvs_of(site: Site) -> Iterator[tuple[str, str]]:
    """What each plot draws, for every day on record."""
    for trends in TRENDS.values():
        for trend in trends:
            yield f"data/{trend.key}.csv", csv_of(trend, site.days)
    yield "data/quarantine.csv", quarantine_csv(site.days)
    yield "data/staleness.csv", staleness_csv(site.staleness)


def _index(site: Site) -> dict[str, Any]:
    standing = [pair for pair in site.promotions.items() if pair[0] not in site.demotions]
    promoted = max(standing, key=lambda pair: (pair[1]["day"], int(pair[0])), default=None)
    champion = promoted and {
        "version": promoted[0],
        "day": promoted[1]["day"],
        "ndcg": (promoted[1].get("metrics") or {}).get("ndcg_at_10"),
    }
    return {
        "days": site.days[:_MOST_DAYS],
        "months": _months(site.days[:_MOST_DAYS]),
        "num_older": max(len(site.days) - _MOST_DAYS, 0),
        "champion": champion,
        "account": _account,
    }


def _quality(site: Site, charts: dict[str, list[Chart]]) -> dict[str, Any]:
    rows = quality_rows(site.days)
    return {
        "days": rows,
        "reasons": reasons_of(rows),
        "charts": [chart for found in charts.values() for chart in found if chart.key in ("window", "rows")],
        "months": _months(rows),
    }


def _compare(site: Site) -> dict[str, Any]:
    from markupsafe import Markup

    days, versions = compare.days_compared(site), compare.versions_compared(site)
    return {
        "comparisons": [(days, "Two days", "day"), (versions, "Two versions", "version")],
        "embedded": Markup(compare.embedded((days, versions), site.currency)),  # noqa: S704 - escaped as JSON
    }


def _kinds(day: DayView) -> dict[str, str]:
    """What was judged, with its heading, in the order of a day."""
    found = list((day.verdict or {}).get("kinds", {}))
    known = [kind for kind in _KINDS if kind in found]
    return {kind: _KINDS.get(kind, kind.capitalize()) for kind in dict.fromkeys([*known, *found])}


def _months(days: Any) -> list[tuple[str, str]]:
    found = sorted({f"{day.day:%Y-%m}" for day in days}, reverse=True)
    return [("", "any"), *((month, month) for month in found)]


def _account(day: DayView) -> dict[str, int | None]:
    """The events of a day in three numbers: read, accepted, the rest."""
    events = day.accounts.get("events", {})
    accepted = events.get("good", events.get("accepted"))
    read = events.get("read")
    return {
        "read": read,
        "accepted": accepted,
        "rest": None if read is None or accepted is None else read - accepted,
    }


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    style = _own("style.css")
    scripts = {name: _own(f"{name}.js") for name in ("filter", "compare")}
    environment.globals |= {
        "style": Markup(style),  # noqa: S704 - our own file, not data
        "scripts": {name: Markup(text) for name, text in scripts.items()},  # noqa: S704 - our own files, not data
        "hashes": {"style": _hash(style), **{name: _hash(text) for name, text in scripts.items()}},
        "definitions": definitions.DEFINITIONS,
        "key_of": definitions.key_of,
        "bar_of": bar_of,
        "marks": MARKS,
        "change": figures.change,
    }
    environment.filters |= {
        "count": figures.count,
        "written": figures.written,
        "ratio": figures.ratio,
        "cell": figures.cell,
    }
    return environment


def _own(name: str) -> str:
    return (_TEMPLATES / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """How the page's Content-Security-Policy names the one text that it allows."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def render_page(site: Site, name: str, root: str, **values: Any) -> str:
    """One page in the style and with the links of all others, for who writes it apart from them."""
    return _render(_environment(), site, name, root, **values)


def _render(environment: Environment, site: Site, name: str, root: str, **values: Any) -> str:
    return environment.get_template(f"{name}.html.j2").render(site=site, root=root, here=name, **values)


def _write_if_changed(path: Path, text: str) -> None:
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        write_durably(path, text)
