"""A model's age is told from what it loses, not from days that are hard for everybody; the advice says so or says that it cannot."""

from __future__ import annotations

import dataclasses
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from contracts.tables import TRAINING_IMPRESSIONS
from jobs.io.schemas import arrow_schema
from jobs.ranking.world import IntArray
from jobs.report_pages.views import Site
from jobs.reports import csvs_of, pages_of
from jobs.staleness import judge_day, render
from jobs.training.ageing import WINDOW, AgedDay, Ageing, ageing
from jobs.training.impressions import Impressions
from jobs.training.sequences import Sequences
from jobs.training.trainer import Trainer
from tests.tiny_world import DAY, NUM_ITEMS, tiny_model, tiny_world

NOW = datetime(2011, 3, 30, tzinfo=UTC)


def curve(
    lost_from: int = 100, loss: float = 0.08, num_users: int = 400, num_days: int = 20, hard_from: int = 100
) -> list[AgedDay]:
    """Popularity gets .1, a model .2; from an age on it loses something, and from another on everybody does."""
    rng = np.random.default_rng(7)
    found = []
    for age in range(1, num_days + 1):
        users = np.array(
            [f"u{user:04d}" for user in rng.permutation(2 * num_users)[:num_users]], dtype=object
        )
        easy_U = rng.normal(0, 0.2, num_users) - (
            0.07 if age >= hard_from else 0
        )  # some people are easy for everybody
        ndcg_U = 0.2 + easy_U + rng.normal(0, 0.1, num_users) - (loss if age >= lost_from else 0)
        found.append(AgedDay(age, DAY + timedelta(days=age), users, ndcg_U, 0.1 + easy_U))
    return found


def aged(days: list[AgedDay], margin: float = 0.01) -> Ageing:
    return ageing(days, margin=margin, seed=7)


def test_a_model_that_loses_its_lead_is_to_be_retrained_before_that_age() -> None:
    found = aged(curve(lost_from=11))
    assert found.retrain_every in (8, 9, 10)  # three days are looked at together
    assert found.advice.startswith(f"retrain every {found.retrain_every} days: from an age of")
    first = next(one for one in found.days if one.is_surely_stale)
    assert first.age == found.retrain_every + 1
    assert first.loss is not None
    assert first.loss.low > found.allowed


def test_a_model_that_loses_nothing_may_stay() -> None:
    found = aged(curve(num_users=800, num_days=9), margin=0.04)
    assert found.retrain_every is None
    assert found.advice.startswith("retraining every 9 days is enough")


def test_days_that_are_hard_for_everybody_make_no_model_old() -> None:
    found = aged(curve(hard_from=9))
    assert found.retrain_every is None
    assert found.days[10].ndcg.mean < found.days[2].ndcg.mean - 0.03


def test_of_few_people_it_is_said_that_it_cannot_be_told() -> None:
    found = aged(curve(lost_from=11, num_users=6, loss=0.02))
    assert found.retrain_every is None
    assert found.advice.startswith("cannot be told")


def test_among_many_ages_chance_alone_gives_no_advice() -> None:
    """Twenty looks at one in twenty would find something nearly always; so they share it."""
    told = 0
    for seed in range(8):
        rng = np.random.default_rng(seed)
        days = [
            AgedDay(
                age, DAY, np.array([f"u{age}-{user}" for user in range(12)], dtype=object),
                rng.normal(0.2, 0.3, 12), np.full(12, 0.1),
            )
            for age in range(1, 26)
        ]  # fmt: skip
        told += ageing(days, margin=0.01, seed=1).retrain_every is not None
    assert told == 0


def test_fresh_days_and_days_without_a_window_lose_nothing() -> None:
    days = aged(curve(num_days=8)).days
    assert [one.loss is None for one in days] == [True] * WINDOW + [False] * 3 + [True] * 2
    with pytest.raises(ValueError, match="5 days"):
        aged(curve(num_days=5))


def test_people_are_drawn_with_all_of_their_days() -> None:
    """One person of many days is one witness: intervals are as wide as for one day each."""
    rng = np.random.default_rng(3)
    taste_U = rng.normal(0, 0.3, 50)
    users = np.array([f"u{user:02d}" for user in range(50)], dtype=object)
    days = [AgedDay(age, DAY, users, 0.2 + taste_U, np.zeros(50)) for age in range(1, 9)]
    found = aged(days)
    losses = [one.loss for one in found.days if one.loss]
    assert all(loss.high - loss.low < 1e-9 for loss in losses)  # the same people are as easy on every day
    assert found.days[0].ndcg.high - found.days[0].ndcg.low > 0.1


def steps(*taken: tuple[str, int, date]) -> Sequences:
    users = sorted({user for user, _, _ in taken})
    rows = sorted(taken)
    return Sequences(
        np.array(users, dtype=object),
        np.array([users.index(user) for user, _, _ in rows]),
        np.array([f"item-{item:02d}" for _, item, _ in rows], dtype=object),
        np.ones(len(rows), np.int32),
        np.array([day for _, _, day in rows], "datetime64[D]"),
    )


NEXT = DAY + timedelta(days=1)
NOTHING = Impressions(arrow_schema(TRAINING_IMPRESSIONS).empty_table())
TRAINER = Trainer(
    {"seed": 7, "threads": 1, "num_candidates": NUM_ITEMS, "list_length": 10}, repeats_allowed=True
)


def best_of(model: Any, world: Any, user: int) -> IntArray:
    ranked = model.rank(world, np.array([user]), length=10, num_candidates=NUM_ITEMS, repeats_allowed=True)
    return np.asarray(ranked.items_UK[0])


def test_a_day_is_judged_by_what_people_took_on_it_alone() -> None:
    world = tiny_world()
    model = tiny_model(world)
    mine = int(best_of(model, world, 5)[0])
    popular = int(np.argmax(np.where(world.is_available_N, world.popularity_N, -1)))
    other = next(item for item in range(NUM_ITEMS) if item not in (mine, popular))
    later = NEXT + timedelta(days=1)
    taken = steps(
        ("user-05", mine, NEXT),
        ("user-05", other, later),
        ("user-06", popular, NEXT),
        ("user-00", mine, NEXT),
    )
    found = judge_day(model, world, taken, NOTHING, TRAINER)
    assert found is not None
    users, ndcg_U, popularity_U = found
    assert users.tolist() == ["user-05", "user-06"]  # the first has no history
    assert ndcg_U[0] == 1
    assert popularity_U[1] == 1
    assert popularity_U[0] < 1
    assert judge_day(model, world, steps(("user-05", mine, DAY)), NOTHING, TRAINER) is None


def test_what_was_taken_because_it_was_shown_counts_for_nobody() -> None:
    world = tiny_world()
    model = tiny_model(world)
    first, second = (int(item) for item in best_of(model, world, 5)[:2])
    rows = [{"user_id": "user-05", "item_id": f"item-{first:02d}", "outcome": "clicked", "event_date": NEXT}]
    shown = Impressions(pa.Table.from_pylist(rows, schema=arrow_schema(TRAINING_IMPRESSIONS)))
    found = judge_day(
        model, world, steps(("user-05", first, NEXT), ("user-05", second, NEXT)), shown, TRAINER
    )
    assert found is not None
    assert found[1].tolist() == [1]  # the second has moved up
    assert judge_day(model, world, steps(("user-05", first, NEXT)), shown, TRAINER) is None


def test_without_repeats_nothing_is_recommended_again() -> None:
    world = tiny_world()
    again = int(world.histories[5][0])
    trainer = dataclasses.replace(TRAINER, repeats_allowed=False)
    assert judge_day(tiny_model(world), world, steps(("user-05", again, NEXT)), NOTHING, trainer) is None


def record(**options: Any) -> dict[str, Any]:
    return {"day": str(NEXT), "fitted_on": str(DAY), "recommender": "blend"} | aged(
        curve(**options)
    ).as_record()


def pages(found: dict[str, Any] | None) -> dict[str, str]:
    return dict(pages_of(Site("A shop", [], [], {}, staleness=found), NOW))


def test_the_table_says_what_its_columns_are_and_ends_with_the_advice() -> None:
    lines = render(record(lost_from=11)).splitlines()
    assert "One model (blend), trained as of 2011-03-01" in lines[0]
    assert "popularity" in lines[0].lower()
    assert sum("surely too much" in line for line in lines) > 3
    assert lines[-1].startswith("Advice: retrain every ")


def test_the_page_shows_the_curve_beside_popularity_and_the_advice() -> None:
    page = pages(record(lost_from=11))["staleness.html"]
    assert page.count("<polyline") == 3  # the model, popularity, and what is lost
    assert page.count('<line class="threshold"') == 1
    assert page.count('<tr><th scope="row"') == 20
    assert "Advice: retrain every" in page
    assert "One model (blend), trained as of 2011-03-01" in page
    assert page.count("surely too much") > 3
    assert "fresh" in page


def test_a_page_without_a_measurement_tells_how_to_make_one() -> None:
    assert "foretaste staleness --day" in pages(None)["staleness.html"]


def test_the_curve_can_be_downloaded() -> None:
    found = dict(csvs_of(Site("A shop", [], [], {}, staleness=record())))["data/staleness.csv"].splitlines()
    assert found[0].startswith("age,day,num_users,ndcg_at_10")
    assert len(found) == 21
    assert len(dict(csvs_of(Site("A shop", [], [], {})))["data/staleness.csv"].splitlines()) == 1
