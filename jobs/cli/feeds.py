"""Commands about feeds: look at one, import one."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import click

from contracts.errors import (
    EXIT_REFUSED,
    NothingToDo,
)
from contracts.settings import load_settings
from jobs.cli.group import (
    cli,
    day_option,
    json_option,
    print_json,
)


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

    if not is_delivery_complete(load_settings(), day, datetime.now(UTC).date()):
        raise NothingToDo(f"the delivery of {day} is not complete yet (no _SUCCESS)")
    click.echo(f"the delivery of {day} is complete, or none is expected")


@cli.command("ship")
@day_option(help="The last day to ship; it is closed by that. Default: yesterday.")
@json_option
def ship_command(day: date | None, as_json: bool) -> None:
    """Deliver what the API has taken and answered to the feed, a delivery a day."""
    from jobs.ship import ship

    shipped = ship(load_settings(), day or datetime.now(UTC).date() - timedelta(days=1))
    if as_json:
        print_json(shipped)
        return
    for each in shipped:
        click.echo("  ".join(f"{key}={value}" for key, value in each.items()))
    if not shipped:
        click.echo("there is nothing to ship")


@cli.command("audit")
@click.argument("location", required=False, metavar="[FEED]")
@json_option
def audit_command(location: str | None, as_json: bool) -> None:
    """Say what a feed supports, and which model to begin with; also as a page of HOME/reports."""
    from jobs.audit import audit
    from jobs.audit.page import as_json as written
    from jobs.audit.page import write_page
    from jobs.audit.text import render
    from jobs.reports import build_reports
    from jobs.start_page import write_start_page

    settings, now = load_settings(), datetime.now(UTC)
    found = audit(location or settings.feed_location, settings)
    page = write_page(settings, found)
    build_reports(settings, now)  # with a link to the page
    write_start_page(settings, now)
    click.echo(written(found), nl=False) if as_json else click.echo(f"{render(found)}\n\npage: {page}")


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

    print_json(import_online_retail(source, feed or load_settings().home / "feed", first=first, last=last))


@import_group.command("movielens-100k")
@click.argument("source", type=click.Path(path_type=Path))
@feed_option
def import_movielens_command(source: Path, feed: Path | None) -> None:
    """MovieLens 100K as RecBole's atomic files (.inter, .item, .user)."""
    from jobs.feeds.movielens import import_movielens_100k

    print_json(import_movielens_100k(source, feed or load_settings().home / "feed"))


@import_group.command("movielens-1m")
@click.argument("source", type=click.Path(path_type=Path))
@feed_option
def import_movielens_1m_command(source: Path, feed: Path | None) -> None:
    """MovieLens 1M as SASRec reads it: ml-1m.txt, sas_to_original_*.txt, movies.dat and users.dat."""
    from jobs.feeds.movielens_1m import import_movielens_1m

    print_json(import_movielens_1m(source, feed or load_settings().home / "feed"))


@import_group.command("amazon")
@click.argument("source", type=click.Path(path_type=Path))
@feed_option
def import_amazon_command(source: Path, feed: Path | None) -> None:
    """Amazon reviews as S3-Rec's 5-core sequences: Beauty.txt and Beauty_item2attributes.json."""
    from jobs.feeds.amazon import import_amazon

    print_json(import_amazon(source, feed or load_settings().home / "feed"))


@import_group.command("clothing")
@click.argument("source", type=click.Path(path_type=Path))
@feed_option
def import_clothing_command(source: Path, feed: Path | None) -> None:
    """UCI clickstream of a clothing shop, 2008: clicks.csv, or the folder that holds it."""
    from jobs.feeds.clothing import import_clothing

    print_json(import_clothing(source, feed or load_settings().home / "feed"))


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

    print_json(
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
