"""The contest of recommenders on a shop so small that it takes no time, and what is kept of it."""

from __future__ import annotations

import json

import numpy as np
import pytest

from benchmarks import contest, quality
from benchmarks.contest import Shape, gains, neighbours, places_of
from benchmarks.data_sets import Events
from benchmarks.kept import Kept, digest_of
from benchmarks.page import page
from benchmarks.quality import CONTESTS, Contest, Published, figure_of
from benchmarks.scoring import in_turns, lists_of
from models.popularity import Popularity
from models.splits import Questions
from models.topk import top_k
from models.training import TrainConfig


def ring(num_users: int = 40, num_items: int = 12, length: int = 6) -> Events:
    """Everybody goes round a ring of items from a place of their own: who learns the order, knows what comes next."""
    users_E = np.repeat(np.arange(num_users), length)
    items_E = (users_E * 5 + np.tile(np.arange(length), num_users)) % num_items
    return Events(users_E, items_E, np.tile(np.arange(length) * 86_400.0, num_users), repeats_allowed=False)


SMALL = Contest(
    ring, quality.last_items,
    Shape(
        {"width": 16, "blocks": 1, "heads": 1, "dropout": 0.0, "max_length": 8},
        TrainConfig(epochs=8, batch_size=8, learning_rate=0.02, patience=8),
    ),
    seeds=2, floor=0.5, aim=1.1, published=(Published("theirs", None, 0.9, "a paper"),),
)  # fmt: skip


@pytest.fixture
def few_kinds(monkeypatch):
    """EASE and ALS take no time here, but their settings are three each: one will do."""
    all_kinds = contest._kinds
    monkeypatch.setattr(contest, "_kinds", lambda name, num_items: list(all_kinds(name, num_items))[:1])


def test_the_short_form_prints_a_figure_and_a_table_of_all_models(tmp_path, few_kinds):
    figure = figure_of("quality.ring", SMALL, Kept(tmp_path / "kept.jsonl"))
    assert figure.name == "quality.ring"
    assert figure.value > 900  # thousandths: the ring is learnt
    assert "floor 0.5000 held, aim 1.1000 missed by" in figure.unit
    assert "2 seeds" in figure.unit
    assert figure.reference <= 1000
    assert figure.table is not None
    models = [row[0].split(",")[0] for row in figure.table.rows]
    assert models[0] == "**transformer**"
    assert set(models[1:5]) == {"popularity", "co-visitation", "ALS", "EASE"}
    assert figure.table.rows[5] == ("theirs (published)", "", "0.9000", "", "a paper")
    assert "240 events of 40 users and 12 items; 40 questions." in figure.table.about
    told = page(
        "quality", "What.\n\nIt is.", [json.loads(json.dumps({**vars(figure), "table": vars(figure.table)}))]
    )
    assert "## `quality.ring`" in told
    assert "| theirs (published) |  | 0.9000 |  | a paper |" in told


def test_a_finished_seed_is_not_trained_again_and_a_new_one_is(tmp_path, few_kinds, monkeypatch):
    kept, trained = Kept(tmp_path / "kept.jsonl"), []

    def train(events, split, shape, seed):
        trained.append(seed)
        return {"places": [1] * len(split.test), "epochs": 3, "seconds": 1.0, "positions_per_second": 9}

    monkeypatch.setattr(contest, "transformer", train)
    monkeypatch.setenv("SEEDS", "1")
    first = figure_of("quality.ring", SMALL, kept)
    monkeypatch.delenv("SEEDS")
    figure_of("quality.ring", SMALL, kept)
    assert trained == [1, 2]
    assert "1 seed;" in first.unit


def test_a_result_is_kept_for_its_settings_and_its_code_alone(tmp_path):
    code = tmp_path / "code.py"
    code.write_text("one", encoding="utf-8")
    digests = {digest_of({"a": 1}, [code]), digest_of({"a": 2}, [code])}
    code.write_text("two", encoding="utf-8")
    digests.add(digest_of({"a": 1}, [code]))
    assert len(digests) == 3
    kept = Kept(tmp_path / "kept.jsonl")
    assert kept.once("x", "what", lambda: {"value": 1}) == {"value": 1}
    with (tmp_path / "kept.jsonl").open("a", encoding="utf-8") as stream:
        stream.write('{"digest": "y", "resu')  # killed as it wrote
    assert kept.once("x", "what", lambda: {"value": 2}) == {"value": 1}
    assert kept.once("y", "what", lambda: {"value": 3}) == {"value": 3}
    assert kept.once("y", "what", lambda: {"value": 4}) == {"value": 3}


def test_places_and_gains_are_those_of_the_answer_among_all_items_that_were_not_taken():
    model = Popularity.from_weights(np.arange(20.0))
    asked = Questions([np.array([19, 18]), np.array([5])], np.array([16, 3]), np.array([0, 1]))
    assert places_of(model, asked, repeats_allowed=False).tolist() == [2, 0]
    assert places_of(model, asked, repeats_allowed=True).tolist() == [4, 0]
    assert gains(np.array([1, 3, 0])).tolist() == [1.0, 0.5, 0.0]


def test_neighbours_are_counted_within_reach_and_within_a_user():
    counts = neighbours([np.array([0, 1, 2]), np.array([3, 0])], 4, reach=1).toarray()
    assert counts.tolist() == [[0, 1, 0, 1], [1, 0, 1, 0], [0, 1, 0, 0], [1, 0, 0, 0]]
    assert neighbours([np.array([0, 1, 2])], 3, reach=2)[0, 2] == 1


def test_recent_popularity_counts_the_week_before_the_split_alone(tmp_path, few_kinds):
    events = ring(length=12)
    held = Contest(
        lambda: events, quality.last_tenth,
        Shape(SMALL.shape.model, TrainConfig(epochs=1), stops_by_validation=False, tests_refit=True),
        seeds=1, floor=0.0, aim=0.0, recent_from=quality._week_before(lambda _: 10 * 86_400.0),
    )  # fmt: skip
    assert held.recent_from is not None
    (recent,) = quality._between(events, *held.recent_from(events))
    assert len(recent) == 7 * 40
    told = figure_of("quality.ring", held, Kept(tmp_path / "kept.jsonl"))
    assert told.table is not None
    assert "recent popularity (7 days)" in {row[0] for row in told.table.rows}


def test_users_are_resampled_with_all_their_questions():
    a_U, b_U = quality._by_user(np.array([1.0, 1.0, 0.0]), np.array([0.0, 0.0, 1.0]), np.array([7, 7, 9]))
    assert a_U.tolist() == pytest.approx([4 / 3, 0])
    assert (a_U - b_U).mean() == pytest.approx(1 / 3)


def test_every_floor_of_the_page_has_an_aim_above_it():
    assert all(each.aim >= each.floor for each in CONTESTS.values())


def test_lists_are_the_same_block_by_block(rng):
    states_UD, items_ND = (
        rng.normal(size=(7, 64)).astype(np.float32),
        rng.normal(size=(150, 64)).astype(np.float32),
    )
    items_UK, best_UK = lists_of(states_UD, items_ND, users_at_once=3)
    expected_UK, expected_best_UK = top_k(states_UD @ items_ND.T, 100)
    np.testing.assert_allclose(best_UK, expected_best_UK, atol=2e-5)
    assert (items_UK == expected_UK).mean() > 0.95


def test_what_is_compared_runs_in_turns():
    ran = []
    in_turns({"a": lambda: ran.append("a"), "b": lambda: ran.append("b")}, repeats=2)
    assert ran == ["a", "b"] * 3
