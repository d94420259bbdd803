"""`foretaste block` keeps who said what and why, also where the online store does not hear it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from contracts.blocked import MOST_BLOCKED
from contracts.errors import BlockRefused, ServiceUnreachable
from contracts.settings import Settings, load_settings
from jobs.blocking import block, blocked_items, history, unblock
from jobs.cli import cli
from jobs.io.state import BLOCKINGS, State
from jobs.status import render, status

pytestmark = pytest.mark.contract

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)


@pytest.fixture
def shop(tmp_path: Path) -> Settings:
    return load_settings(home=tmp_path, redis_url="redis://127.0.0.1:1/0")


def say(shop: Settings, item: str, *, is_blocked: bool, minute: int = 0, by: str = "ada") -> None:
    """Say it while the store is away: it is recorded all the same, and the error says so."""
    with pytest.raises(ServiceUnreachable, match=f"recorded that {item!r} is .*Say it again once the store"):
        (block if is_blocked else unblock)(
            shop, item, by=by, why="recalled", now=NOW + timedelta(minutes=minute)
        )


def run(shop: Settings, *told: str) -> Result:
    return CliRunner().invoke(cli, [*told], env={"FORETASTE_HOME": str(shop.home)})


def test_who_blocked_what_when_and_why_is_kept_after_it_is_unblocked(shop: Settings) -> None:
    say(shop, "mug", is_blocked=True)
    say(shop, "cup", is_blocked=True, minute=1)
    say(shop, "mug", is_blocked=False, minute=2, by="bob")
    say(shop, "mug", is_blocked=False, minute=3, by="eve")  # says nothing new
    state = State.of(shop)
    assert [word["item_id"] for word in blocked_items(state)] == ["cup"]
    assert [(word["item_id"], word["is_blocked"], word["by"]) for word in history(state)] == [
        ("mug", True, "ada"), ("cup", True, "ada"), ("mug", False, "bob"),
    ]  # fmt: skip
    assert run(shop, "blocked").output == "2026-01-05T12:01  cup                  ada: recalled\n"
    assert len(json.loads(run(shop, "blocked", "--history", "--json").output)) == 3
    assert "unblocked mug" in run(shop, "blocked", "--history").output
    assert "1 items, which nobody is shown" in render(status(shop, NOW))


def test_an_item_that_never_was_blocked_is_not_unblocked(shop: Settings) -> None:
    say(shop, "cup", is_blocked=True)
    with pytest.raises(BlockRefused, match="'mug' is not blocked; blocked are: cup"):
        unblock(shop, "mug", by="ada", why="?", now=NOW)


@pytest.mark.parametrize("item", ["", "a\nb", "\u202e"])
def test_what_is_no_id_is_refused(shop: Settings, item: str) -> None:
    with pytest.raises(BlockRefused, match="is no id"):
        block(shop, item, by="ada", why="?", now=NOW)


def test_more_than_the_api_looks_at_are_refused_with_the_way_out(shop: Settings) -> None:
    told = {"is_blocked": True, "at": NOW.isoformat(), "by": "ada", "why": "?"}
    words = {f"i{number}": {"words": [{"item_id": f"i{number}", **told}]} for number in range(MOST_BLOCKED)}
    State.of(shop).put_many(BLOCKINGS, words)
    with pytest.raises(BlockRefused, match=r"1000 items are blocked.*serving_rules\.toml"):
        block(shop, "one-more", by="ada", why="?", now=NOW)
