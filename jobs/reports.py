"""The analysts' pages: a plain static site under HOME/reports, written from the loop's own records."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from contracts.settings import Settings
from jobs.io.commit import write_durably
from jobs.io.state import State
from jobs.report_pages.charts import bar_of, charts_of, intervals_of
from jobs.report_pages.views import DayView, Record, Site, gather

if TYPE_CHECKING:
    from jinja2 import Environment

_TEMPLATES = Path(__file__).with_name("report_pages")
#: Days on the index; older ones keep their pages.
_MOST_DAYS = 365
_METRIC_LABELS = {
    "ndcg_at_10": "NDCG@10",
    "hit_rate_at_10": "Hit rate@10",
    "recall_at_10": "Recall@10",
    "coverage_at_10": "Coverage@10",
}
_MODEL_ORDER = ("challenger", "champion", "popularity", "ease", "als")
_ACCOUNT_ORDER = ("read", "good", "quarantined", "duplicate", "set_aside")


def build_reports(settings: Settings, now: datetime) -> Path:
    """Write every page that has changed; returns the index."""
    site = gather(State.of(settings), settings.reports_path)
    for name, text in pages_of(site, now):
        _write_if_changed(settings.reports_path / name, text)
    return settings.reports_path / "index.html"


def day_page(settings: Settings, day: date) -> Path:
    """Where the page of a day lies."""
    return settings.reports_path / "days" / f"{day}.html"


def pages_of(site: Site, now: datetime) -> Iterator[tuple[str, str]]:
    """Each page's path under the reports, and its text."""
    environment = _environment(site)
    yield "index.html", _render(environment, "index", "", now=now, **_index(site))
    for place, day in enumerate(site.days):
        values = {
            "day": day,
            "later": site.days[place - 1].day if place else None,
            "earlier": site.days[place + 1].day if place + 1 < len(site.days) else None,
            "account_names": _account_names(day),
            "bar_of": bar_of,
        }
        yield f"days/{day.day}.html", _render(environment, "day", "../", **values)
    for record in site.retrainings:
        yield (
            f"retrainings/{record['day']}.html",
            _render(environment, "retraining", "../", **_retraining(record)),
        )


def _index(site: Site) -> dict[str, Any]:
    published = [record for day in site.days for record in day.publications]
    promoted = max(site.promotions.items(), key=lambda pair: (pair[1]["day"], int(pair[0])), default=None)
    champion = promoted and {
        "version": promoted[0],
        "day": promoted[1]["day"],
        "ndcg": (promoted[1].get("metrics") or {}).get("ndcg_at_10"),
    }
    return {
        "days": site.days[:_MOST_DAYS],
        "num_older": max(len(site.days) - _MOST_DAYS, 0),
        "live": max(published, key=lambda record: record["version"], default=None),
        "champion": champion,
        "charts": charts_of(site.days),
        "account": _account,
    }


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


def _account_names(day: DayView) -> list[str]:
    """The columns of the day's row accounts: read first, what adds up to it next, anything else after."""
    found = {name for counts in day.accounts.values() for name in counts}
    return [name for name in _ACCOUNT_ORDER if name in found] + sorted(found - set(_ACCOUNT_ORDER))


def _retraining(record: Record) -> dict[str, Any]:
    metrics: dict[str, Record] = record.get("metrics") or {}
    order = [name for name in _MODEL_ORDER if name in metrics] + sorted(set(metrics) - set(_MODEL_ORDER))
    found = {name for values in metrics.values() for name in values}
    verdict = record.get("verdict") or {}
    link = str(record.get("mlflow_url") or "")
    return {
        # What is clicked comes from a record: a web address or nothing.
        "record": {**record, "mlflow_url": link if urlsplit(link).scheme in ("http", "https") else ""},
        "models": [(name, metrics[name]) for name in order],
        "metric_names": [name for name in _METRIC_LABELS if name in found]
        + sorted(found - set(_METRIC_LABELS)),
        "metric_labels": _METRIC_LABELS,
        "intervals": intervals_of(verdict.get("differences") or {}),
    }


def _environment(site: Site) -> Environment:
    from jinja2 import Environment, FileSystemLoader
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    style = (_TEMPLATES / "style.css").read_text(encoding="utf-8")
    environment.globals |= {"site": site, "style": Markup(style)}  # noqa: S704 - our own file, not data
    return environment


def _render(environment: Environment, name: str, root: str, **values: Any) -> str:
    return environment.get_template(f"{name}.html.j2").render(root=root, **values)


def _write_if_changed(path: Path, text: str) -> None:
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        write_durably(path, text)
