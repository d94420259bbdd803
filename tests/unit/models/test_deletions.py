"""Deleting an item from a history is computed in bulk, and is what reading the history without it gives."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix

from models.covisitation import CoVisitation
from models.deletions import deletable, last_events
from models.events import events_of, items_of
from models.sasrec import SASRec, SASRecConfig
from models.tails import encode_without

NUM_ITEMS, T = 9, 4
#: Of every length about T, with items that come again, at the end of a tail and at its beginning.
HISTORIES = [
    np.array(items)
    for items in ([], [3], [3, 3], [1, 2], [4, 1, 1], [5, 6, 5, 7], [0, 1, 2, 3, 4, 5, 6], [2, 8, 3, 8, 1, 8])
]


def without(history: np.ndarray, item: int) -> np.ndarray:
    recent = np.arange(len(history)) >= len(history) - T
    return history[~(recent & (items_of(history) == item))]


@pytest.mark.parametrize(("blocks", "reads_events"), [(1, False), (3, False), (2, True)])
def test_a_state_without_an_item_is_the_state_of_the_history_without_it(
    blocks: int, reads_events: bool
) -> None:
    """Of events, the gap before the one after it is then as long as both together."""
    config = SASRecConfig(
        num_items=NUM_ITEMS, width=8, blocks=blocks, heads=2, max_length=12,
        reads_gaps=reads_events, reads_types=reads_events,
    )  # fmt: skip
    model = SASRec(config, seed=3)
    histories = HISTORIES
    if reads_events:
        rng = np.random.default_rng(4)
        torch.nn.init.normal_(model.gaps_GD, generator=torch.Generator().manual_seed(1))
        torch.nn.init.normal_(model.types_TD, generator=torch.Generator().manual_seed(2))
        histories = [
            events_of(items, rng.integers(1, 4, len(items)), np.cumsum(rng.integers(0, 20, len(items))))
            for items in HISTORIES
        ]
    states_UD, without_UTD = encode_without(model, histories, T)
    np.testing.assert_allclose(states_UD, model.encode(histories), atol=1e-5)
    deleted_UT = deletable(last_events(histories, T))
    for history, state_D, without_TD, deleted_T in zip(
        histories, states_UD, without_UTD, deleted_UT, strict=True
    ):
        for item, found_D in zip(deleted_T.tolist(), without_TD, strict=True):
            expected_D = state_D if item < 0 else model.encode([without(history, item)])[0]
            np.testing.assert_allclose(found_D, expected_D, atol=1e-5)


@pytest.mark.parametrize("width", [16, 24])
def test_a_state_without_an_item_is_the_same_bytes_whatever_histories_it_comes_with(width: int) -> None:
    model = SASRec(SASRecConfig(num_items=20, width=width, blocks=2, heads=2, max_length=50), seed=1)
    rng = np.random.default_rng(2)
    histories = [rng.integers(0, 20, size=length) for length in rng.integers(0, 60, size=40)]
    together = encode_without(model, histories, T)
    for some in (rng.permutation(40)[:21], [3], [4]):
        alone = encode_without(model, [histories[user] for user in some], T)
        for whole, part in zip(together, alone, strict=True):
            np.testing.assert_array_equal(whole[some], part)


def test_each_of_the_last_items_is_deleted_once_at_its_oldest_event() -> None:
    events_BT = last_events([np.array([9, 5, 6, 5, 7]), np.array([2]), np.array([4, 4])], T)
    assert events_BT.tolist() == [[7, 5, 6, 5], [2, -1, -1, -1], [4, 4, -1, -1]]
    assert deletable(events_BT).tolist() == [[7, -1, 6, 5], [2, -1, -1, -1], [-1, 4, -1, -1]]


@pytest.mark.parametrize("num_recent", [2, 3, 20])
def test_co_visitation_without_an_item_is_that_of_the_history_without_it(num_recent: int) -> None:
    rng = np.random.default_rng(1)
    model = CoVisitation(num_recent).fit(csr_matrix(rng.integers(0, 3, (NUM_ITEMS, NUM_ITEMS))))
    deleted_UT = deletable(last_events(HISTORIES, T))
    items_UM = rng.integers(0, NUM_ITEMS, (len(HISTORIES), 5))
    found_UTM = model.score_without(HISTORIES, deleted_UT, items_UM)
    for history, deleted_T, items_M, found_TM in zip(HISTORIES, deleted_UT, items_UM, found_UTM, strict=True):
        for item, found_M in zip(deleted_T.tolist(), found_TM, strict=True):
            np.testing.assert_allclose(found_M, model.score([without(history, item)])[0, items_M], rtol=1e-5)
