"""Events: what a network makes of their types and of the days between them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from contracts.tables import DEPTHS
from models.events import DAY, ITEM, NUM_TYPES, TYPE, events_of, items_of, with_items
from models.gaps import NUM_GAPS, gaps_between
from models.sasrec import SASRec, SASRecConfig
from models.sequence_model import pad
from models.training import TrainConfig, Validation, fit

ITEMS_ALONE = SASRecConfig(num_items=8, width=8, blocks=2, heads=2, dropout=0.1, max_length=6)
CONFIG = dataclasses.replace(ITEMS_ALONE, reads_gaps=True, reads_types=True)
HISTORY = events_of(np.array([3, 1, 4, 2]), np.array([1, 2, 3, 1]), np.array([10, 10, 12, 30]))


def model_of(config: SASRecConfig) -> SASRec:
    """As if it had learnt something of types and gaps."""
    model = SASRec(config, seed=1).eval()
    for seed, weight in enumerate([model.gaps_GD, model.types_TD]):
        if weight is not None:
            torch.nn.init.normal_(weight, generator=torch.Generator().manual_seed(seed))
    return model


def changed(column: int, place: int, value: int) -> np.ndarray:
    history = HISTORY.copy()
    history[place, column] = value
    return history


def test_gaps_are_of_few_sizes_that_double() -> None:
    days_BL = torch.tensor([[700, 700, 701, 704, 711, 726, 757, 820, 2000]])
    assert gaps_between(days_BL).tolist() == [[0, 1, 2, 3, 4, 5, 6, 7, 7]]
    assert gaps_between(days_BL).max() == NUM_GAPS - 1


def test_what_tables_call_depths_are_the_types() -> None:
    assert tuple(range(1, NUM_TYPES + 1)) == DEPTHS


def test_a_history_is_cut_and_given_other_items_whether_it_tells_of_events_or_not() -> None:
    items = HISTORY[:, ITEM]
    assert items_of(HISTORY).tolist() == items_of(items).tolist() == [3, 1, 4, 2]
    assert with_items(items, items + 1).tolist() == [4, 2, 5, 3]
    assert with_items(HISTORY, items + 1)[:, [TYPE, DAY]].tolist() == HISTORY[:, [TYPE, DAY]].tolist()
    assert items_of(with_items(HISTORY, items + 1)[1:]).tolist() == [2, 5, 3]


@pytest.mark.parametrize(
    ("reads", "column", "value"), [("reads_types", TYPE, 1), ("reads_gaps", DAY, 29)], ids=["type", "gap"]
)
def test_a_score_changes_with_what_is_read_and_with_nothing_else(reads: str, column: int, value: int) -> None:
    other = changed(column, 2, value)
    for name in ("reads_types", "reads_gaps"):
        config = dataclasses.replace(ITEMS_ALONE, **{name: True})
        before, after = model_of(config).score([HISTORY, other])
        assert (np.abs(after - before).max() > 0.01) == (name == reads)


@pytest.mark.parametrize("column", [ITEM, TYPE, DAY])
def test_a_later_event_changes_no_earlier_state(column: int) -> None:
    model = model_of(CONFIG)
    later = changed(column, 3, {ITEM: 5, TYPE: 2, DAY: 90}[column])
    history_BL3, _ = pad([HISTORY, later], CONFIG)
    before_LD, after_LD = model(history_BL3)
    torch.testing.assert_close(after_LD[:3], before_LD[:3], rtol=0, atol=0)
    assert (after_LD[3] - before_LD[3]).abs().max() > 0.01


def test_a_state_is_the_same_whatever_day_it_is_asked_on() -> None:
    """Only days between events count: who does nothing keeps the state."""
    earlier = HISTORY.copy()
    earlier[:, DAY] -= 5
    states_UD = model_of(CONFIG).encode([HISTORY, earlier])
    np.testing.assert_array_equal(states_UD[0], states_UD[1])


def test_a_state_is_the_same_bytes_whatever_histories_it_is_encoded_with(rng: np.random.Generator) -> None:
    model = model_of(CONFIG)
    histories = [
        events_of(rng.integers(0, 8, n), rng.integers(1, 4, n), np.sort(rng.integers(0, 90, n)))
        for n in rng.integers(0, 10, 70)
    ]
    together_UD = model.encode(histories)
    some = rng.permutation(70)[:31]
    np.testing.assert_array_equal(model.encode([histories[user] for user in some]), together_UD[some])


def test_it_begins_as_the_model_of_items_alone() -> None:
    """The same weights from the same seed; what it reads besides has no say yet."""
    plain, told = SASRec(ITEMS_ALONE, seed=4), SASRec(CONFIG, seed=4)
    state = told.state()
    assert not state.pop("gaps_GD").any()
    assert not state.pop("types_TD").any()
    assert {name: each.tobytes() for name, each in state.items()} == {
        name: each.tobytes() for name, each in plain.state().items()
    }
    np.testing.assert_allclose(told.score([HISTORY]), plain.score([items_of(HISTORY)]), rtol=0, atol=1e-6)


@pytest.mark.parametrize("column", [TYPE, DAY], ids=["type", "gap"])
def test_it_learns_what_types_or_gaps_alone_tell(column: int) -> None:
    """After 0 and 1 comes 6 where 1 was bought, or came after a week; 7 else."""
    six = events_of(np.array([0, 1, 6]), np.ones(3), np.array([5, 5, 30]))
    seven = with_items(six, np.array([0, 1, 7]))
    six[1, column] = {TYPE: 3, DAY: 20}[column]
    model = SASRec(dataclasses.replace(CONFIG, dropout=0.0), seed=1)
    validation = Validation([six[:2], seven[:2]], [{6}, {7}], is_seen_excluded=True)
    config = TrainConfig(10, batch_size=4, learning_rate=2e-2, warmup_steps=5, averaging=0.5, patience=10)
    epochs = list(fit(model, [six, seven] * 16, config, validation))
    assert epochs[-1].ndcg_at_10 == 1.0
    assert (6 + model.score(validation.histories)[:, 6:].argmax(axis=1)).tolist() == [6, 7]


def test_further_items_and_another_order_leave_what_is_read_beside_them(rng: np.random.Generator) -> None:
    model = model_of(CONFIG)
    turned = model.in_order(np.arange(8)[::-1])
    scores_N, turned_N = (
        model.score([HISTORY])[0],
        turned.score([with_items(HISTORY, 7 - HISTORY[:, ITEM])])[0],
    )
    np.testing.assert_allclose(turned_N[::-1], scores_N, rtol=0, atol=1e-6)


@pytest.mark.parametrize("wrong", [0, 4])
def test_a_type_that_is_none_is_refused_by_name(wrong: int) -> None:
    with pytest.raises(ValueError, match=rf"{wrong} is no type of event; there are 1 … 3"):
        model_of(CONFIG).score([HISTORY, changed(TYPE, 1, wrong)])


def test_a_model_is_given_what_it_reads() -> None:
    with pytest.raises(ValueError, match="the model reads events, and is given items"):
        model_of(CONFIG).score([items_of(HISTORY)])
    with pytest.raises(ValueError, match="the model reads items alone, and is given events"):
        model_of(ITEMS_ALONE).score([HISTORY])


def test_a_state_from_before_there_were_events_is_one_of_items_alone() -> None:
    plain = SASRec(ITEMS_ALONE, seed=4)
    with pytest.raises(ValueError, match="gaps_GD, types_TD"):
        SASRec.from_state(CONFIG, plain.state())
