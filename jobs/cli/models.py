"""Commands about models: better settings, and how fast a model grows old."""

from __future__ import annotations

from datetime import date

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
