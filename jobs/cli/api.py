"""Commands of the decision API: start it, and say who may ask it."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime

import click

from contracts.api_keys import DECIDE, SCOPES
from contracts.settings import load_settings
from jobs.cli.group import cli, json_option, print_json


@cli.command("serve")
def serve_command() -> None:
    """Serve decisions in this terminal, on FORETASTE_API_HOST and FORETASTE_API_PORT."""
    # The room is deployed alone: it is started, and never imported from here.
    os.execv(sys.executable, [sys.executable, "-m", "serving"])  # noqa: S606


@cli.group("keys")
def keys_group() -> None:
    """Keys to the decision API: two of one name may be valid at once, so that one can follow the other."""


@keys_group.command("create")
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice(SCOPES),
    default=(DECIDE,),
    show_default=True,
    help="May be given several times.",
)
@json_option
def create_command(name: str, scopes: tuple[str, ...], as_json: bool) -> None:
    """Make a key for the caller NAME; it is shown once, and kept as its digest alone."""
    from jobs.api_keys import create_key

    key, kept = create_key(load_settings(), name, list(scopes), datetime.now(UTC))
    if as_json:
        print_json({"key": key, "key_id": kept.key_id, "name": name, "scopes": kept.scopes})
    else:
        click.echo(key)


@keys_group.command("list")
@json_option
def list_command(as_json: bool) -> None:
    """Who has keys, for what, and since when."""
    from jobs.api_keys import list_keys

    keys = list_keys(load_settings())
    if as_json:
        print_json(keys)
        return
    for key in keys:
        click.echo(f"{key['key_id']}  {key['created_at'][:16]}  {','.join(key['scopes']):<20} {key['name']}")


@keys_group.command("revoke")
@click.argument("key_id")
def revoke_command(key_id: str) -> None:
    """Let a key be valid no more; the API notices within a second."""
    from jobs.api_keys import revoke_key

    found = revoke_key(load_settings(), key_id)
    click.echo(f"{found.key_id} of {found.name} is revoked")
