"""What is kept can be rewritten without a user: every partition, every table, earlier revisions included."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from contracts import names
from contracts.consent import digest_of_user
from contracts.tables import FCT_INTERACTIONS, HISTORIES, TABLES
from jobs import without_user
from jobs.attribution import owed_event_days
from jobs.io.lake import Lake
from jobs.io.sample import own_file
from jobs.io.schemas import arrow_schema
from jobs.io.state import DENIALS, State
from jobs.io.warehouse import open_warehouse
from jobs.marts import refresh_marts
from jobs.runs import StepContext
from jobs.without_user import rewrite_without
from tests.shop import DAY, NEXT, THIRD, Shop, event

pytestmark = pytest.mark.contract


def rows(table: str, users: list[str]) -> pa.Table:
    schema = arrow_schema(TABLES[table])
    named = {"user_id": users, "event_id": [f"of {user}" for user in users], "event_date": [DAY] * len(users)}
    return pa.table({name: named.get(name, [None] * len(users)) for name in schema.names}, schema=schema)


def erase(shop: Shop, *user_ids: str) -> dict[str, object]:
    with State.of(shop.settings).lease("test", "erase", 60, is_last=True) as lease:
        return rewrite_without(user_ids, StepContext.of(shop.settings, lease))


def test_nothing_names_an_erased_user_any_more(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.deliver(DAY, [event(1, user_id="annabel"), event(2, user_id="bob"), event(3, user_id="cookie-7")])
    shop.deliver(DAY, [{"user_id": "annabel"}, {"user_id": "bob"}], "users.csv", "users")
    denied = {
        "user_id": "bob",
        "purpose": "personalization",
        "granted": "false",
        "at": "2011-03-01T00:00:00Z",
    }
    shop.deliver(
        DAY, [denied, {**denied, "user_id": "annabel", "granted": "true"}], "consents.csv", "consents"
    )
    linked = {"alias_id": "cookie-7", "user_id": "annabel", "linked_at": "2011-03-01T00:00:00Z"}
    shop.deliver(DAY, [linked], "links.csv", "identities")
    shop.land()
    shop.deliver(NEXT, [event(4, user_id="annabel")])  # late: a second revision, and a file of the first
    shop.land(NEXT)
    state = State.of(shop.settings)
    with state.lease("test", "build", 60, is_last=True) as lease, open_warehouse(shop.settings) as warehouse:
        lake = Lake.of(shop.settings, lease)
        lake.replace(
            names.FCT_INTERACTIONS, DAY, rows(names.FCT_INTERACTIONS, ["annabel", "bob"]), inputs="of the day"
        )
        folder = lake.staging(names.HISTORIES, DAY)
        for number, user in enumerate(("annabel", "bob")):
            pq.write_table(rows(names.HISTORIES, [user]), folder / f"{number}.parquet")
        lake.commit(names.HISTORIES, DAY, folder, num_rows=2, inputs="of the day")
        warehouse.execute("create schema marts")
        facts = rows(names.FCT_INTERACTIONS, ["annabel", "bob"])
        warehouse.replace("marts", FCT_INTERACTIONS, "event_date", [DAY], facts, lease)
        warehouse.execute("create view marts.dim_users as select user_id from marts.fct_interactions")
    own = own_file(shop.settings)
    own.parent.mkdir(parents=True, exist_ok=True)
    own.write_bytes(b"annabel's sample")
    refresh_marts(shop.settings)
    assert b"annabel" in held(shop)

    told = erase(shop, "annabel", "cookie-7")

    assert told["event_days"] == [str(DAY)]
    assert told["rows"] == {
        names.RAW_EVENTS: 3,
        names.RAW_USERS: 1,
        names.RAW_CONSENTS: 1,
        names.RAW_IDENTITIES: 1,
        names.FCT_INTERACTIONS: 1,
        names.HISTORIES: 1,
    }
    assert b"annabel" not in held(shop)
    assert b"cookie-7" not in held(shop)
    assert not own.exists()
    assert b"bob" in held(shop)
    lake = Lake.of(shop.settings)
    assert [path.exists() for path in lake.files(HISTORIES.name, [DAY])] == [True, True]
    assert lake.is_current(HISTORIES.name, DAY, "of the day")
    with open_warehouse(shop.settings) as warehouse:
        for table in ("raw.events", "raw.users", "raw.consents", "raw.identities", "marts.fct_interactions"):
            query = f"select count(*) as num_rows from {table} where user_id in ('annabel', 'cookie-7')"
            assert warehouse.read(query, {"num_rows": "bigint"}).column(0).to_pylist() == [0], table
        assert owed_event_days(warehouse, DAY) == {DAY}
    assert erase(shop, "annabel", "cookie-7")["rows"] == {}
    assert erase(shop, "bob")["rows"][names.WITHHELD_EVENTS] == 1  # type: ignore[index]


def test_an_erasure_that_was_cut_short_still_owes_its_event_days(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = Shop(tmp_path)
    shop.deliver(DAY, [event(0, user_id="annabel"), event(1, user_id="bob")])
    shop.land()
    with monkeypatch.context() as patch:
        patch.setattr(without_user, "_delete", lambda *arguments: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            erase(shop, "annabel")
    assert erase(shop, "annabel")["rows"] == {names.RAW_EVENTS: 1}
    with open_warehouse(shop.settings) as warehouse:
        assert owed_event_days(warehouse, DAY) == {DAY}


def word(user: str, granted: bool, at: str) -> dict[str, str]:
    return {"user_id": user, "purpose": "personalization", "granted": str(granted).lower(), "at": at}


def landed(shop: Shop) -> set[str]:
    lake = Lake.of(shop.settings)
    return {
        each
        for day in lake.days(names.RAW_EVENTS)
        for each in lake.read(names.RAW_EVENTS, day).column("event_id").to_pylist()
    }


def test_who_had_denied_is_not_used_after_the_erasure_until_consent_is_given_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = Shop(tmp_path)
    shop.deliver(DAY, [event(0, user_id="annabel"), event(1, user_id="bob"), event(2, user_id="carlotta")])
    words = [word("cookie-7", False, f"{DAY}T09:00:00Z"), word("carlotta", False, f"{DAY}T09:00:00Z")]
    words += [word("carlotta", True, f"{DAY}T09:30:00Z"), word("annabel", True, f"{DAY}T08:00:00Z")]
    shop.deliver(DAY, words, "consents.csv", "consents")
    linked = {"alias_id": "cookie-7", "user_id": "annabel", "linked_at": f"{DAY}T08:00:00Z"}
    shop.deliver(DAY, [linked], "links.csv", "identities")
    shop.land()
    assert landed(shop) == {"e1", "e2"}
    with monkeypatch.context() as patch:  # cut short once its words are gone
        patch.setattr(without_user, "_delete", lambda *arguments: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            erase(shop, "annabel", "cookie-7", "bob", "carlotta")
    erase(shop, "annabel", "cookie-7", "bob", "carlotta")
    state = State.of(shop.settings)
    said = {"said_at": f"{DAY}T09:00:00", "known_date": str(NEXT)}
    assert state.all(DENIALS) == {digest_of_user(each): said for each in ("annabel", "cookie-7")}
    assert b"annabel" not in held(shop) + str(state.all(DENIALS)).encode()

    # What comes of them now: of whoever had not denied it is used, and of the others only by a later word.
    acts = [("a1", "annabel"), ("c1", "cookie-7"), ("b1", "bob"), ("d1", "carlotta")]
    acts = [event(3, event_id=id_, user_id=user, occurred_at=f"{NEXT}T10:00:00Z") for id_, user in acts]
    shop.deliver(NEXT, acts)
    shop.deliver(NEXT, [word("annabel", True, f"{DAY}T08:00:00Z")], "consents.csv", "consents")  # of old
    shop.land(NEXT)
    assert landed(shop) == {"b1", "d1"}
    later = [("a2", "annabel", 10), ("a3", "annabel", 12), ("c3", "cookie-7", 12), ("p3", "phone", 12)]
    later = [
        event(4, event_id=id_, user_id=user, occurred_at=f"{THIRD}T{hour}:00:00Z")
        for id_, user, hour in later
    ]
    shop.deliver(THIRD, later)
    shop.deliver(THIRD, [word("annabel", True, f"{THIRD}T11:00:00Z")], "consents.csv", "consents")
    shop.deliver(THIRD, [{**linked, "alias_id": "phone"}], "links.csv", "identities")
    shop.land(THIRD)
    assert landed(shop) == {"b1", "d1", "a3", "p3"}  # cookie-7 is nobody's now, and has denied
    erase(shop, "annabel")
    assert set(state.all(DENIALS)) == {digest_of_user("cookie-7")}


def held(shop: Shop) -> bytes:
    """Every value of every file of lake and marts that is there, whatever a manifest says."""

    found = [
        str(pq.read_table(path, partitioning=None).to_pylist())
        for path in shop.settings.home.rglob("*.parquet")
    ]
    return "".join(found).encode()
