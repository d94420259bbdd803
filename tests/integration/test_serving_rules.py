"""Rules under a running API: blocked items are gone within a second and stay so; a wrong file changes nothing of what is served."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta

import pytest
from click.testing import CliRunner

from contracts import names
from contracts.errors import SettingInvalid
from contracts.settings import Settings
from jobs.blocking import remind_store
from jobs.cli import cli
from jobs.rollback import rollback
from tests.publishing import DAY, ITEMS, NOW, listed, live, publish_day, publish_new, reasons, redis_of
from tests.serving_process import Caller, running_api, wait_for

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

NEXT_DAY = DAY + timedelta(days=1)
ITEM = listed(7, DAY)[0]


@pytest.fixture
def api(shop: Settings) -> Iterator[Caller]:
    publish_new(shop, DAY)
    with running_api(shop) as caller:
        yield caller


def say(settings: Settings, item: str, *, is_blocked: bool) -> str:
    """What the command answers."""
    told = ["block" if is_blocked else "unblock", item, "--reason", "recalled", "--by", "ada"]
    result = CliRunner().invoke(cli, told, env={"FORETASTE_HOME": str(settings.home)})
    assert result.exit_code == 0, result.output
    return result.output


def shown(api: Caller, user: int, count: int = 10) -> list[str]:
    """Every item that an answer names, as a reason as well."""
    items = api.decide(f"u{user:04d}", count)["items"]
    return [item["item_id"] for item in items] + [
        each["item_id"] for item in items for each in item["reasons"]
    ]


def test_a_blocked_item_is_gone_within_a_second_from_lists_and_reasons(shop: Settings, api: Caller) -> None:
    because = reasons(7, DAY)[0]
    assert {ITEM, because} <= {*shown(api, 7)}
    begun = time.monotonic()
    say(shop, ITEM, is_blocked=True)
    say(shop, because, is_blocked=True)
    wait_for(lambda: not {ITEM, because} & {*shown(api, 7)}, 5)
    assert time.monotonic() - begun < 1
    decision = api.decide("u0007")
    assert [item["item_id"] for item in decision["items"]] == listed(7, DAY)[1:]
    assert (decision["rules_applied"], decision["is_short"]) == (["blocked"], True)
    assert "is unblocked since" in say(shop, ITEM, is_blocked=False)
    wait_for(lambda: ITEM in shown(api, 7), 5)
    assert "knows no such item: is the id right?" in say(shop, "i0031", is_blocked=True)


def test_blocked_items_stay_blocked_whatever_is_live_and_whatever_the_store_forgets(
    shop: Settings, api: Caller
) -> None:
    popular = ITEMS[-1]
    for item in (ITEM, popular):
        say(shop, item, is_blocked=True)
    is_gone = lambda: ITEM not in shown(api, 7) and popular not in shown(api, 9999)  # noqa: E731
    wait_for(is_gone, 5)

    def assert_still_gone(version: str) -> None:
        wait_for(lambda: api.decide("u0007")["version"] == version, 5)
        for _ in range(20):
            assert is_gone()

    publish_new(shop, NEXT_DAY)
    assert_still_gone("v0002")
    rollback(shop, None, NOW)
    assert_still_gone("v0001")
    store = redis_of(shop)
    store.delete(names.BLOCKED_KEY)  # as a store does that is restored from before
    assert_still_gone("v0001")
    remind_store(shop)
    assert popular.encode() in store.get(names.BLOCKED_KEY)


def test_a_process_that_starts_without_a_store_shows_no_blocked_item(shop: Settings) -> None:
    publish_new(shop, DAY)
    popular = ITEMS[-1]
    with running_api(shop) as api:
        assert shown(api, 9999, 1) == [popular]
        say(shop, popular, is_blocked=True)
        wait_for(lambda: shown(api, 9999, 1) == [ITEMS[-2]], 5)
        wait_for((shop.home / "serving" / "blocked").exists, 5)
    with running_api(shop, FORETASTE_REDIS_URL="redis://127.0.0.1:1/0") as api:
        decision = api.decide("u9999", count=1)
        assert (decision["source"], decision["rules_applied"]) == ("snapshot", ["blocked"])
        assert decision["items"][0]["item_id"] == ITEMS[-2]
        assert "foretaste_blocked_items 1.0" in api.ask("GET", "/metrics")[1].decode()


def test_a_version_with_other_rules_than_were_published_is_not_served(shop: Settings, api: Caller) -> None:
    publish_new(shop, NEXT_DAY)
    wait_for(lambda: api.decide("u0007")["version"] == "v0002", 5)
    store, pointer = redis_of(shop), live(shop)
    store.set(names.rules_key("v0002"), "{}")
    with running_api(shop) as another:
        assert (another.decide("u0007")["version"], another.decide("u0007")["source"]) == (
            "v0001",
            "previous",
        )
        assert "v0002: its rules are not those that were published" in another.health()["reasons"][0]
    assert live(shop) == pointer


def write_rules(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr("jobs.serving_rules.text_of", lambda name: text)


def test_a_wrong_file_refuses_the_publication_and_a_right_one_is_served(
    shop: Settings, api: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = live(shop)
    for wrong, message in (
        ('[[default.pins]]\nname = "hero"\nitem = "i999"\nposition = 1', "pin:hero places item 'i999'"),
        ('[[default.filters]]\nname = "f"\nhide = {brand = ["x"]}', r"(?s)default.filters.0.hide.brand.*not permitted"),
    ):  # fmt: skip
        write_rules(monkeypatch, wrong)
        with pytest.raises(SettingInvalid, match=message) as refusal:
            publish_new(shop, NEXT_DAY)
        assert "What is served stays served" in str(refusal.value)
        assert live(shop) == before
    write_rules(
        monkeypatch,
        f"""
        [[default.filters]]
        name = "not-now"
        hide = {{items = ["{ITEM}"]}}
        [[surfaces.home.pins]]
        name = "hero"
        item = "{ITEM}"
        position = 3
        """,
    )
    publish_day(shop, DAY)  # the same lists under other rules are another version
    wait_for(lambda: api.decide("u0007")["version"] == "v0002", 5)
    assert ITEM not in [item["item_id"] for item in api.decide("u0007", surface="cart")["items"]]
    assert api.decide("u0007", surface="cart")["rules_applied"] == ["filter:not-now"]
    home = api.decide("u0008")
    assert (home["items"][2]["item_id"], home["rules_applied"]) == (ITEM, ["pin:hero"])
    assert publish_day(shop, DAY)["why"] == "already published as v0002"
