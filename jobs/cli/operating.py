"""Commands of an operator: pages, messages, servers, settings, what is wrong."""

from __future__ import annotations

from datetime import UTC, date, datetime

import click

from contracts import alarms
from contracts.errors import (
    EXIT_FAILED,
)
from contracts.settings import load_settings, settings_table
from jobs.cli.group import (
    cli,
    day_option,
    json_option,
    print_json,
    run_id_of,
    tell_alarm,
)


@cli.command("report")
def report_command() -> None:
    """Write the pages of HOME/reports and the marts again, dbt's docs included, and upload the pages."""
    from jobs.annotations import load_annotations
    from jobs.dbt_docs import refresh_docs
    from jobs.site import publish_site

    settings = load_settings()
    load_annotations(settings)  # a person who has just edited them wants to hear what is wrong
    refresh_docs(settings, run_id=run_id_of("report"))
    told = publish_site(settings, now=datetime.now(UTC))
    click.echo(f"{told['report']}\npages in S3: {told['reports_s3']}")


@cli.command("notify")
@click.argument("kind", type=click.Choice(list(alarms.TITLES)))
@day_option(help="The day it is about.")
@click.option("--source", required=True, help="Whose alarm it is: a Dag's.")
@click.option("--why", required=True)
@click.option("--page", default="", help="The page that shows it.")
def notify_command(kind: str, day: date | None, source: str, why: str, page: str) -> None:
    """Tell an alarm unless its like was told within the cool-down; the last line is the message as JSON."""
    from jobs.start_page import write_start_page

    settings = load_settings()
    message = tell_alarm(settings, kind, source, day, why, page)
    write_start_page(settings, now=datetime.now(UTC))
    print_json(message)


@cli.command("up")
@click.option("--without-airflow", is_flag=True, help="Start the stores and MLflow only.")
def up_command(without_airflow: bool) -> None:
    """Start the embedded servers and leave them running; prints addresses and logins."""
    from jobs.blocking import remind_store
    from jobs.dbt_docs import refresh_docs
    from jobs.reports import build_reports
    from jobs.services import connected, render, up
    from jobs.start_page import write_start_page

    settings = load_settings()
    has_docs = refresh_docs(settings, run_id=run_id_of("up")) is not None  # before Airflow starts runs
    build_reports(settings, now=datetime.now(UTC))  # with a link to them
    click.echo(render(up(settings, airflow=not without_airflow)))
    settings = connected(settings)
    remind_store(settings)
    write_start_page(settings, now=datetime.now(UTC))
    if has_docs:
        click.echo(f"{'dbt docs':<27} {settings.reports_url}/dbt/index.html")
    click.echo(f"{'start page':<27} {settings.reports_url}/start.html")


@cli.command("down")
def down_command() -> None:
    """Stop what `foretaste up` started."""
    from jobs.services import down

    down(load_settings())


@cli.command("settings")
def settings_command() -> None:
    """List every setting, its default and its meaning (Markdown; the same as docs/settings.md)."""
    click.echo(settings_table())


@cli.command("feature-document")
def feature_document_command() -> None:
    """Describe every feature (Markdown; the same as docs/features.md). With figures: HOME/reports/features.html."""
    from jobs.feature_document import declared
    from jobs.report_pages.feature_page import markdown

    click.echo(markdown(declared()), nl=False)


@cli.command("doctor")
@json_option
def doctor_command(as_json: bool) -> None:
    """Say what is missing or wrong, and how to mend it."""
    from jobs.doctor import doctor, render

    checks = doctor(load_settings())
    print_json([vars(check) for check in checks]) if as_json else click.echo(render(checks))
    if not all(check.ok for check in checks):
        raise SystemExit(EXIT_FAILED)
