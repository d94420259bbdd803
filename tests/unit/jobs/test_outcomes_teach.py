"""Outcomes teach: what was shown, where, by what chance, and what came of it decides what the ranker becomes."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from contracts import names
from contracts.settings import load_settings
from contracts.tables import FCT_IMPRESSIONS, TRAINING_IMPRESSIONS
from jobs.features import training_impressions
from jobs.features.cutoffs import cutoffs
from jobs.io.lake import Lake
from jobs.io.schemas import arrow_schema
from jobs.io.state import State
from jobs.ranking.next_item import NextItemModel
from jobs.ranking.preparation import Preparation
from jobs.ranking.proposer import PAIR_FEATURES, Proposer
from jobs.ranking.world import World
from jobs.training.impressions import Impressions, evidence_of, read_impressions
from jobs.training.trainer import Fitted, Trainer
from models.mlp_ranker import MLPRanker, MLPRankerConfig
from tests.tiny_world import DAY, NUM_ITEMS, tiny_model, tiny_world

CHOSEN = {"seed": 7, "threads": 1, "num_candidates": 8, "list_length": 5}
AFTER = DAY + timedelta(days=1)


@pytest.fixture(scope="module")
def world() -> World:
    return tiny_world()


@pytest.fixture(scope="module")
def model(world: World) -> NextItemModel:
    return tiny_model(world)


def impressions(*given: dict[str, Any]) -> Impressions:
    """Impressions of the day after the world's; what is not given is missing."""
    always = {"event_date": AFTER, "split": "rank", "outcome": "ignored"}
    schema = arrow_schema(TRAINING_IMPRESSIONS)
    rows = [
        {**dict.fromkeys(schema.names), **always, "event_id": str(number), **row}
        for number, row in enumerate(given)
    ]
    return Impressions(pa.Table.from_pylist(rows, schema=schema))


def shown(user: int, item: int, **more: Any) -> dict[str, Any]:
    return {"user_id": f"user-{user:02d}", "item_id": f"item-{item:02d}", **more}


def told(
    world: World, *given: dict[str, Any], repeats_allowed: bool = True
) -> dict[tuple[int, int], tuple[float, float]]:
    """User and item → mass, and how often it was offered and left."""
    evidence = evidence_of(impressions(*given), world, repeats_allowed)
    pairs = zip(*np.divmod(evidence.pair_E, NUM_ITEMS), strict=True)
    values = zip(evidence.mass_E.tolist(), evidence.offered_E.tolist(), strict=True)
    return {(int(user), int(item)): value for (user, item), value in zip(pairs, values, strict=True)}


# What impressions say


def test_the_stronger_the_outcome_the_more_it_was_wanted(world: World) -> None:
    outcomes = ("ignored", "clicked", "carted", "purchased")
    masses = [told(world, shown(5, 1, outcome=outcome))[5, 1][0] for outcome in outcomes]
    assert masses == sorted(set(masses))
    assert masses[:2] == [0, 1]


def test_what_was_left_counts_each_time_and_what_was_taken_once(world: World) -> None:
    taken, left = {"outcome": "clicked"}, {"outcome": "ignored"}
    found = told(world, shown(5, 1, **left), shown(5, 1, **left), shown(5, 2, **taken), shown(5, 2, **taken))
    assert found == {(5, 1): (0, 2), (5, 2): (1, 0)}
    assert told(world, shown(5, 1, **left), shown(5, 1, **taken)) == {(5, 1): (1, 1)}


def test_what_stood_where_nobody_looks_was_hardly_left(world: World) -> None:
    many = [shown(3, 1, position=1, outcome="clicked")] * 400 + [shown(3, 2, position=9)] * 4000
    many += [shown(3, 2, position=9, outcome="clicked")] * 20
    found = told(world, *many, shown(5, 1, position=1), shown(5, 2, position=9), shown(5, 7))
    assert found[5, 1] == found[5, 7] == (0, 1)  # a place that nobody told is taken to be seen
    assert found[5, 2][1] < 0.05


def test_a_rare_chance_counts_for_the_times_it_was_not_drawn_up_to_a_bound(world: World) -> None:
    for propensity, times in ((1.0, 1), (0.5, 2), (0.25, 4), (0.01, 5)):
        found = told(
            world, shown(5, 1, propensity=propensity), shown(5, 2, propensity=propensity, outcome="clicked")
        )
        assert found == {(5, 1): (0, times), (5, 2): (times, 0)}


def test_only_what_could_be_recommended_by_what_was_known_counts(world: World) -> None:
    seen = int(world.seen[5][0])
    new = int(np.setdiff1d(np.arange(5, NUM_ITEMS), world.seen[5])[0])
    rows = [shown(5, 99), shown(99, 1), shown(5, 3), shown(5, seen), shown(5, new)]  # item 3 is sold out
    assert set(told(world, *rows)) == {(5, seen), (5, new)}
    assert set(told(world, *rows, repeats_allowed=False)) == {(5, new)}


def test_evidence_finds_its_candidates(world: World) -> None:
    evidence = evidence_of(
        impressions(shown(5, 1), shown(5, 8, outcome="purchased"), shown(6, 1)), world, True
    )
    assert [evidence.of(user).tolist() for user in (4, 5, 6, 11)] == [[], [1, 8], [1], []]
    users, items = np.array([4, 5, 5, 5, 11]), np.array([1, 1, 8, 9, 29])
    mass, weight = evidence.on(users, items, np.array([True, False, True, True, False]))
    assert mass.tolist() == [1, 0, 3, 1, 0]
    assert weight.tolist() == [1, 2, 1, 1, 1]


# What the ranker becomes


def wanted(world: World) -> dict[str, np.ndarray]:
    """Everybody wants the two items after their last."""
    return {
        user: world.item_ids[(world.histories[index][-1] + np.array([1, 2])) % NUM_ITEMS]
        for index, user in enumerate(world.user_ids)
        if len(world.histories[index])
    }


def ranker_of(world: World, model: NextItemModel, *given: dict[str, Any]) -> dict[str, np.ndarray]:
    fitted = Fitted(model.item_ids, model.sasrec)
    trainer = Trainer(CHOSEN, repeats_allowed=True)
    return trainer.fit_ranker(fitted, world, wanted(world), impressions(*given))[0].state()


def is_same(left: dict[str, np.ndarray], right: dict[str, np.ndarray]) -> bool:
    return all(left[name].tobytes() == right[name].tobytes() for name in left)


@pytest.fixture(scope="module")
def lists(world: World) -> list[dict[str, Any]]:
    """Six items shown to each of eight people, one of which was taken."""
    outcomes = ("ignored", "clicked", "ignored", "ignored", "ignored", "ignored")
    return [
        shown(user, (5 + 3 * user + place) % NUM_ITEMS, position=place + 1, outcome=outcome)
        for user in range(3, 11)
        for place, outcome in enumerate(outcomes)
    ]


def test_where_nobody_was_shown_anything_the_ranker_is_that_of_what_people_wanted(
    world: World, model: NextItemModel
) -> None:
    """Byte for byte: every candidate counts as one, whether it was wanted or not is all that is said of it."""
    options = {"num_candidates": 8, "length": 5, "repeats_allowed": True}
    users = np.flatnonzero([len(history) > 0 for history in world.histories])
    (candidates,) = Proposer(model.sasrec, model.item_ids, world, **options).propose(users)
    of_each = [wanted(world)[user] for user in world.user_ids[users]]
    is_wanted = [
        world.item_ids[item] in of_each[row]
        for row, item in zip(candidates.rows_R, candidates.items_R, strict=True)
    ]
    offsets = np.concatenate([[0], np.cumsum(np.bincount(candidates.rows_R))])
    is_wanted_R = np.array(is_wanted)
    preparation, rows_RP = Preparation.fit(
        world, candidates.block[candidates.rows_R], candidates.items_R, is_wanted_R, seed=7
    )
    features = np.concatenate([candidates.pair_RF, rows_RP], axis=1)
    columns = PAIR_FEATURES + preparation.columns
    expected, _ = MLPRanker.fit(
        MLPRankerConfig(seed=7), columns, features, offsets, is_wanted_R, scaled=preparation.columns
    )
    assert is_same(ranker_of(world, model), expected.state())


def test_shuffling_outcomes_changes_the_weights(
    world: World, model: NextItemModel, lists: list[dict[str, Any]]
) -> None:
    outcomes = np.random.default_rng(3).permutation([row["outcome"] for row in lists])
    shuffled = [{**row, "outcome": outcome} for row, outcome in zip(lists, outcomes.tolist(), strict=True)]
    assert is_same(ranker_of(world, model, *lists), ranker_of(world, model, *lists))
    assert not is_same(ranker_of(world, model, *lists), ranker_of(world, model, *shuffled))


def test_what_was_ignored_counts(world: World, model: NextItemModel, lists: list[dict[str, Any]]) -> None:
    taken = [row for row in lists if row["outcome"] != "ignored"]
    assert not is_same(ranker_of(world, model, *lists), ranker_of(world, model, *taken))


def test_a_place_counts(world: World, model: NextItemModel, lists: list[dict[str, Any]]) -> None:
    turned = [{**row, "position": 7 - row["position"]} for row in lists]
    assert not is_same(ranker_of(world, model, *lists), ranker_of(world, model, *turned))


def test_a_logged_propensity_counts(world: World, model: NextItemModel, lists: list[dict[str, Any]]) -> None:
    certain = [{**row, "propensity": 1.0} for row in lists]
    drawn = [{**row, "propensity": 0.3 if row["position"] == 2 else 1.0} for row in lists]
    assert is_same(ranker_of(world, model, *lists), ranker_of(world, model, *certain))
    assert not is_same(ranker_of(world, model, *lists), ranker_of(world, model, *drawn))


def test_what_was_shown_is_a_candidate_though_nobody_proposed_it(world: World, model: NextItemModel) -> None:
    options = {"num_candidates": 1, "length": 1, "repeats_allowed": True}
    proposer = Proposer(model.sasrec, model.item_ids, world, **options)
    users = np.array([5, 6])
    (few,) = proposer.propose(users)
    other = int(np.setdiff1d(np.arange(NUM_ITEMS - 2), few.items_R)[-1])
    (more,) = proposer.propose(users, [np.array([other]), np.empty(0, np.int64)])
    extra = set(zip(more.rows_R.tolist(), more.items_R.tolist(), strict=True)) - set(
        zip(few.rows_R.tolist(), few.items_R.tolist(), strict=True)
    )
    assert extra == {(0, other)}
    assert np.isfinite(more.pair_RF).all()


def test_what_was_taken_teaches_though_nobody_proposed_it(world: World, model: NextItemModel) -> None:
    options = {"num_candidates": 8, "length": 5, "repeats_allowed": True}
    (candidates,) = Proposer(model.sasrec, model.item_ids, world, **options).propose(np.array([5]))
    for_sale = np.flatnonzero(world.is_available_N)
    other = int(np.setdiff1d(for_sale, candidates.items_R)[0])
    assert not is_same(ranker_of(world, model, shown(5, other, outcome="clicked")), ranker_of(world, model))


# What the training set knows


def exported(**changes: Any) -> dict[str, Any]:
    always = {"event_id": "e1", "user_id": "anna", "item_id": "lamp", "event_date": DAY, "known_date": DAY}
    return {**dict.fromkeys(FCT_IMPRESSIONS.columns), **always, **changes}


def of_training(*given: dict[str, Any], day: date = DAY) -> list[dict[str, Any]]:
    rows = pa.Table.from_pylist(list(given), schema=arrow_schema(FCT_IMPRESSIONS))
    rows = rows.select(list(training_impressions.NEEDED))
    return training_impressions.training_impressions(rows, cutoffs(day, 3, 1)).to_pylist()


def test_an_outcome_is_the_strongest_that_the_day_knows() -> None:
    late = DAY + timedelta(days=1)
    for dates, outcome in (
        ({}, "ignored"),
        ({"clicked": DAY}, "clicked"),
        ({"clicked": DAY, "carted": DAY}, "carted"),
        ({"purchased": DAY}, "purchased"),
        ({"clicked": DAY, "purchased": late}, "clicked"),
        ({"clicked": late}, "ignored"),
    ):
        row = exported(**{f"{name}_known_date": known for name, known in dates.items()})
        assert [found["outcome"] for found in of_training(row)] == [outcome]
    bought_late = exported(clicked_known_date=DAY, purchased_known_date=late)
    assert [found["outcome"] for found in of_training(bought_late, day=late)] == ["purchased"]


def test_impressions_that_became_known_later_are_not_in_the_training_set() -> None:
    late = exported(event_id="e2", known_date=DAY + timedelta(days=1))
    assert [row["event_id"] for row in of_training(exported(position=2, propensity=0.5), late)] == ["e1"]


def test_impressions_are_split_as_sequences_are() -> None:
    days = [DAY - timedelta(days=back) for back in (5, 4, 3, 2, 0)]
    rows = [exported(event_id=str(number), event_date=each) for number, each in enumerate(days)]
    assert [row["split"] for row in of_training(*rows)] == ["fit", "fit", "rank", "judge", "judge"]


def test_of_a_training_set_the_days_that_teach_are_read(tmp_path: Path) -> None:
    settings = load_settings(home=tmp_path)
    days = [DAY - timedelta(days=back) for back in range(5)]
    rows = impressions(*(shown(1, 1, event_date=day) for day in days)).rows
    with State.of(settings).lease("test", "build", 60, is_last=True) as lease:
        Lake.of(settings, lease).replace(names.TRAINING_IMPRESSIONS, DAY, rows, inputs="by hand")
    read = read_impressions(Lake.of(settings), DAY, DAY - timedelta(days=3))
    assert sorted(read.rows.column("event_date").to_pylist()) == sorted(days[:3])
    window = read.between(DAY - timedelta(days=2), DAY - timedelta(days=1))
    assert pc.unique(window.rows.column("event_date")).to_pylist() == [DAY - timedelta(days=1)]
    assert len(window) == 1
