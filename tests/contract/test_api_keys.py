"""`foretaste keys` writes what the API reads: two keys of a name at once, none of them in the file."""

from __future__ import annotations

import json
import stat
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from contracts.api_keys import DECIDE, INGEST, keys_path
from contracts.errors import KeyRefused
from contracts.settings import Settings, load_settings
from jobs.api_keys import create_key, list_keys, revoke_key
from jobs.cli import cli
from serving.keys import KeyRing

pytestmark = pytest.mark.contract

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)


@pytest.fixture
def shop(tmp_path: Path) -> Settings:
    return load_settings(home=tmp_path)


def test_what_the_command_writes_the_api_reads(shop: Settings) -> None:
    key, kept = create_key(shop, "shop", [INGEST, DECIDE], NOW)
    ring = KeyRing(keys_path(shop.home), time.monotonic)
    assert ring.find(key) == kept
    assert (kept.name, kept.scopes, kept.created_at) == (
        "shop",
        (DECIDE, INGEST),
        "2026-01-05T12:00:00+00:00",
    )


def test_the_file_is_its_owners_and_holds_no_key(shop: Settings) -> None:
    key, _ = create_key(shop, "shop", [DECIDE], NOW)
    path = keys_path(shop.home)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert key.split("_", 2)[2] not in path.read_text()
    assert key.split("_", 2)[2] not in json.dumps(list_keys(shop))


def test_two_keys_of_a_name_are_valid_at_once_and_a_third_waits_for_one_to_go(shop: Settings) -> None:
    old, kept_old = create_key(shop, "shop", [DECIDE], NOW)
    new, kept_new = create_key(shop, "shop", [DECIDE], NOW)
    create_key(shop, "other", [DECIDE], NOW)
    with pytest.raises(KeyRefused, match=f"foretaste keys revoke {kept_old.key_id}"):
        create_key(shop, "shop", [DECIDE], NOW)
    revoke_key(shop, kept_old.key_id)
    ring = KeyRing(keys_path(shop.home), time.monotonic)
    assert (ring.find(old), ring.find(new)) == (None, kept_new)
    create_key(shop, "shop", [DECIDE], NOW)
    assert sorted(each["name"] for each in list_keys(shop)) == ["other", "shop", "shop"]


def test_a_key_that_there_is_not_cannot_be_revoked(shop: Settings) -> None:
    _, kept = create_key(shop, "shop", [DECIDE], NOW)
    with pytest.raises(KeyRefused, match=f"there are: {kept.key_id}"):
        revoke_key(shop, "00000000")


def test_the_commands_make_list_and_revoke(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORETASTE_HOME", str(tmp_path))
    run = CliRunner().invoke
    key = run(cli, ["keys", "create", "shop"]).output.strip()
    assert key.startswith("ft_")
    told = json.loads(
        run(cli, ["keys", "create", "shop", "--scope", "ingest", "--scope", "admin", "--json"]).output
    )
    assert told["scopes"] == ["admin", "ingest"]
    listed = run(cli, ["keys", "list"]).output
    assert "decide" in listed
    assert "admin,ingest" in listed
    assert key not in listed
    assert "is revoked" in run(cli, ["keys", "revoke", told["key_id"]]).output
    assert [each["scopes"] for each in json.loads(run(cli, ["keys", "list", "--json"]).output)] == [
        ["decide"]
    ]
