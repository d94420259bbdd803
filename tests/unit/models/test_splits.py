"""Protocols, by hand: what may be learnt from, what is asked, and that nothing later is known."""

from __future__ import annotations

import numpy as np
import pytest

from models.events import events_of, items_of
from models.splits import by_user, exclude_seen, in_time, leave_one_out, sequences_of

USERS = np.array([1, 0, 1, 0, 1, 0, 1])
ITEMS = np.array([5, 6, 7, 8, 5, 9, 6])
TIMES = np.array([30, 10, 20, 10, 40, 50, 60])


def lists(sequences):
    return [sequence.tolist() for sequence in sequences]


def test_sequences_follow_time_and_the_file_where_times_are_equal():
    assert lists(sequences_of(USERS, ITEMS, TIMES)) == [[6, 8, 9], [7, 5, 5, 6]]
    assert lists(sequences_of(USERS, ITEMS)) == [[6, 8, 9], [5, 7, 5, 6]]
    assert sequences_of(USERS[:0], ITEMS[:0]) == []


def test_the_last_item_is_the_test_and_the_one_before_it_validation():
    split = leave_one_out([[1, 2, 3, 4], [5, 6], [7, 8, 9]])
    assert lists(split.fit) == [[1, 2], [5, 6], [7]]
    assert lists(split.validation.histories) == [[1, 2], [7]]
    assert split.validation.targets == [(3,), (8,)]
    assert lists(split.refit) == [[1, 2, 3], [5, 6], [7, 8]]
    assert lists(split.test.histories) == [[1, 2, 3], [7, 8]]
    assert split.test.targets == [(4,), (9,)]
    assert split.test.users_Q.tolist() == [0, 2]


def test_people_who_are_asked_by_user_are_not_learnt_from(rng):
    sequences = [[user, 100 + user] for user in range(20)] + [[20]]
    split = by_user(sequences, 0.2, rng)
    learnt, tuned, asked = (
        {each[0] for each in part} for part in (split.fit, split.validation.histories, split.test.histories)
    )
    assert not (learnt & (tuned | asked))
    assert not (tuned & asked)
    assert {each[0] for each in split.refit} - {20} == (learnt | tuned) - {20}
    assert len(split.test) + len(split.validation) in (
        7,
        8,
    )  # who has one item only has nothing to be asked by
    assert all(
        target == 100 + history[0]
        for history, target in zip(split.test.histories, split.test.targets_Q, strict=True)
    )
    assert lists(by_user(sequences, 0.2, np.random.default_rng(7)).fit) != lists(
        by_user(sequences, 0.2, np.random.default_rng(8)).fit
    )


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_a_share_that_leaves_nobody_is_refused(rng, share):
    with pytest.raises(ValueError, match="leaves nobody"):
        by_user([[1, 2]] * 4, share, rng)


def test_every_later_event_is_asked_for_with_all_that_came_before_it():
    split = in_time(USERS, ITEMS, TIMES, 30, 50, repeats_allowed=True)
    assert lists(split.fit) == [[6, 8], [7]]
    # Item 5 is first taken at 30: before, no model can know it.
    assert lists(split.validation.histories) == []
    assert lists(split.refit) == [[6, 8], [7, 5, 5]]
    assert lists(split.test.histories) == [[7, 5, 5]]
    assert split.test.targets == [(6,)]
    assert split.test.users_Q.tolist() == [1]


@pytest.mark.parametrize("repeats_allowed", [True, False])
def test_events_are_split_and_asked_for_as_their_items_are(repeats_allowed):
    events = events_of(ITEMS, 1 + ITEMS % 3, TIMES)
    told, plain = (
        in_time(USERS, each, TIMES, 20, 40, repeats_allowed=repeats_allowed) for each in (events, ITEMS)
    )
    for of_events, of_items in ((told.fit, plain.fit), (told.refit, plain.refit)):
        assert lists(map(items_of, of_events)) == lists(of_items)
    for of_events, of_items in ((told.validation, plain.validation), (told.test, plain.test)):
        assert lists(map(items_of, of_events.histories)) == lists(of_items.histories)
        assert of_events.targets == of_items.targets
    assert told.test.histories[-1].tolist() == [[7, 2, 20], [5, 3, 30], [5, 3, 40]]


def test_an_answer_that_is_excluded_as_seen_is_not_asked_for():
    asked = {}
    for repeats_allowed in (True, False):
        split = in_time(USERS, ITEMS, TIMES, 20, 40, repeats_allowed=repeats_allowed)
        asked[repeats_allowed] = list(
            zip(lists(split.test.histories), split.test.targets_Q.tolist(), strict=True)
        )
    assert asked == {True: [([7, 5], 5), ([7, 5, 5], 6)], False: [([7, 5, 5], 6)]}


def test_nobody_is_asked_for_a_first_item():
    users, items, times = np.append(USERS, 2), np.append(ITEMS, 6), np.append(TIMES, 55)
    split = in_time(users, items, times, 30, 50, repeats_allowed=True)
    assert split.test.users_Q.tolist() == [1]


def test_whoever_has_one_item_alone_is_asked_nothing(rng):
    assert lists(by_user([[1], [2], [3], [4]], 0.25, rng).test.histories) == []


def test_moments_have_to_come_in_order():
    with pytest.raises(ValueError, match="come first"):
        in_time(USERS, ITEMS, TIMES, 50, 50, repeats_allowed=True)


def test_what_was_taken_is_excluded_from_its_own_row_alone():
    scores_QN = np.zeros((3, 4), np.float32)
    exclude_seen(scores_QN, [np.array([1, 1]), np.array([], np.int64), np.array([0, 3])])
    assert np.argwhere(scores_QN == -np.inf).tolist() == [[0, 1], [2, 0], [2, 3]]
