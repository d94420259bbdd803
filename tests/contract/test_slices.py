"""A challenger is judged in parts of the people, by what they have done and what the shop says of them, and of the items."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from contracts import names
from contracts.settings import load_settings
from contracts.tables import RAW_USERS
from jobs.io.schemas import arrow_schema
from jobs.io.state import State
from jobs.runs import StepContext
from jobs.training.slices import read_groups
from tests.judged_shop import DAY, NUM_USERS, judged_shop

pytestmark = pytest.mark.contract

USERS = np.array([f"user-{number:03d}" for number in range(120)], dtype=object)


def told(number: int, known: date, **attributes: object) -> dict[str, object]:
    return {
        "user_id": f"user-{number:03d}", "created_at": None, "attributes": json.dumps(attributes), "received_date": known,
        "known_date": known,
    }  # fmt: skip


def groups(tmp_path: Path, *deliveries: list[dict[str, object]]) -> dict[str, tuple[np.ndarray, list[str]]]:
    settings = load_settings(home=tmp_path / "home")
    with State.of(settings).lease("test", "retrain", 60, is_last=True) as lease:
        lake = StepContext.of(settings, lease).lake
        for rows in deliveries:
            day = rows[0]["received_date"]
            assert isinstance(day, date)
            table = pa.Table.from_pylist(rows, schema=arrow_schema(RAW_USERS))
            lake.replace(names.RAW_USERS, day, table, inputs="test")
        return read_groups(lake, DAY, USERS, min_users=50, threads=1)


def test_groups_are_what_the_shop_last_said_of_enough_people(tmp_path: Path) -> None:
    countries = ["France"] * 60 + ["Spain"] * 50 + ["Malta"] * 10
    first = [told(number, DAY - timedelta(days=9), country=each) for number, each in enumerate(countries)]
    moved = [told(0, DAY - timedelta(days=1), country="Spain")]
    later = [told(number, DAY + timedelta(days=1), country="Spain") for number in range(120)]
    groups_U, values = groups(tmp_path, first, moved, later)["country"]
    assert values == ["France", "Spain"]
    assert groups_U.tolist() == [1, *[0] * 59, *[1] * 50, *[-1] * 10]  # of Malta there are too few


def test_a_number_of_many_values_is_cut_at_its_quartiles_and_what_is_no_word_makes_no_group(
    tmp_path: Path,
) -> None:
    rows = [told(number, DAY, age=number % 100, likes=["tea"], vip=number % 2 == 0) for number in range(120)]
    settings = load_settings(home=tmp_path / "home")
    with State.of(settings).lease("test", "retrain", 60, is_last=True) as lease:
        lake = StepContext.of(settings, lease).lake
        lake.replace(
            names.RAW_USERS, DAY, pa.Table.from_pylist(rows, schema=arrow_schema(RAW_USERS)), inputs="t"
        )
        found = read_groups(lake, DAY, USERS, min_users=20, threads=1)
    assert set(found) == {"age", "vip"}
    assert len(found["age"][1]) == 4
    assert found["age"][1][-1].startswith("up to")
    assert found["vip"][1] == ["False", "True"]


def test_a_shop_that_says_nothing_of_people_has_no_groups(tmp_path: Path) -> None:
    assert groups(tmp_path) == {}


def test_thirds_of_people_hold_everybody_once_and_items_only_who_wanted_one() -> None:
    shop = judged_shop()
    slices = {each.name.partition(" (")[0]: each for each in shop.evaluation(shop.model()).slices}
    assert set(slices) == {"new users", "light users", "heavy users", "new items", "long tail"}
    people = [slices[name].num_users for name in ("new users", "light users", "heavy users")]
    assert sum(people) == NUM_USERS
    assert min(people) > NUM_USERS / 4
    new = {item for number, item in enumerate(shop.world.item_ids) if number % 5 == 0}
    wanted = [user for user, items in shop.outcomes.items() if new & set(items)]
    assert slices["new items"].num_users == len(wanted)
    assert slices["long tail"].ndcg["popularity"].max() == 0  # the head alone fills its first ten


def test_everything_is_told_of_each_model_at_every_length_that_lists_have() -> None:
    shop = judged_shop()
    metrics = shop.evaluation(shop.model(), shop.model(0.5)).metrics
    assert set(metrics) == {"challenger", "champion", "popularity", "ease", "als"}
    accuracy = {"ndcg", "map", "hit_rate", "recall", "mrr"}
    beyond = {"coverage", "novelty", "diversity", "popularity_lift", "gini"}
    expected = {f"{name}_at_{k}" for name in accuracy | beyond for k in (5, 10, 20)}  # lists hold twenty
    assert {name: set(found) for name, found in metrics.items()} == dict.fromkeys(metrics, expected)
