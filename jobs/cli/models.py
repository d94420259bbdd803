"""Commands about models: better settings, and how fast a model grows old."""

from __future__ import annotations

from datetime import UTC, date, datetime

import click

from contracts.settings import load_settings
from jobs.cli.group import cli, day_option, json_option, print_json


@cli.command("tune")
@day_option(required=True, help="The day of a retraining: its training set is searched in.")
@click.option(
    "--trials",
    default=30,
    show_default=True,
    type=click.IntRange(1, 10_000),
    help="Most tries, in all calls.",
)
@click.option(
    "--minutes",
    default=30.0,
    show_default=True,
    type=click.FloatRange(0, min_open=True),
    help="Most minutes, in all calls.",
)
@click.option(
    "--apply",
    "is_applied",
    is_flag=True,
    help="Write the best into HOME/settings.env if it is surely better.",
)
@json_option
def tune_command(day: date, trials: int, minutes: float, is_applied: bool, as_json: bool) -> None:
    """Search for better settings of the transformer; the days that judge a challenger are not read."""
    from jobs.tune import apply, as_record, render, told, tune

    settings = load_settings()
    result = tune(
        settings,
        day,
        trials=trials,
        minutes=minutes,
        listener=lambda trial: None if as_json else click.echo(told(trial)),
    )
    print_json(as_record(result)) if as_json else click.echo(f"\n{render(result)}")
    if is_applied:
        click.echo(apply(settings, result), err=as_json)


@cli.command("staleness")
@day_option(required=True, help="The last day to judge.")
@click.option(
    "--days",
    default=28,
    show_default=True,
    type=click.IntRange(6, 365),
    help="Days that the model is judged on: it is trained as of so many days earlier.",
)
@json_option
def staleness_command(day: date, days: int, as_json: bool) -> None:
    """Train as of a past day and judge on each day since: how fast a model grows old, and how often to retrain."""
    from jobs.reports import build_reports
    from jobs.staleness import render, staleness

    settings = load_settings()
    record = staleness(settings, day, days=days, listener=lambda line: None if as_json else click.echo(line))
    index = build_reports(settings, now=datetime.now(UTC))
    print_json(record) if as_json else click.echo(f"\n{render(record)}\n{index.with_name('staleness.html')}")
