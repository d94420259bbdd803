"""What a model gives people who came after its training, beside what it would give them had it learnt from them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks import by_user
from benchmarks.by_user import Shapes, answered, figure_of
from benchmarks.data_sets import Events
from benchmarks.kept import Kept
from models.popularity import Popularity
from models.splits import Sequences
from models.training import TrainConfig

SHAPES = Shapes(
    {"width": 16, "blocks": 1, "heads": 1, "dropout": 0.0, "max_length": 8},
    {"width": 16, "dropout": 0.0, "max_length": 8},
    TrainConfig(epochs=6, batch_size=8, learning_rate=0.02, patience=6),
)


def ring(num_users: int = 40, num_items: int = 12, length: int = 6) -> Events:
    """Everybody goes round a ring of items from a place of their own: who learns the order, knows what strangers do."""
    users_E = np.repeat(np.arange(num_users), length)
    items_E = (users_E * 5 + np.tile(np.arange(length), num_users)) % num_items
    return Events(users_E, items_E, np.tile(np.arange(length) * 86_400.0, num_users), repeats_allowed=False)


def test_a_network_knows_strangers_by_the_order_that_others_go_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEEDS", "1")
    kept = Kept(tmp_path / "kept.jsonl")
    found = figure_of(ring(), SHAPES, kept)
    assert found.table is not None
    assert "8 questions in 1 draw of people" in found.table.about
    rows = {row[0]: row for row in found.table.rows}
    assert set(rows) == {"transformer", "recurrent network", "co-visitation", "EASE", "ALS", "popularity"}
    assert float(rows["transformer"][2]) == pytest.approx(found.value / 1000, abs=1e-3)
    assert min(found.value, 1000 * float(rows["recurrent network"][2])) > 800
    assert float(rows["popularity"][2]) < 0.7
    monkeypatch.setattr(by_user, "answered", lambda *given: pytest.fail("it was kept"))
    assert figure_of(ring(), SHAPES, kept) == found


def test_strangers_are_not_learnt_from_and_of_acquaintances_all_but_what_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    learnt: list[list[int]] = []

    def learn(sequences: Sequences) -> Popularity:
        learnt.append(np.concatenate(sequences).tolist())
        return Popularity.from_weights(np.ones(60))

    monkeypatch.setattr(by_user, "_makers", lambda *given: {"watched": lambda split: learn})
    events = Events(np.repeat(np.arange(20), 3), np.arange(60), None, repeats_allowed=False)
    found = answered(events, SHAPES, "watched", 1)
    assert len(found["strangers"]["ndcg"]) == len(found["acquaintances"]["ndcg"]) == 4
    of_others, of_all = map(set, learnt)
    assert len(of_others) == 16 * 3
    assert len(of_all - of_others) == 4 * 2
    assert all(item % 3 < 2 for item in of_all - of_others)  # the last of each is the question
