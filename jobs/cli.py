"""``foretaste <verb>``: the doorway to every step, and what people type."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, TypeVar

import click

from contracts import alarms
from contracts.errors import (
    EXIT_FAILED,
    EXIT_NOTHING_TO_DO,
    EXIT_REFUSED,
    EXIT_TRY_AGAIN,
    ForetasteError,
    NothingToDo,
)
from contracts.settings import Settings, load_settings, settings_table

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


def _run_id(kind: str) -> str:
    return f"{kind}-{datetime.now(UTC):%Y%m%dT%H%M%S}-{os.getpid()}"


def _print_json(value: Any) -> None:
    click.echo(json.dumps(value, sort_keys=True, default=str, ensure_ascii=False))


def _listener(name: str, seconds: float, result: dict[str, Any]) -> None:
    told = "  ".join(f"{key}={_short(value)}" for key, value in result.items())
    click.echo(f"{name:<26} {seconds:6.1f} s  {told}")


def _silent(name: str, seconds: float, result: dict[str, Any]) -> None:
    """Say nothing of a step."""


def _short(value: Any) -> str:
    text = (
        json.dumps(value, default=str, ensure_ascii=False)
        if isinstance(value, dict | list | tuple)
        else str(value)
    )
    return text if len(text) <= 160 else f"{text[:157]}..."


# The loop


@cli.command("run")
@day_option(required=True, help="The day to run.")
@day_option("--to", "last", help="Run every day up to this one; only the newest goes live.")
@accept_option
def run_command(day: date, last: date | None, accept: str | None) -> None:
    """Run every step of a day: land, transform, build, score, publish, monitor."""
    from jobs.run import run_days

    run_days(load_settings(), day, last or day, run_id=_run_id("run"), listener=_listener, accept=accept)


@cli.command("load")
@day_option(required=True, help="First day of the history.")
@day_option("--to", "last", required=True, help="Last day of the history.")
@accept_option
def load_command(day: date, last: date, accept: str | None) -> None:
    """Load a history in one pass: land and transform, without scoring or publishing."""
    from jobs.run import load_history

    load_history(load_settings(), day, last, run_id=_run_id("load"), listener=_listener, accept=accept)


@cli.command("retrain")
@day_option(required=True, help="Train up to this day.")
@click.option("--reason", default="by hand", show_default=True, help="Why; recorded with the retraining.")
def retrain_command(day: date, reason: str) -> None:
    """Train a challenger, judge it against the champion, promote or refuse it, publish its lists."""
    from jobs.run import retrain

    retrain(
        load_settings(), day, run_id=_run_id("retrain"), reason=reason, trigger="person", listener=_listener
    )


@cli.command("follow")
@day_option(required=True, help="First day to run.")
@day_option("--to", "last", required=True, help="Last day to run.")
@click.option(
    "--retrain",
    "retrain_when",
    type=click.Choice(["on-alarm", "daily", "never"]),
    default="on-alarm",
    show_default=True,
    help="When the drift alarm rings, after every day, or never.",
)
@click.option(
    "--every", "every_days", default=0, type=click.IntRange(0), help="Retrain every so many days as well."
)
@click.option("--poll", default=60.0, show_default=True, help="Seconds between two looks for a delivery.")
@json_option
def follow_command(
    day: date, last: date, retrain_when: Any, every_days: int, poll: float, as_json: bool
) -> None:
    """Run each day as soon as it is delivered, without a scheduler: one line a day says what became of it."""
    from jobs.follow import follow

    settings = load_settings()
    found = follow(
        settings,
        day,
        last,
        retrain_when=retrain_when,
        every_days=every_days,
        poll_seconds=poll,
        run_id=_run_id("follow"),
        listener=_silent if as_json else _listener,
    )
    for each in found:
        _print_json(each.as_record()) if as_json else click.echo(each.told())
        sys.stdout.flush()


@cli.command("approve")
@day_option(required=True, help="The day of the retraining.")
@click.option("--decline", is_flag=True, help="The challenger does not become the champion.")
@click.option("--by", required=True, metavar="NAME", help="Who answers; recorded.")
@click.option("--note", default="", help="Why; recorded.")
@click.option(
    "--answer-only", is_flag=True, help="Record the answer and do nothing more: Airflow goes on by itself."
)
@click.option(
    "--unanswered", is_flag=True, help="The time for an answer has run out (what Airflow records then)."
)
def approve_command(
    day: date, decline: bool, by: str, note: str, answer_only: bool, unanswered: bool
) -> None:
    """Answer for a challenger that waits for a person; approved, it is promoted and its lists are published."""
    from jobs import approval
    from jobs.io.state import State
    from jobs.run import finish_retraining

    settings = load_settings()
    said = approval.UNANSWERED if unanswered else approval.DECLINED if decline else approval.APPROVED
    at = datetime.now(UTC).isoformat(timespec="seconds")
    answer = approval.answer(State.of(settings), day, said, by=by, at=at, note=note)
    if answer_only:
        _print_json({**answer, "told": approval.told(answer)})
        return
    click.echo(approval.told(answer))
    finish_retraining(settings, day, run_id=_run_id("approve"), listener=_listener)


@cli.command("step")
@click.argument("name")
@day_option(required=True, help="The day to run the step for.")
@click.option("--run-id", help="The run that this step belongs to: its steps share one lease.")
@click.option("--reason", help="With prepare-retraining: why.")
@click.option("--trigger", help="With prepare-retraining: alarm, schedule or person.")
@accept_option
def step_command(
    name: str, day: date, run_id: str | None, reason: str | None, trigger: str | None, accept: str | None
) -> None:
    """Run one step; the last line it prints is its result as JSON."""
    from jobs.run import run_step
    from jobs.steps import LAST_STEPS, STEPS

    if name not in STEPS:
        raise click.BadParameter(f"{name!r} is no step; there are {', '.join(STEPS)}", param_hint="NAME")
    given = {"reason": reason, "trigger": trigger, "accept": accept}
    options = {key: value for key, value in given.items() if value}
    result = run_step(
        load_settings(),
        name,
        day,
        run_id=run_id or _run_id(f"step-{name}"),
        is_last=run_id is None or name in LAST_STEPS,
        **options,
    )
    _print_json(result)


# The feed


@cli.group("feed")
def feed_group() -> None:
    """Look at what the shop delivers."""


@feed_group.command("check")
@click.argument("location", required=False)
@click.option("--all", "every", is_flag=True, help="Check every delivery, not just the newest.")
def feed_check_command(location: str | None, every: bool) -> None:
    """Validate a feed: feed.json, folders, headers, rows."""
    from jobs.feed_reader import check_feed

    settings = load_settings()
    problems = check_feed(location or settings.feed_location, settings, every=every)
    for problem in problems:
        click.echo(str(problem))
    if problems:
        raise SystemExit(EXIT_REFUSED)
    click.echo(f"{location or settings.feed_location}: no problems found")


@feed_group.command("is-complete")
@day_option(required=True)
def feed_is_complete_command(day: date) -> None:
    """Exit 0 when the day's delivery is complete or none is expected, 99 when it has to be waited for."""
    from jobs.feed_reader import is_delivery_complete

    if not is_delivery_complete(load_settings(), day):
        raise NothingToDo(f"the delivery of {day} is not complete yet (no _SUCCESS)")
    click.echo(f"the delivery of {day} is complete, or none is expected")


@cli.group("import")
def import_group() -> None:
    """Turn a public data set, or any CSV file, into a feed."""


feed_option = click.option(
    "--feed", type=click.Path(path_type=Path), help="Folder to write. Default: HOME/feed."
)


@import_group.command("online-retail")
@click.argument("source", type=click.Path(path_type=Path))
@feed_option
@day_option("--from", "first", help="First day to import.")
@day_option("--to", "last", help="Last day to import.")
def import_online_retail_command(
    source: Path, feed: Path | None, first: date | None, last: date | None
) -> None:
    """UCI Online Retail: a folder with one CSV a day."""
    from jobs.feeds.online_retail import import_online_retail

    _print_json(import_online_retail(source, feed or load_settings().home / "feed", first=first, last=last))


@import_group.command("movielens-100k")
@click.argument("source", type=click.Path(path_type=Path))
@feed_option
def import_movielens_command(source: Path, feed: Path | None) -> None:
    """MovieLens 100K as RecBole's atomic files (.inter, .item, .user)."""
    from jobs.feeds.movielens import import_movielens_100k

    _print_json(import_movielens_100k(source, feed or load_settings().home / "feed"))


def _mapping(context: click.Context, parameter: click.Parameter, pairs: tuple[str, ...]) -> dict[str, str]:
    """``OURS=THEIRS`` pairs as a dictionary."""
    mapping: dict[str, str] = {}
    for pair in pairs:
        ours, equals, theirs = pair.partition("=")
        if not (ours and equals and theirs):
            raise click.BadParameter(f"{pair!r}: write OURS=THEIRS, say item_id=StockCode")
        if ours in mapping:
            raise click.BadParameter(f"{ours} is mapped twice: to {mapping[ours]} and {theirs}")
        mapping[ours] = theirs
    return mapping


@import_group.command("csv")
@click.argument("file", type=click.Path(path_type=Path))
@feed_option
@click.option(
    "--map",
    "mapping",
    multiple=True,
    required=True,
    metavar="OURS=THEIRS",
    callback=_mapping,
    help="Column of a feed = column of the file; repeat it.",
)
@click.option("--event-type", help="What every line is, where no column says so.")
@click.option("--time-zone", default="UTC", show_default=True, help="Of times without an offset.")
@click.option("--time-format", help="Of times that are neither ISO 8601 nor epoch, as strptime spells it.")
@click.option("--delimiter", default=",", show_default=True, help="Between columns.")
@click.option("--shop", help="The shop's name. Default: the file's.")
@click.option("--currency", default="EUR", show_default=True, help="Of all prices.")
@click.option("--no-repeats", is_flag=True, help="Never recommend again what a user has bought.")
def import_csv_command(
    file: Path, feed: Path | None, mapping: dict[str, str], event_type: str | None, time_zone: str, time_format: str | None,
    delimiter: str, shop: str | None, currency: str, no_repeats: bool,
) -> None:  # fmt: skip
    """Any delimited file with a header; --map says which of its columns is which of ours."""
    from jobs.feeds.csv_map import import_csv

    _print_json(
        import_csv(
            file,
            feed or load_settings().home / "feed",
            mapping,
            shop=shop,
            event_type=event_type,
            time_zone=time_zone,
            time_format=time_format,
            delimiter=delimiter,
            currency=currency,
            repeats_allowed=not no_repeats,
        )
    )


# What people ask


@cli.command("status")
@json_option
def status_command(as_json: bool) -> None:
    """The state of the loop: day, champion, what is published, drift."""
    from jobs.status import render, status

    answer = status(load_settings(), now=datetime.now(UTC))
    _print_json(answer) if as_json else click.echo(render(answer))


@cli.command("recommend")
@click.argument("user")
@click.option("--count", default=10, show_default=True, type=click.IntRange(1, 1000))
@json_option
def recommend_command(user: str, count: int, as_json: bool) -> None:
    """The published list of one user."""
    from jobs.recommend import recommend, render

    answer = recommend(load_settings(), user, count)
    _print_json(answer) if as_json else click.echo(render(answer))


@cli.command("rollback")
@click.option("--version", help="A kept version. Default: the one before the live one.")
@json_option
def rollback_command(version: str | None, as_json: bool) -> None:
    """Point readers back at a version that is still kept; takes under a second."""
    from jobs.rollback import render, rollback

    settings = load_settings()
    answer = rollback(settings, version, now=datetime.now(UTC))
    _print_json(answer) if as_json else click.echo(render(answer))
    # After the answer: whoever rolls back waits for the flip alone.
    why = f"by hand, from {answer['from']} to {answer['version']}"
    with suppress(NothingToDo):  # one more within the cool-down
        _tell(settings, alarms.ROLLBACK, "foretaste rollback", date.fromisoformat(answer["day"]), why, "")


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
        _print_json(rows)
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
        load_settings(), run_id=_run_id("replay"), reason=reason, first=first, last=last
    )
    _print_json(answer) if as_json else click.echo(render(answer))


@cli.command("report")
def report_command() -> None:
    """Write the pages of HOME/reports and the marts again, dbt's docs included, and upload the pages."""
    from jobs.annotations import load_annotations
    from jobs.dbt_docs import refresh_docs
    from jobs.site import publish_site

    settings = load_settings()
    load_annotations(settings)  # a person who has just edited them wants to hear what is wrong
    refresh_docs(settings, run_id=_run_id("report"))
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
    message = _tell(settings, kind, source, day, why, page)
    write_start_page(settings, now=datetime.now(UTC))
    _print_json(message)


def _tell(
    settings: Settings, kind: str, source: str, day: date | None, why: str, page: str
) -> dict[str, Any]:
    from jobs.alarms import Alarm, tell

    return tell(settings, Alarm(kind, source, day, why, page), now=datetime.now(UTC))


# Servers


@cli.command("up")
@click.option("--without-airflow", is_flag=True, help="Start the stores and MLflow only.")
def up_command(without_airflow: bool) -> None:
    """Start the embedded servers and leave them running; prints addresses and logins."""
    from jobs.dbt_docs import refresh_docs
    from jobs.reports import build_reports
    from jobs.services import connected, render, up
    from jobs.start_page import write_start_page

    settings = load_settings()
    has_docs = refresh_docs(settings, run_id=_run_id("up")) is not None  # before Airflow starts runs
    build_reports(settings, now=datetime.now(UTC))  # with a link to them
    click.echo(render(up(settings, airflow=not without_airflow)))
    settings = connected(settings)
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


@cli.command("doctor")
@json_option
def doctor_command(as_json: bool) -> None:
    """Say what is missing or wrong, and how to mend it."""
    from jobs.doctor import doctor, render

    checks = doctor(load_settings())
    _print_json([vars(check) for check in checks]) if as_json else click.echo(render(checks))
    if not all(check.ok for check in checks):
        raise SystemExit(EXIT_FAILED)


def _next_command(error: ForetasteError, arguments: list[str]) -> str:
    if error.exit_code == EXIT_TRY_AGAIN:
        return f"foretaste {' '.join(arguments)}"
    return "foretaste doctor" if error.exit_code == EXIT_FAILED else "foretaste status"


def main() -> None:
    """Run the CLI; a refusal is one line that says what, why, what is still served and what to do next."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s", stream=sys.stderr)
    for noisy in (
        "py4j",
        "botocore",
        "boto3",
        "urllib3",
        "great_expectations",
        "httpx",
        "alembic",
        "pyspark",
    ):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    logging.getLogger().handlers[0].addFilter(_is_worth_reading)
    # A task that an orchestrator ends has to give back its lease and its child processes.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    arguments = sys.argv[1:]
    try:
        cli(standalone_mode=False)
    except NothingToDo as nothing:
        click.echo(f"nothing to do: {nothing}", err=True)
        raise SystemExit(EXIT_NOTHING_TO_DO) from None
    except ForetasteError as error:
        served = "" if arguments[:1] in (["doctor"], ["up"], ["down"], ["import"]) else f" | {_served(error)}"
        click.echo(
            f"{type(error).__name__}: {error}{served} | next: {_next_command(error, arguments)}", err=True
        )
        raise SystemExit(error.exit_code) from None
    except click.ClickException as error:
        error.show()
        raise SystemExit(2) from None
    except click.Abort:
        raise SystemExit(130) from None


def _is_worth_reading(record: logging.LogRecord) -> bool:
    """Great Expectations gives its loggers levels of their own; only its warnings matter here."""
    return record.levelno >= logging.WARNING or not record.name.startswith("great_expectations")


def _served(error: ForetasteError) -> str:
    from jobs.alarms import what_is_served

    try:
        return what_is_served(load_settings())
    except ForetasteError as problem:
        return str(problem)


if __name__ == "__main__":
    main()
