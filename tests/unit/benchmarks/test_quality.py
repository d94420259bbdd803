"""The contest of recommenders on a shop so small that it takes no time, and what is kept of it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks import challenger, quality, simple, transformer
from benchmarks.answers import gains, places_of
from benchmarks.challenger import Challenger
from benchmarks.contests import CHALLENGER, CONTESTS, Contest, Published
from benchmarks.data_sets import Events
from benchmarks.kept import Kept, code_of, digest_of
from benchmarks.page import page
from benchmarks.quality import figure_of, week_before
from benchmarks.scoring import in_turns, lists_of
from benchmarks.seeds import Seeds
from benchmarks.simple import KINDS, neighbours
from benchmarks.standing import by_user, verdict
from benchmarks.transformer import Shape
from benchmarks.tried import tried
from models.metrics import Interval
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
    ring, None,
    Shape(
        {"width": 16, "blocks": 1, "heads": 1, "dropout": 0.0, "max_length": 8},
        TrainConfig(epochs=8, batch_size=8, learning_rate=0.02, patience=8),
    ),
    seeds=2, floor=0.5, aim=1.1, published=(Published("theirs", None, 0.9, "a paper"),),
)  # fmt: skip


@pytest.fixture(autouse=True)
def few_kinds(monkeypatch):
    """EASE and ALS take no time here, but their settings are three each: one will do."""
    monkeypatch.setattr(simple, "KINDS", {name: kinds[:1] for name, kinds in KINDS.items()})


def test_the_short_form_prints_a_figure_and_a_table_of_all_models(tmp_path):
    figure = figure_of("quality.ring", SMALL, Kept(tmp_path / "kept.jsonl"))
    assert figure.name == "quality.ring"
    assert figure.value > 900  # thousandths: the ring is learnt
    assert "the transformer, 2 seeds; floor 0.5000 held, aim 1.1000 missed by" in figure.unit
    assert figure.reference <= 1000
    assert figure.table is not None
    rows = {row[0].split(",")[0]: row for row in figure.table.rows}
    assert list(rows)[:2] == ["**transformer**", "**challenger**"]
    assert set(list(rows)[2:6]) == {"popularity", "co-visitation", "ALS", "EASE"}
    assert figure.table.rows[6] == ("theirs (published)", "", "0.9000", "", "", "a paper")
    assert "240 events of 40 users and 12 items; 40 questions." in figure.table.about
    assert rows["**challenger**"][5].startswith("blend in 2 of 2 (")
    assert "popularity 0.00" in rows["**challenger**"][5]  # which says nothing of who goes where
    assert float(rows["**challenger**"][2].split()[0]) > 0.9
    assert "The transformer is behind co-visitation by 0.0" in figure.table.about
    assert "Of the simple models co-visitation comes nearest: it has 100%" in figure.table.about
    told = page(
        "quality", "What.\n\nIt is.", [json.loads(json.dumps({**vars(figure), "table": vars(figure.table)}))]
    )
    assert "## `quality.ring`" in told
    assert "| theirs (published) |  | 0.9000 |  |  | a paper |" in told


def test_a_finished_seed_is_not_trained_again_and_a_new_one_or_another_challenger_is(tmp_path, monkeypatch):
    ran: list[str] = []
    learn, given = transformer.learn, challenger.recommenders

    def judged(self, early, learnt, late, learnt_again):
        ran.append(f"challenger {self.seed}")
        return {"places": [1] * len(late.asked), "chosen": "ease", "weights": {"ease": 1.0}, "seconds": 1.0}

    monkeypatch.setattr(transformer, "learn", lambda *of: ran.append(f"transformer {of[3]}") or learn(*of))
    monkeypatch.setattr(Challenger, "judged", judged)
    held = replace(SMALL, shape=Shape(SMALL.shape.model, TrainConfig(epochs=1)))
    monkeypatch.setenv("SEEDS", "1")
    first = figure_of("quality.ring", held, Kept(tmp_path / "kept.jsonl"))
    assert "1 seed;" in first.unit
    monkeypatch.delenv("SEEDS")
    figure_of("quality.ring", held, Kept(tmp_path / "kept.jsonl"))
    assert ran == ["transformer 1", "challenger 1", "transformer 2", "challenger 2"]
    monkeypatch.setattr(
        quality, "recommenders", lambda options: given(options).model_copy(update={"tie_errors": 1.0})
    )
    figure_of("quality.ring", held, Kept(tmp_path / "kept.jsonl"))
    assert ran[4:] == ["challenger 1", "challenger 2"]


def test_a_result_is_kept_for_its_settings_and_its_code_alone(tmp_path):
    code = tmp_path / "code.py"
    code.write_text("one", encoding="utf-8")
    digests = {digest_of({"a": 1}, [code]), digest_of({"a": 2}, [code])}
    code.write_text("one  # a comment", encoding="utf-8")
    digests.add(digest_of({"a": 1}, [code]))
    assert len(digests) == 2
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


def test_weights_are_kept_beside_a_result_and_made_anew_where_they_are_gone(tmp_path):
    kept, made = Kept(tmp_path / "kept.jsonl"), []

    def make():
        made.append(1)
        return {"value": 1}, {"weights": np.arange(3.0)}

    for _ in range(2):
        found, weights = kept.learnt("x", "what", make)
    assert (found, weights["weights"].tolist(), len(made)) == ({"value": 1}, [0, 1, 2], 1)
    (file,) = (tmp_path / "bench-weights").iterdir()
    file.unlink()
    kept.learnt("x", "what", make)
    assert len(made) == 2


def test_a_transformer_follows_from_what_it_is_made_of_and_a_challenger_from_the_loop_as_well():
    names = {
        room: {f"{path.parent.name}/{path.name}" for path in code_of(Path(room.__file__))}
        for room in (transformer, challenger)
    }
    assert {"benchmarks/transformer.py", "benchmarks/answers.py", "models/losses.py"} <= names[transformer]
    assert not names[transformer] & {"models/ease.py", "benchmarks/kept.py", "models/topk.py"}
    assert {"training/contest.py", "models/blend.py", "models/ease.py"} <= names[challenger]


def test_a_verdict_says_ahead_or_behind_only_where_the_interval_does():
    assert verdict(Interval(0.02, 0.01, 0.03, 0.01), "EASE") == "ahead of EASE by 0.0200 [+0.0100, +0.0300]"
    assert verdict(Interval(-0.02, -0.03, -0.01, 0), "EASE") == "behind EASE by 0.0200 [-0.0300, -0.0100]"
    assert (
        verdict(Interval(0.02, -0.01, 0.03, 0), "EASE")
        == "not told apart from EASE, +0.0200 [-0.0100, +0.0300]"
    )


def test_what_was_tried_is_compared_on_validation_and_the_test_is_not_read(tmp_path):
    held = replace(SMALL, tried=({"loss": "gbce", "num_negatives": 4, "epochs": 1},))
    events = ring()
    split = held.split(events)
    unread = replace(split, test=Questions([], np.empty(0, np.int64), np.empty(0, np.int64)))
    figure = tried(
        "quality.tried.ring", held, Seeds("quality.ring", events, unread, Kept(tmp_path / "kept.jsonl"))
    )
    assert figure.value > 900 > figure.reference
    assert figure.table is not None
    (of_chosen, of_other) = figure.table.rows
    assert of_chosen[0] == "**as it is**"
    assert of_other[0] == "loss gbce, negatives 4, epochs 1"
    assert of_other[4].startswith("+")  # an epoch is not enough


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


def test_split_in_time_validation_says_how_long_is_learnt_and_popularity_counts_the_week_before(
    tmp_path, monkeypatch
):
    events, day = ring(length=12), 86_400.0
    (recent,) = week_before(events, 10 * day)
    assert len(recent) == 7 * 40
    learnt_again, learn_again = [], transformer.learn_again
    monkeypatch.setattr(
        transformer, "learn_again", lambda *given: learnt_again.append(given[4]) or learn_again(*given)
    )
    held = replace(
        SMALL,
        events=lambda: events,
        moments=lambda _: (9 * day, 10 * day),
        headline=CHALLENGER,
        floor=0.0,
        seeds=1,
    )
    told = figure_of("quality.ring", held, Kept(tmp_path / "kept.jsonl"))
    assert told.table is not None
    rows = {row[0].split(",")[0]: row for row in told.table.rows}
    assert "recent popularity (7 days)" in rows
    assert rows["**transformer**"][5].startswith(f"{learnt_again[0]} epochs, which validation chose")
    assert "the challenger, 1 seed; " in told.unit


def test_users_are_resampled_with_all_their_questions():
    a_U, b_U = by_user(np.array([1.0, 1.0, 0.0]), np.array([0.0, 0.0, 1.0]), np.array([7, 7, 9]))
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
