"""A transformer that reads types and gaps is told the same of a history wherever it reads it: learning, ranking, explaining."""

from __future__ import annotations

import dataclasses
from datetime import timedelta

import numpy as np
import pytest

from jobs.ranking.next_item import NextItemModel
from jobs.ranking.proposer import Proposer
from jobs.ranking.reasons import EXPLAINED_EVENTS
from jobs.ranking.score_model import ScoreModel
from jobs.ranking.states import States, brought_up_to_date
from jobs.ranking.world import Deeds, World, index_of
from jobs.score import rank_everyone
from jobs.training.overfitting import Gap
from jobs.training.sequences import Sequences
from jobs.training.trainer import Trainer
from models.events import DAY as DAY_OF
from models.events import TYPE, items_of, known_of
from models.sasrec import SASRec
from tests.tiny_world import DAY, NUM_ITEMS, NUM_USERS, tiny_blend, tiny_model, tiny_world

OPTIONS = {"length": 12, "num_candidates": 10, "repeats_allowed": True}
SMALL = {
    "seed": 7, "threads": 1, "history_length": 6, "sasrec_max_users": 1000, "sasrec_width": 8, "sasrec_blocks": 1,
    "sasrec_heads": 1, "sasrec_dropout": 0.0, "sasrec_epochs": 2, "sasrec_learning_rate": 1e-2, "sasrec_horizon": 1,
    "sasrec_item_words": False, "sasrec_loss": "auto", "train_device": "cpu", "train_processes": 1, "train_half_life_days": 0,
}  # fmt: skip


@pytest.fixture(scope="module")
def world() -> World:
    return tiny_world()


@pytest.fixture(scope="module")
def model(world: World) -> NextItemModel:
    return tiny_model(world, reads_events=True)


@pytest.fixture(scope="module")
def blend(world: World) -> ScoreModel:
    found = tiny_blend(world, reads_events=True)
    return ScoreModel(found.item_ids, found.recommenders, found.weights | {"sasrec": 3.0})


def in_other_steps(world: World, histories: list[np.ndarray], **changes: list[np.ndarray]) -> World:
    """The world with these steps of each user: items, and how far each went and how long ago it was."""
    ends = np.cumsum([len(items) for items in histories])
    told = {name: np.concatenate(values) for name, values in changes.items()}
    return dataclasses.replace(world, histories=histories, steps=Deeds(np.append(0, ends[:-1]), **told))


def without(world: World, user: int, item: int) -> World:
    """The world in which the user's last events on an item have never happened."""
    kept = [np.ones(len(history), bool) for history in world.histories]
    is_recent = np.arange(len(kept[user])) >= len(kept[user]) - EXPLAINED_EVENTS
    kept[user] &= ~(is_recent & (world.histories[user] == item))
    ends = [
        begin + len(history) for begin, history in zip(world.steps.starts_U, world.histories, strict=True)
    ]
    parts = [slice(begin, end) for begin, end in zip(world.steps.starts_U, ends, strict=True)]
    return in_other_steps(
        world,
        [history[is_kept] for history, is_kept in zip(world.histories, kept, strict=True)],
        depths_D=[world.steps.depths_D[part][is_kept] for part, is_kept in zip(parts, kept, strict=True)],
        days_ago_D=[world.steps.days_ago_D[part][is_kept] for part, is_kept in zip(parts, kept, strict=True)],
    )


def changed(world: World, **changes: np.ndarray) -> World:
    return dataclasses.replace(world, steps=dataclasses.replace(world.steps, **changes))


@pytest.mark.parametrize("kind", ["model", "blend"])
def test_lists_change_with_the_type_of_an_event_and_with_the_gap_before_it(
    world: World, kind: str, request: pytest.FixtureRequest
) -> None:
    reads, plain = request.getfixturevalue(kind), {"model": tiny_model, "blend": tiny_blend}[kind](world)
    begin = int(world.steps.starts_U[5])
    depths_D, days_ago_D = world.steps.depths_D.copy(), world.steps.days_ago_D.copy()
    depths_D[begin + 4] = depths_D[begin + 4] % 3 + 1
    days_ago_D[begin : begin + 2] += 200
    for other in (changed(world, depths_D=depths_D), changed(world, days_ago_D=days_ago_D)):
        before, after = (rank_everyone(each, reads, **OPTIONS).to_pylist() for each in (world, other))
        assert [user for user in range(NUM_USERS) if before[user] != after[user]] == [5]
        assert rank_everyone(other, plain, **OPTIONS) == rank_everyone(world, plain, **OPTIONS)


def test_whoever_does_nothing_keeps_the_state_when_a_day_has_passed(
    world: World, model: NextItemModel
) -> None:
    """And gets the list that reading the history again would give."""
    kept, encoded = brought_up_to_date(States.none(), model.histories(world), model.encode)
    assert encoded == NUM_USERS - 1  # two histories without an item that the model knows are one
    tomorrow = changed(world, days_ago_D=world.steps.days_ago_D + 1)
    tomorrow = dataclasses.replace(tomorrow, cutoff=DAY + timedelta(days=1))
    depths_D = tomorrow.steps.depths_D.copy()
    begin = tomorrow.steps.starts_U[7]
    depths_D[begin] = depths_D[begin] % 3 + 1  # told late
    for later, num_changed in ((tomorrow, 0), (changed(tomorrow, depths_D=depths_D), 1)):
        states, encoded = brought_up_to_date(kept, model.histories(later), model.encode)
        assert encoded == num_changed
        assert rank_everyone(later, model, states=states, **OPTIONS) == rank_everyone(later, model, **OPTIONS)


def test_a_state_without_an_item_is_that_of_the_history_as_if_it_had_never_been(
    world: World, model: NextItemModel
) -> None:
    proposer = Proposer(model.sasrec, model.item_ids, world, num_events=EXPLAINED_EVENTS, **OPTIONS)
    (candidates,) = proposer.propose(np.arange(NUM_USERS))
    assert candidates.deleted is not None
    checked = 0
    for user, (items_T, without_TD) in enumerate(
        zip(candidates.deleted.items_BT.tolist(), candidates.deleted.without_BTD, strict=True)
    ):
        for item, found_D in zip(items_T, without_TD, strict=True):
            if item >= 0:
                shorter = model.histories(without(world, user, item))[user]
                np.testing.assert_allclose(found_D, model.sasrec.encode([shorter])[0], rtol=0, atol=1e-5)
                checked += 1
    assert checked > 40


def test_a_sum_of_scores_falls_as_far_as_it_would_without_the_events(world: World, blend: ScoreModel) -> None:
    ranking = blend.ranking(world, length=5, num_candidates=3, repeats_allowed=True, num_explained=1)
    for user in (3, 6):
        told = ranking.explain(user, 9)
        for item, fall in told.falls:
            other = blend.ranking(
                without(world, user, item), length=5, num_candidates=3, repeats_allowed=True
            )
            assert told.score - other.explain(user, 9).score == pytest.approx(fall, abs=1e-5)


def training_set(world: World) -> Sequences:
    """What the world's people did, as a training set of its day tells it."""
    lengths = [len(history) for history in world.histories]
    ages = world.steps.days_ago_D.astype("timedelta64[D]")
    return Sequences(
        world.user_ids,
        np.repeat(np.arange(NUM_USERS), lengths),
        world.item_ids[np.concatenate(world.histories)],
        world.steps.depths_D,
        np.datetime64(DAY) - ages,
    )


@pytest.mark.parametrize(
    ("inputs", "learnt"),
    [("", set()), ("gaps", {"gaps_GD"}), ("gaps, types", {"gaps_GD", "types_TD"})],
)
def test_a_transformer_learns_from_what_it_is_set_to_read(
    world: World, inputs: str, learnt: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It learns from the very events that it will rank by."""
    read = []
    score = SASRec.score
    monkeypatch.setattr(
        SASRec, "score", lambda self, histories: read.append(histories) or score(self, histories)
    )
    sequences, wanted = training_set(world), {user: np.array(["item-09"]) for user in world.user_ids}
    trainer = Trainer(SMALL | {"sasrec_inputs": inputs}, repeats_allowed=False)
    fitted, curve = trainer.fit_transformer(world, sequences, validate_on=wanted)
    assert isinstance(curve.gap, Gap)
    state = fitted.sasrec.state()
    assert {name for name in ("gaps_GD", "types_TD") if name in state and state[name].any()} == learnt
    to_vocabulary_N = index_of(world.item_ids, fitted.item_ids)
    ranked_by = [
        known_of(world.events(user) if learnt else world.histories[user], to_vocabulary_N).tolist()
        for user in range(NUM_USERS)
        if len(world.histories[user]) and 9 not in world.histories[user]
    ]
    assert [history.tolist() for history in read[0]] == ranked_by


def test_what_left_the_catalogue_widens_the_gap_before_what_came_after_it(world: World) -> None:
    events = world.events(8)
    to_vocabulary_N = np.arange(NUM_ITEMS)
    to_vocabulary_N[events[2, 0]] = -1
    known = known_of(events, to_vocabulary_N)
    assert items_of(known).tolist() == np.delete(world.histories[8], 2).tolist()
    np.testing.assert_array_equal(known[:, [TYPE, DAY_OF]], np.delete(events, 2, axis=0)[:, [TYPE, DAY_OF]])
