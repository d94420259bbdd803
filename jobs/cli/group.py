"""The group that every command belongs to, and what they share: options, how results are printed."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any, TypeVar

import click

from contracts.settings import Settings

F = TypeVar("F", bound=Callable[..., Any])


class Day(click.ParamType[date]):
    """A UTC day, YYYY-MM-DD."""

    name = "day"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> date:
        if isinstance(value, date):
            return value
        try:
            return date.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is no day; write it as YYYY-MM-DD, say 2011-03-01", param, ctx)


DAY = Day()


def day_option(*names: str, **options: Any) -> Callable[[F], F]:
    return click.option(*(names or ("--day",)), type=DAY, **options)


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
accept_option = click.option(
    "--accept", metavar="REASON", help="Let a refused delivery through; the reason is recorded with the day."
)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="foretaste")
def cli() -> None:
    """Foretaste learns what people want next and retrains itself when their taste drifts."""


def run_id_of(kind: str) -> str:
    return f"{kind}-{datetime.now(UTC):%Y%m%dT%H%M%S}-{os.getpid()}"


def print_json(value: Any) -> None:
    click.echo(json.dumps(value, sort_keys=True, default=str, ensure_ascii=False))


def listener(name: str, seconds: float, result: dict[str, Any]) -> None:
    told = "  ".join(f"{key}={short(value)}" for key, value in result.items())
    click.echo(f"{name:<26} {seconds:6.1f} s  {told}")


def silent(name: str, seconds: float, result: dict[str, Any]) -> None:
    """Say nothing of a step."""


def short(value: Any) -> str:
    text = (
        json.dumps(value, default=str, ensure_ascii=False)
        if isinstance(value, dict | list | tuple)
        else str(value)
    )
    return text if len(text) <= 160 else f"{text[:157]}..."


def tell_alarm(
    settings: Settings, kind: str, source: str, day: date | None, why: str, page: str
) -> dict[str, Any]:
    """Tell an alarm by the channels that are set; returns its message."""
    from jobs.alarms import Alarm, tell

    return tell(settings, Alarm(kind, source, day, why, page), now=datetime.now(UTC))
