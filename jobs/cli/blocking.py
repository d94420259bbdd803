"""Commands about items that nobody may be shown."""

from __future__ import annotations

import getpass
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import click

from contracts.settings import load_settings
from jobs.cli.group import F, cli, json_option, print_json


def _said(function: F) -> F:
    """Who says it, and why: both are kept."""
    by = click.option(
        "--by", default=getpass.getuser, metavar="NAME", help="Who says so. Default: the login."
    )
    return click.option("--reason", required=True, help="Why; kept with the name and the time.")(by(function))


@cli.command("block")
@click.argument("item")
@_said
@json_option
def block_command(item: str, reason: str, by: str, as_json: bool) -> None:
    """Let nobody be shown ITEM any more, within a second and in every version, until it is unblocked."""
    from jobs.blocking import block

    _tell(block, item, reason, by, as_json)


@cli.command("unblock")
@click.argument("item")
@_said
@json_option
def unblock_command(item: str, reason: str, by: str, as_json: bool) -> None:
    """Let ITEM be shown again."""
    from jobs.blocking import unblock

    _tell(unblock, item, reason, by, as_json)


@cli.command("blocked")
@click.option("--history", "with_history", is_flag=True, help="Everything that was ever said, instead.")
@json_option
def blocked_command(with_history: bool, as_json: bool) -> None:
    """The blocked items: since when, by whom and why."""
    from jobs.blocking import blocked_items, history
    from jobs.io.state import State

    state = State.of(load_settings())
    told = history(state) if with_history else blocked_items(state)
    if as_json:
        print_json(told)
        return
    for word in told:
        what = f"{'blocked' if word['is_blocked'] else 'unblocked':<10}" if with_history else ""
        click.echo(f"{word['at'][:16]}  {what}{word['item_id']:<20} {word['by']}: {word['why']}")


def _tell(say: Callable[..., dict[str, Any]], item: str, reason: str, by: str, as_json: bool) -> None:
    from jobs.blocking import render

    answer = say(load_settings(), item, by=by, why=reason, now=datetime.now(UTC))
    print_json(answer) if as_json else click.echo(render(answer))
