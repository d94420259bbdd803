"""A model that knows its people by heart and nothing else is refused; one that has learnt what they like is not."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

import numpy as np
import pytest

from jobs.judge import Verdict
from jobs.training.overfitting import Gap, measure_gap, overfitting_reasons
from jobs.training.sequences import Sequences
from jobs.training.trainer import Trainer
from models.sasrec import SASRec, SASRecConfig
from models.training import TrainConfig, fit
from tests.tiny_world import DAY, tiny_world

NUM_ITEMS = 60
SMALL = {
    "seed": 7, "threads": 1, "history_length": 6, "sasrec_max_users": 100, "sasrec_width": 8, "sasrec_blocks": 1,
    "sasrec_heads": 1, "sasrec_dropout": 0.0, "sasrec_epochs": 3, "sasrec_learning_rate": 1e-2, "sasrec_horizon": 1,
    "sasrec_item_words": False, "sasrec_inputs": "", "sasrec_loss": "auto", "train_device": "cpu", "train_processes": 1, "train_half_life_days": 0,
}  # fmt: skip


class Rote:
    """Knows what follows the last item of each history that it was given, and nothing else."""

    def __init__(self, following: dict[int, int]) -> None:
        self.following = following

    def score(self, histories: list[np.ndarray]) -> np.ndarray:
        scores_UN = np.zeros((len(histories), NUM_ITEMS), np.float32)
        for scores_N, history in zip(scores_UN, histories, strict=True):
            scores_N[self.following.get(int(history[-1]), 0)] = 1
        return scores_UN


def by_rote(histories: list[np.ndarray]) -> Rote:
    return Rote({int(left): int(right) for history in histories for left, right in pairwise(history)})


def people(num_users: int, rng: np.random.Generator) -> tuple[list[np.ndarray], list[set[int]]]:
    """Histories without rhyme or reason, in which what is taken next has nothing to do with what came before."""
    histories = [rng.permutation(NUM_ITEMS)[:6] for _ in range(num_users)]
    return histories, [{int(item)} for item in rng.integers(0, NUM_ITEMS, num_users)]


def test_a_model_that_has_memorised_a_tiny_shop_is_refused(rng: np.random.Generator) -> None:
    histories, wanted = people(32, rng)
    model = SASRec(SASRecConfig(NUM_ITEMS, width=32, blocks=1, heads=1, dropout=0.0, max_length=6), seed=1)
    for _ in fit(model, histories, TrainConfig(epochs=40, learning_rate=2e-2, averaging=0.0, warmup_steps=1)):
        pass
    gap = measure_gap(model, np.ones(NUM_ITEMS), histories, wanted, repeats_allowed=True)
    assert gap is not None
    assert gap.trained > 0.9
    assert gap.validation < 0.1
    (reason,) = overfitting_reasons(gap)
    assert "overfitting" in reason
    assert f"{gap.num_users} users" in reason


def test_a_model_that_has_learnt_how_people_go_on_is_not_refused() -> None:
    histories = [(start + np.arange(6)) % NUM_ITEMS for start in range(NUM_ITEMS)]
    wanted = [{int(history[-1] + 1) % NUM_ITEMS} for history in histories]
    gap = measure_gap(by_rote(histories), np.ones(NUM_ITEMS), histories, wanted, repeats_allowed=True)
    assert gap is not None
    assert (gap.trained, gap.validation, gap.kept) == (1, 1, 1)
    assert overfitting_reasons(gap) == ()


def test_what_a_shift_of_taste_takes_from_everybody_is_not_held_against_a_model() -> None:
    """Everybody took the first ten items and from now on takes the others; one in twenty goes on as before."""
    histories = [np.arange(6) + user % 5 for user in range(400)]
    wanted = [{user % 5 + 6} if user % 20 == 0 else {50} for user in range(400)]
    popularity_N = np.where(np.arange(NUM_ITEMS) < 11, 100.0 + np.arange(NUM_ITEMS), 0)
    gap = measure_gap(by_rote(histories), popularity_N, histories, wanted, repeats_allowed=True)
    assert gap is not None
    assert gap.kept == pytest.approx(0.05)
    assert gap.popularity_kept < 0.1
    assert overfitting_reasons(gap) == ()
    steady_N = np.where(
        np.isin(np.arange(NUM_ITEMS), [5, 6, 7, 8, 9, 50]), 1.0, 0
    )  # what is popular stays so
    steady = measure_gap(by_rote(histories), steady_N, histories, wanted, repeats_allowed=True)
    assert steady is not None
    assert len(overfitting_reasons(steady)) == 1


def test_of_few_people_nothing_is_said(rng: np.random.Generator) -> None:
    """One of four took what the model would have named: that may be one of ten, and may be one of two."""
    histories, _ = people(4, rng)
    rote = by_rote(histories)
    wanted = [
        {rote.following.get(int(history[-1]), 0) if user == 0 else 59}
        for user, history in enumerate(histories)
    ]
    gap = measure_gap(rote, np.ones(NUM_ITEMS), histories, wanted, repeats_allowed=True)
    assert gap is not None
    assert gap.beyond_low < 0 <= gap.beyond_high
    assert overfitting_reasons(gap) == ()
    assert overfitting_reasons(None) == ()


def test_as_much_is_asked_of_what_was_seen_as_of_what_follows() -> None:
    asked: list[list[list[int]]] = []

    class Listener(Rote):
        def score(self, histories: list[np.ndarray]) -> np.ndarray:
            asked.append([history.tolist() for history in histories])
            return super().score(histories)

    histories = [np.array([1, 2, 3, 4, 5]), np.array([1, 2, 3, 4]), np.array([7]), np.array([8, 9, 8])]
    wanted = [{10, 11}, {10, 11, 12, 13, 14}, {10}, {11}]
    gap = measure_gap(Listener({}), np.ones(NUM_ITEMS), histories, wanted, repeats_allowed=False)
    shorter, whole = ({tuple(history) for history in histories} for histories in asked)
    assert shorter == {
        (1, 2, 3),
        (1, 2),
    }  # nothing is left of one, and the last has only taken again what it had
    assert whole == {(1, 2, 3, 4, 5), (1, 2, 3, 4)}
    assert gap is not None
    assert gap.num_users == 2
    assert (
        measure_gap(Listener({}), np.ones(NUM_ITEMS), histories[2:3], wanted[2:3], repeats_allowed=True)
        is None
    )


def test_a_gap_refuses_a_challenger_that_was_judged_worthy() -> None:
    worthy = Verdict(True, ("first model: above recent popularity",), {})
    assert worthy.refused_for(()) == worthy
    refused = worthy.refused_for(("overfitting: by heart",))
    assert not refused.is_promoted
    assert refused.reasons == ("overfitting: by heart", "first model: above recent popularity")


def test_training_with_validation_tells_the_gap_at_its_best_epoch() -> None:
    steps = [(user, f"item-{(user + step) % 12:02d}", step) for user in range(10) for step in range(5)]
    sequences = Sequences(
        np.array([f"u{user}" for user in range(10)], dtype=object),
        np.array([user for user, _, _ in steps]),
        np.array([item for _, item, _ in steps], dtype=object),
        np.ones(len(steps), np.int32),
        np.array([DAY + timedelta(days=step - 3) for _, _, step in steps], "datetime64[D]"),
    )
    trainer, world, seen = Trainer(SMALL, repeats_allowed=True), tiny_world(), list[tuple[int, float]]()
    after = sequences.between(DAY, DAY + timedelta(days=1))
    _, curve = trainer.fit_transformer(
        world, sequences, validate_on=after, watch=lambda number, ndcg: seen.append((number, ndcg))
    )
    assert isinstance(curve.gap, Gap)
    assert curve.gap.validation == pytest.approx(max(curve.ndcg))  # of the same users, at the best epoch
    assert curve.gap.popularity_trained > 0
    assert seen == list(enumerate(curve.ndcg, start=1))
    _, without = trainer.fit_transformer(world, sequences)
    assert without.gap is None
