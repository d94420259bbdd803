"""Commands of who edits the dbt project: a sample, what an edit changes, what it makes stale, and the rebuild."""

from __future__ import annotations

from datetime import date

import click

from contracts import names
from contracts.errors import EXIT_FAILED, NothingToDo
from contracts.settings import load_settings
from jobs.cli.group import cli, day_option, json_option, listener, print_json, run_id_of

users_option = click.option(
    "--users",
    default=1000,
    show_default=True,
    type=click.IntRange(1),
    help="People to draw, with all their events.",
)
days_option = click.option(
    "--days", default=7, show_default=True, type=click.IntRange(1), help="Last days whose features are built."
)


@cli.command("sample")
@users_option
@days_option
def sample_command(users: int, days: int) -> None:
    """Make the own file of plain `dbt build` anew: a sample of what has landed, and the tables as the lake's are built."""
    from jobs.io.compiled import built_project, compile_project, variables_now
    from jobs.io.sample import Sample, own_file, take

    settings = load_settings()
    project = built_project(settings) or compile_project(settings, variables=variables_now(settings))
    drawn = take(settings, Sample(users, days), project)
    click.echo(f"{own_file(settings)}: {drawn.told}")


@cli.command("diff")
@users_option
@days_option
@json_option
def diff_command(users: int, days: int, as_json: bool) -> None:
    """Say what an edit of the dbt project changes: rows, columns, and whose lists; nothing is written."""
    from jobs.diff import diff
    from jobs.diff_page import render
    from jobs.io.sample import Sample

    found = diff(load_settings(), Sample(users, days))
    print_json(found.as_record()) if as_json else click.echo(render(found))


@cli.command("stale")
@json_option
def stale_command(as_json: bool) -> None:
    """List the days that were built by other SQL than the project has now, with the command that rebuilds them."""
    from jobs.stale import stale

    found = stale(load_settings())
    print_json(found.as_record()) if as_json else click.echo(found.told())
    if found.days:
        raise SystemExit(EXIT_FAILED)


@cli.command("rebuild")
@day_option(help="First day. Without it: every day that is stale.")
@day_option("--to", "last", help="Last day. Default: the first.")
def rebuild_command(day: date | None, last: date | None) -> None:
    """Build dbt's tables of some days again, from what has landed; what is published stays published."""
    from jobs.io.lake import Lake
    from jobs.run import rebuild_days
    from jobs.stale import stale

    settings = load_settings()
    built = Lake.of(settings).days(names.BY_FEATURE_DAY[-1])
    if day is None:
        found = stale(settings)
        wanted = {each for days in found.days.values() for each in days}
        days = [each for each in built if each in wanted] or (built[-1:] if wanted else [])
    else:
        days = [each for each in built if day <= each <= (last or day)]
    if not days:
        told = "nothing is stale" if day is None else f"no day from {day} to {last or day} has been built"
        raise NothingToDo(told)
    rebuild_days(settings, days, run_id=run_id_of("rebuild"), listener=listener)
