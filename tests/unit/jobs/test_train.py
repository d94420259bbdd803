"""Training takes as many people as it needs and no more, the same ones every time."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from jobs.ranking.world import World, each_index_of, index_of
from jobs.training.described import Described
from jobs.training.network_training import NetworkTraining
from jobs.training.networks import loss_of
from jobs.training.sequences import Sequences
from jobs.training.trainer import Trainer
from tests.tiny_world import DAY, tiny_world

SMALL = {
    "seed": 7, "threads": 1, "history_length": 6, "sasrec_max_users": 100, "sasrec_width": 8, "sasrec_blocks": 1,
    "sasrec_heads": 1, "sasrec_dropout": 0.0, "sasrec_epochs": 3, "sasrec_learning_rate": 1e-2, "sasrec_horizon": 1,
    "sasrec_item_words": False, "sasrec_inputs": "", "sasrec_loss": "auto", "train_device": "cpu", "train_processes": 1, "train_half_life_days": 0,
}  # fmt: skip


def trainer(most: int = 100, seed: int = 7) -> Trainer:
    return Trainer({"sasrec_max_users": most, "seed": seed, "threads": 1}, repeats_allowed=True)


@pytest.fixture
def taken() -> dict[str, np.ndarray]:
    return {f"u{number:03d}": np.array([f"i{number}"], dtype=object) for number in range(250)}


def test_of_many_people_a_sample_is_trained_on_and_of_few_everybody(taken: dict[str, np.ndarray]) -> None:
    sampled = trainer().sampled(taken)
    assert len(sampled) == 100
    assert all(taken[user] is items for user, items in sampled.items())
    assert trainer(most=250).sampled(taken) == taken


def test_the_sample_follows_from_the_seed_and_not_from_the_order(taken: dict[str, np.ndarray]) -> None:
    assert list(trainer().sampled(taken)) == list(trainer().sampled(dict(reversed(taken.items()))))
    assert list(trainer().sampled(taken)) != list(trainer(seed=8).sampled(taken))


def test_people_that_a_challenger_is_judged_by_keep_their_own_outcomes() -> None:
    users, targets = np.arange(50), [np.array([number]) for number in range(50)]
    kept, of_kept = trainer().sample(users, targets, 20)
    assert len(kept) == 20
    assert [int(items[0]) for items in of_kept] == kept.tolist() == sorted(kept.tolist())


def test_many_lists_are_looked_up_as_each_would_be() -> None:
    ids = np.array(["a", "c", "e"], dtype=object)
    lists = [np.array(values, dtype=object) for values in (["c", "b"], [], ["e", "a", "z"])]
    together = each_index_of(lists, ids)
    assert [found.tolist() for found in together] == [index_of(items, ids).tolist() for items in lists]
    assert each_index_of([], ids) == []


@pytest.fixture
def sequences() -> Sequences:
    """Ten people who took two things long ago and two others on the last day."""
    steps = [
        (user, f"i{(user + step) % 12}", DAY - timedelta(days=14 if step < 2 else 0))
        for user in range(10)
        for step in range(4)
    ]
    return Sequences(
        np.array([f"u{user}" for user in range(10)], dtype=object),
        np.array([user for user, _, _ in steps]),
        np.array([item for _, item, _ in steps], dtype=object),
        np.arange(len(steps), dtype=np.int32) % 3 + 1,
        np.array([day for _, _, day in steps], "datetime64[D]"),
    )


def test_an_item_counts_half_as_much_every_half_life(sequences: Sequences) -> None:
    users = list(sequences.between(None, DAY))
    weights = Trainer({"train_half_life_days": 7}, repeats_allowed=True).weights_by_age(users, sequences, DAY)
    assert weights is not None
    assert [weight.tolist() for weight in weights] == [[0.25, 0.25, 1, 1]] * 10
    earlier = Trainer({"train_half_life_days": 7}, repeats_allowed=True).weights_by_age(
        users, sequences, DAY - timedelta(days=7)
    )
    assert earlier is not None
    assert [weight.tolist() for weight in earlier] == [[0.5, 0.5]] * 10


def test_recent_items_weigh_more_in_the_transformer_where_they_are_to(sequences: Sequences) -> None:
    world = dataclasses.replace(tiny_world(), cutoff=DAY)
    states = {}
    for half_life in (0, 3, 3650):
        chosen = SMALL | {"train_half_life_days": half_life}
        fitted, _ = Trainer(chosen, repeats_allowed=True).fit_transformer(world, sequences)
        states[half_life] = np.concatenate([values.ravel() for values in fitted.sasrec.state().values()])
    # All weights together: the step of a single one that hardly matters is rounding, other on every processor.
    moved = {half_life: np.linalg.norm(state - states[0]) for half_life, state in states.items()}
    assert moved[3] > 5e-3
    assert moved[3650] < moved[3] / 10


def test_where_all_days_weigh_the_same_no_weights_are_handed_on(sequences: Sequences) -> None:
    assert (
        Trainer({"train_half_life_days": 0}, repeats_allowed=True).weights_by_age(["u1"], sequences, DAY)
        is None
    )


def test_without_a_wish_the_loss_is_the_one_that_so_many_items_can_afford() -> None:
    assert [loss_of("auto", num_items) for num_items in (5000, 5001)] == ["full", "sampled"]
    assert loss_of("gbce", 10) == "gbce"


@pytest.mark.parametrize("loss", ["full", "sampled", "gbce"])
def test_a_transformer_is_trained_with_the_loss_that_was_chosen(sequences: Sequences, loss: str) -> None:
    world = dataclasses.replace(tiny_world(), cutoff=DAY)
    curves = {
        chosen: Trainer(SMALL | {"sasrec_loss": chosen}, repeats_allowed=True)
        .fit_transformer(world, sequences)[1]
        .losses
        for chosen in ("auto", loss)
    }
    assert (curves[loss] == curves["auto"]) == (loss == "full")


def test_several_processes_train_where_they_are_asked_for_and_nobody_watches(
    sequences: Sequences, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, int]] = []

    def together(training: NetworkTraining, processes: int) -> Any:
        asked.append((training.network, processes))
        return training.run()

    monkeypatch.setattr("jobs.training.trainer.run_together", together)
    world = dataclasses.replace(tiny_world(), cutoff=DAY)
    for processes, watch in ((1, None), (3, None), (3, lambda number, ndcg: None)):
        chosen = SMALL | {"train_processes": processes, "sasrec_epochs": 1}
        Trainer(chosen, repeats_allowed=True).fit_transformer(world, sequences, watch=watch)
    assert asked == [("sasrec", 3)]


def catalogue_world(sequences: Sequences) -> World:
    """A catalogue of the items that people took, of one that is new, described like the first, and of one that is not described."""
    world = tiny_world()
    ids = ["a new one", *sorted(set(sequences.items_S.tolist())), "nameless"]
    titles = [f"{'red' if number % 2 else 'blue'} thing {number // 2}" for number in range(len(ids) - 2)]
    nothing = np.full(len(ids), "", dtype=object)
    return dataclasses.replace(
        world,
        cutoff=DAY,
        item_ids=np.array(ids, dtype=object),
        titles_N=np.array([titles[0], *titles, ""], dtype=object),
        item_words={"category": nothing, "brand": nothing},
    )


def test_a_transformer_that_learns_words_knows_new_items_that_have_some(sequences: Sequences) -> None:
    world = catalogue_world(sequences)
    by_ids, _ = Trainer(SMALL, repeats_allowed=True).fit_transformer(world, sequences)
    assert "a new one" not in by_ids.item_ids
    chosen = SMALL | {"sasrec_item_words": True, "sasrec_epochs": 30}
    by_words, curve = Trainer(chosen, repeats_allowed=True).fit_transformer(world, sequences)
    assert by_words.item_ids.tolist() == ["a new one", *by_ids.item_ids.tolist()]
    assert curve.losses[-1] < curve.losses[0]
    items_ND = by_words.sasrec.item_embeddings.detach().numpy()
    likeness_N = items_ND[1:] @ items_ND[0] / np.linalg.norm(items_ND[1:], axis=1)
    is_blue_N = [world.titles_N[place].startswith("blue") for place in range(1, 1 + len(likeness_N))]
    assert likeness_N[is_blue_N].min() > likeness_N[np.logical_not(is_blue_N)].max()


def test_an_item_that_has_left_the_catalogue_is_known_by_its_id_alone(sequences: Sequences) -> None:
    world = catalogue_world(sequences)
    described = Described.of(world, np.array(["gone", "i0"], dtype=object))
    assert np.diff(described.words_VT.indptr).tolist() == [0, 2]
    assert "a new one" in described.further_ids
    assert "nameless" not in described.further_ids
    assert described.further_MT.shape[0] == len(described.further_ids)
