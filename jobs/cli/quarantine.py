"""Commands about rows that were rejected."""

from __future__ import annotations

from datetime import date

import click

from contracts.settings import load_settings
from jobs.cli.group import (
    cli,
    day_option,
    json_option,
    print_json,
    run_id_of,
)


@cli.group("quarantine", invoke_without_command=True)
@day_option(help="Only what was received on this day.")
@json_option
@click.pass_context
def quarantine_group(context: click.Context, day: date | None, as_json: bool) -> None:
    """Rejected rows, counted by day and reason."""
    if context.invoked_subcommand is not None:
        return
    from jobs.landing.quarantine import list_quarantine

    rows = list_quarantine(load_settings(), day)
    if as_json:
        print_json(rows)
        return
    for row in rows:
        click.echo("  ".join(f"{key}={value}" for key, value in row.items()))
    if not rows:
        click.echo("nothing is in quarantine")


@quarantine_group.command("replay")
@click.option("--reason", metavar="CODE", help="Only rows that were rejected for this reason.")
@day_option("--from", "first", help="Only of deliveries received on this day or later.")
@day_option("--to", "last", help="Only of deliveries received on this day or earlier.")
@json_option
def quarantine_replay_command(
    reason: str | None, first: date | None, last: date | None, as_json: bool
) -> None:
    """Read rejected rows again after a fix; what is good by now lands, for the runs that come."""
    from jobs.landing.outcomes import REASONS
    from jobs.replay import render
    from jobs.run import replay_quarantine

    if reason is not None and reason not in REASONS:
        raise click.BadParameter(
            f"{reason!r} is no reason; there are {', '.join(REASONS)}", param_hint="--reason"
        )
    answer = replay_quarantine(
        load_settings(), run_id=run_id_of("replay"), reason=reason, first=first, last=last
    )
    print_json(answer) if as_json else click.echo(render(answer))
