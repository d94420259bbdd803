"""Commands about what is served: its state, one list, the way back."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, date, datetime

import click

from contracts import alarms
from contracts.errors import (
    NothingToDo,
)
from contracts.settings import load_settings
from jobs.cli.group import (
    cli,
    day_option,
    json_option,
    print_json,
    tell_alarm,
)


@cli.command("status")
@json_option
def status_command(as_json: bool) -> None:
    """The state of the loop: day, champion, what is published, drift."""
    from jobs.status import render, status

    answer = status(load_settings(), now=datetime.now(UTC))
    print_json(answer) if as_json else click.echo(render(answer))


@cli.command("recommend")
@click.argument("user")
@click.option("--count", default=10, show_default=True, type=click.IntRange(1, 1000))
@json_option
def recommend_command(user: str, count: int, as_json: bool) -> None:
    """The published list of one user."""
    from jobs.recommend import recommend, render

    answer = recommend(load_settings(), user, count)
    print_json(answer) if as_json else click.echo(render(answer))


@cli.command("explain")
@click.argument("user")
@click.argument("item")
@json_option
def explain_command(user: str, item: str, as_json: bool) -> None:
    """Why an item stands where it does with a user, or why not: score, rank, and the past events that speak for it."""
    from jobs.explain import explain, render

    answer = explain(load_settings(), user, item)
    print_json(answer) if as_json else click.echo(render(answer))


@cli.command("features")
@click.argument("user", required=False)
@click.option("--item", help="An item instead of a user.")
@day_option(help="The day as of which values are fresh or outdated. Default: today.")
@json_option
def features_command(user: str | None, item: str | None, day: date | None, as_json: bool) -> None:
    """The published features of one user or item: value, unit, age, and whether it may be relied upon."""
    from contracts.online_features import ITEM, USER
    from jobs.published_features import published_features, render

    if (user is None) == (item is None):
        raise click.UsageError("name a user, or an item: foretaste features --item ITEM")
    entity, id_ = (USER, user) if user is not None else (ITEM, str(item))
    answer = published_features(load_settings(), entity, id_, day or datetime.now(UTC).date())
    print_json(answer) if as_json else click.echo(render(answer))


@cli.command("rollback")
@click.option("--version", help="A kept version. Default: the one before the live one.")
@json_option
def rollback_command(version: str | None, as_json: bool) -> None:
    """Point readers back at a version that is still kept; takes under a second."""
    from jobs.rollback import render, rollback

    settings = load_settings()
    answer = rollback(settings, version, now=datetime.now(UTC))
    print_json(answer) if as_json else click.echo(render(answer))
    # After the answer: whoever rolls back waits for the flip alone.
    why = f"by hand, from {answer['from']} to {answer['version']}"
    with suppress(NothingToDo):  # one more within the cool-down
        tell_alarm(
            settings, alarms.ROLLBACK, "foretaste rollback", date.fromisoformat(answer["day"]), why, ""
        )
