"""Which versions may be served to whom: the rule, on words and links that one can follow in one's head."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest

from contracts.consent import ALWAYS, ANYBODY, NEVER, Word, digest_of_user, why_withheld
from contracts.identities import Link
from contracts.names import CONSENT_MARK
from jobs.served_consent import circles, readers_table, served_from, silence_denies_since, stricter

FIRST = date(2011, 3, 1)
NOON = datetime(2011, 3, 1, 12)
DAY = timedelta(days=1)

Told = list[tuple[int, str, bool, int]]  # known on which day, of whom, granted?, said at noon of which day


def served(
    words: Told, links: list[tuple[int, str, str]] | None = None, *, missing: bool = True
) -> dict[str, str]:
    told = [(FIRST + known * DAY, id_, Word(NOON + at * DAY, granted)) for known, id_, granted, at in words]
    linked = [
        (FIRST + known * DAY, Link(alias, user, NOON + known * DAY)) for known, alias, user in links or []
    ]
    found: dict[str, str] = {}
    for circle in circles(told, linked):
        found |= served_from(circle, missing=missing)
    return found


def day(number: int) -> str:
    return str(FIRST + number * DAY)


def test_whoever_has_withdrawn_is_served_nothing_under_any_id() -> None:
    words = [(1, "phone", False, 1), (1, "bob", True, 1)]
    assert served(words, [(0, "phone", "ann"), (3, "cookie", "phone")]) == {
        "ann": NEVER, "phone": NEVER, "cookie": NEVER, "bob": ALWAYS,
    }  # fmt: skip


@pytest.mark.parametrize("missing", [True, False])
def test_whoever_grants_again_is_served_by_every_version_that_knew_of_the_withdrawal_in_time(
    missing: bool,
) -> None:
    before = [] if missing else [(0, "ann", True, 0)]
    assert served([*before, (1, "ann", False, 1), (4, "ann", True, 4)], missing=missing) == {"ann": ALWAYS}
    # Known a day late: the version of the day before has used what happened after the withdrawal.
    late = [*before, (2, "ann", False, 1), (4, "ann", True, 4)]
    assert served(late, missing=missing) == {"ann": day(2)}
    both_late = [*before, (4, "ann", False, 1), (4, "ann", True, 3)]
    assert served(both_late, missing=missing) == {"ann": day(4)}
    assert served([*both_late, (6, "ann", True, 3)], missing=missing) == {"ann": day(4)}  # told twice


def test_words_and_links_that_only_give_withhold_nothing() -> None:
    words = [(0, "ann", True, 0), (5, "ann", True, 5), (5, "phone", True, 2)]
    links = [(3, "phone", "ann"), (4, "ann", "account")]
    expected = dict.fromkeys(("ann", "phone", "account"), ALWAYS)
    assert served(words, links, missing=False) == served(words, links) == expected


def test_an_alias_that_goes_to_somebody_without_consent_withholds_what_was_made_with_it() -> None:
    words = [(0, "bob", False, 0)]
    found = served(words, [(1, "phone", "ann"), (4, "phone", "bob")])
    assert found == {"ann": day(4), "phone": NEVER, "bob": NEVER}
    # Where silence denies, nothing but consent was ever used.
    opted_in = [(0, "ann", True, 0)]
    found = served(opted_in, [(1, "phone", "ann"), (4, "phone", "bob")], missing=False)
    assert found == {"ann": day(4), "phone": NEVER, "bob": NEVER}


def test_readers_are_told_of_those_alone_who_differ_from_anybody_and_by_no_name() -> None:
    words = [
        (FIRST, "ann", Word(NOON, is_granted=False)),
        (FIRST, "bob", Word(NOON, is_granted=True)),
    ]
    assert readers_table(circles(words, []), missing=True) == {ANYBODY: ALWAYS, digest_of_user("ann"): NEVER}
    table = readers_table(circles(words, []), missing=False, since=day(2))
    assert table == {ANYBODY: NEVER, digest_of_user("bob"): day(2)}


def test_of_two_tables_the_later_answer_counts_whatever_silence_means_in_either() -> None:
    granted = {ANYBODY: ALWAYS, "ann": NEVER, "bob": day(1)}
    denied = {ANYBODY: NEVER, "bob": day(2), "cid": day(3), CONSENT_MARK: "of both stores"}
    both = {ANYBODY: NEVER, "bob": day(2), "cid": day(3)}
    assert stricter(granted, denied) == stricter(denied, granted) == both
    assert stricter(granted, {}) == granted
    assert stricter({ANYBODY: ALWAYS, "cid": day(1)}, granted) == {**granted, "cid": day(1)}


def test_a_reader_is_told_why() -> None:
    assert why_withheld(None, None, day(0)) == why_withheld(None, ALWAYS, day(0)) == ""
    assert why_withheld(day(1), NEVER, day(1)) == why_withheld(day(1), ALWAYS, day(2)) == ""
    assert why_withheld(NEVER, ALWAYS, day(9)) == "consent was withdrawn"
    assert why_withheld(None, NEVER, day(9)) == "no consent was given"
    assert f"made before {day(1)}" in why_withheld(day(1), ALWAYS, day(0))


@pytest.mark.parametrize(
    ("meant", "day", "since"),
    [
        ({}, "2011-03-04", ALWAYS),
        ({"2011-03-01": False, "2011-03-02": False}, "2011-03-04", ALWAYS),
        ({"2011-03-01": True, "2011-03-03": False, "2011-03-04": False}, "2011-03-05", "2011-03-03"),
        ({"2011-03-01": True}, "2011-03-04", "2011-03-04"),
        ({"2011-03-01": True, "2011-03-10": True}, "2011-03-05", "2011-03-11"),  # a backlog lands
        ({"2011-03-01": True}, None, "2011-03-02"),
    ],
)
def test_no_version_that_was_made_of_silence_is_served_once_that_means_no(
    meant: dict[str, bool], day: str | None, since: str
) -> None:
    assert silence_denies_since(meant, date.fromisoformat(day) if day else None) == since
