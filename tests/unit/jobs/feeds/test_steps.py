"""Sequences without times are laid out over days."""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict

from jobs.feeds.steps import NUM_DAYS, days_of_steps


def laid_out(sequences: dict[int, list[int]]) -> list[tuple[str, int, int, int, str]]:
    users = array("i", [user for user, items in sequences.items() for _ in items])
    items = array("i", [item for items in sequences.values() for item in items])
    return [(str(day), *step) for day, steps in days_of_steps(users, items) for step in steps]


def test_every_event_stands_once_and_a_persons_events_stay_in_their_order() -> None:
    sequences = {3: [7, 5, 7, 9], 1: [5], 2: list(range(10, 260))}
    found = defaultdict(list)
    for _, place, user, item, occurred_at in laid_out(sequences):
        found[user].append((occurred_at, place, item))
    for user, items in sequences.items():
        told = found[user]
        assert [item for _, _, item in told] == items
        assert [place for _, place, _ in told] == list(range(1, len(items) + 1))
        assert len({occurred_at for occurred_at, _, _ in told}) == len(items)
        assert sorted(told) == told


def test_a_day_is_the_day_of_its_times() -> None:
    assert all(occurred_at.startswith(day) for day, *_, occurred_at in laid_out({1: list(range(1, 300))}))


def test_days_have_about_as_many_events_though_histories_are_equally_long() -> None:
    counts = Counter(day for day, *_ in laid_out({user: [1, 2, 3, 4, 5] for user in range(1, 2001)}))
    assert len(counts) == NUM_DAYS
    assert max(counts.values()) < 1.2 * min(counts.values())
