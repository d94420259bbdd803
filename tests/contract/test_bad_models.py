"""Twelve kinds of bad models never become champion, and good ones do: through the gate that every challenger passes.

Each bad one is refused by the one check that is there for it: take it out, and the model is promoted.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from mlflow import MlflowClient

from contracts import names
from contracts.consent import PERSONALIZATION
from contracts.errors import ModelRefused, NothingToDo
from contracts.settings import load_settings
from contracts.tables import RAW_CONSENTS
from jobs import promote
from jobs.io.model_files import DESCRIPTION, digest_of_folder, load_model, save_model
from jobs.io.registry import open_registry
from jobs.io.schemas import arrow_schema
from jobs.io.state import LANDINGS, PROMOTIONS, RETRAININGS, State
from jobs.judge import Verdict
from jobs.judging.bounds import parse_bounds
from jobs.ranking.next_item import NextItemModel
from jobs.runs import StepContext
from jobs.training.consent import num_unconsented
from jobs.training.sequences import targets_of
from tests.judged_shop import DAY, FACTS, NUM_ITEMS, NUM_USERS, Scores, Shop, judged_shop
from tests.tiny_world import tiny_model, tiny_world

pytestmark = pytest.mark.contract


@pytest.fixture(scope="module")
def shop() -> Shop:
    return judged_shop()


def failed(verdict: Verdict) -> list[str]:
    """What a challenger was refused for."""
    assert verdict.is_promoted is not any(check.has_passed is False for check in verdict.checks)
    return [check.name for check in verdict.checks if check.has_passed is False]


def test_good_models_are_promoted_nineteen_times_of_twenty() -> None:
    promoted = 0
    for seed in range(20):
        shop = judged_shop(seed + 1000)
        champion, challenger = shop.model(knows=0.5, seed=seed), shop.model(knows=0.9, seed=seed)
        verdict = shop.verdict(challenger, champion, registered=shop.model(seed=seed))
        promoted += verdict.is_promoted
    assert promoted >= 19


def test_a_good_first_model_is_promoted(shop: Shop) -> None:
    assert failed(shop.verdict(shop.model(), registered=shop.model())) == []


# What the judgement refuses


def test_a_model_whose_scores_are_no_numbers_is_refused(shop: Shop) -> None:
    scores_UN = shop.model().scores_UN.copy()
    scores_UN[7, 3] = np.nan
    verdict = shop.verdict(Scores(scores_UN), shop.model(knows=0.5))
    assert "scores" in failed(verdict)
    assert "cannot be put in order" in "; ".join(verdict.reasons)


def test_a_constant_model_is_refused(shop: Shop) -> None:
    constant = Scores(np.zeros((NUM_USERS, NUM_ITEMS)))
    assert {"champion", "coverage"} <= set(failed(shop.verdict(constant, shop.model())))
    assert failed(shop.verdict(constant)) == ["popularity"]


def test_a_random_model_is_refused(shop: Shop) -> None:
    assert "champion" in failed(shop.verdict(shop.model(knows=0.0), shop.model(seed=1)))
    assert failed(shop.verdict(shop.model(knows=0.0))) == ["popularity"]


def knowing(shop: Shop) -> Scores:
    """A model that knows what it is judged by."""
    scores_UN = shop.model().scores_UN.copy()
    for user, items in shop.outcomes.items():
        scores_UN[int(user.removeprefix("user-")), [int(item.removeprefix("item-")) for item in items]] += 20
    return Scores(scores_UN)


def test_a_leaking_model_is_refused(shop: Shop) -> None:
    verdict = shop.verdict(knowing(shop), shop.model())
    assert failed(verdict) == ["plausible"]
    told = verdict.reasons[-1]
    assert "too good to be true" in told
    gain = next(check for check in verdict.checks if check.name == "plausible").value
    assert (
        f"{gain:+.4f} beside the best other, champion (at most +0.3000, max_gain in expectations/promotion.toml)"
        in told
    )


def test_where_people_are_that_easy_to_foretell_a_reviewed_bound_lets_them_be(shop: Shop) -> None:
    text = files("expectations").joinpath("promotion.toml").read_text(encoding="utf-8")
    reviewed = parse_bounds(text.replace("max_gain = 0.3", "max_gain = 0.9"))
    assert failed(shop.verdict(knowing(shop), shop.model(), bounds=reviewed)) == []


def test_a_model_that_was_trained_on_days_that_judge_is_refused(shop: Shop) -> None:
    facts = dataclasses.replace(FACTS, trained_to=FACTS.judged_from)
    verdict = shop.verdict(shop.model(knows=0.9), shop.model(knows=0.5), facts)
    assert failed(verdict) == ["leak"]


def test_what_people_took_is_compared_with_what_they_had_taken(shop: Shop) -> None:
    found = shop.evaluation(shop.model())
    users, targets = targets_of(shop.world, shop.outcomes, True)
    popular = shop.world.popularity_N
    taken = np.mean([popular[items].mean() for items in targets])
    before = np.mean([popular[shop.world.histories[user]].mean() for user in users])
    assert found.taken_lift == pytest.approx(taken / before - 1, rel=1e-4)


def test_popularity_in_disguise_is_refused(shop: Shop) -> None:
    """Where the champion shows little else either, no comparison tells."""
    rng = np.random.default_rng(4)

    def nearly_popular(noise: float) -> Scores:
        in_order_N = (
            shop.world.popularity_N - np.arange(NUM_ITEMS) / NUM_ITEMS
        )  # ties as popularity breaks them
        return Scores(in_order_N + rng.normal(0, noise, (NUM_USERS, NUM_ITEMS)))

    assert failed(shop.verdict(nearly_popular(0.2), nearly_popular(0.8))) == ["personal"]


def test_where_few_items_may_be_shown_the_first_half_tells_what_is_popularity_in_disguise(shop: Shop) -> None:
    """Of eleven items any two lists share nine of ten; of ten they share all."""
    for num_available in (11, 10, 4):
        few = dataclasses.replace(
            shop, world=dataclasses.replace(shop.world, is_available_N=np.arange(NUM_ITEMS) < num_available)
        )
        popular = Scores(np.tile(shop.world.popularity_N - np.arange(NUM_ITEMS) / NUM_ITEMS, (NUM_USERS, 1)))
        told = {name: few.evaluation(model) for name, model in (("own", few.model()), ("popular", popular))}
        share = {name: found.popular_share for name, found in told.items()}
        assert share["popular"] == 1.0
        assert share["own"] is not None
        assert share["own"] < 0.75
    only = dataclasses.replace(
        shop, world=dataclasses.replace(shop.world, is_available_N=np.arange(NUM_ITEMS) < 1)
    )
    verdict = only.verdict(only.model(), only.model(seed=1))
    assert [check.has_passed for check in verdict.checks if check.name == "personal"] == [None]


def test_a_model_whose_items_were_swapped_on_the_way_is_refused(shop: Shop) -> None:
    challenger, champion = shop.model(knows=0.9), shop.model(knows=0.5)
    swapped = Scores(np.roll(challenger.scores_UN, 1, axis=1))
    assert failed(shop.verdict(challenger, champion, registered=knowing(shop))) == []
    verdict = shop.verdict(challenger, champion, registered=swapped)
    assert failed(verdict) == ["registered"]


def test_a_stale_model_is_refused(shop: Shop) -> None:
    facts = dataclasses.replace(FACTS, last_event=DAY - timedelta(days=15))
    assert failed(shop.verdict(shop.model(knows=0.9), shop.model(knows=0.5), facts)) == ["staleness"]


def test_a_model_that_is_ten_times_slower_is_refused(shop: Shop) -> None:
    now = [0.0]

    def costing(model: Scores, seconds: float) -> Scores:
        def take() -> None:
            now[0] += seconds

        return Scores(model.scores_UN, take)

    champion = costing(shop.model(knows=0.5), 0.2)
    for seconds, wrong in ((2.0, ["speed"]), (0.4, [])):
        challenger = costing(shop.model(knows=0.9), seconds)
        assert failed(shop.verdict(challenger, champion, clock=lambda: now[0])) == wrong


@pytest.fixture(scope="module")
def empty_registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MLflow's database and the folder of its artifacts: to make one takes seconds, to copy it nothing."""
    folder = tmp_path_factory.mktemp("mlflow")
    client = MlflowClient(f"sqlite:///{folder}/mlflow.db")
    client.create_experiment(
        names.experiment(names.NEXT_ITEM_TASK), artifact_location=(folder / "artifacts").as_uri()
    )
    return folder


@pytest.fixture
def context(tmp_path: Path) -> Iterator[StepContext]:
    settings = load_settings(home=tmp_path / "home", mlflow_url=f"sqlite:///{tmp_path}/mlflow.db")
    with State.of(settings).lease("test", "retrain", 60, is_last=True) as lease:
        yield StepContext.of(settings, lease)


def test_a_model_that_was_trained_without_consent_is_refused(shop: Shop, context: StepContext) -> None:
    said = {
        "user_id": "user-007", "purpose": PERSONALIZATION, "is_granted": False, "said_at": datetime(2011, 3, 1),
        "received_date": date(2011, 3, 1), "known_date": date(2011, 3, 1),
    }  # fmt: skip
    rows = pa.Table.from_pylist([said], schema=arrow_schema(RAW_CONSENTS))
    context.lake.replace(names.RAW_CONSENTS, date(2011, 3, 1), rows, inputs="test")
    without = dataclasses.replace(
        FACTS,
        num_unconsented=num_unconsented(context, DAY, shop.world.user_ids, {"missing_consent": "granted"}),
    )
    assert without.num_unconsented == 1
    assert num_unconsented(context, DAY, shop.world.user_ids, {"missing_consent": "denied"}) == NUM_USERS
    assert failed(shop.verdict(shop.model(knows=0.9), shop.model(knows=0.5), without)) == ["consent"]


# What promotion refuses, whatever was judged


def registered(context: StepContext, model: NextItemModel, empty_registry: Path) -> Path:
    """A challenger that was judged and found worthy; returns where MLflow keeps its files."""
    shutil.copy(empty_registry / "mlflow.db", context.settings.home.parent)
    folder, digest = save_model(model, {"day": str(DAY)}, context.settings.home / "models")
    with open_registry(context.settings) as registry:
        version, page = registry.log_challenger(
            folder, digest, day=str(DAY), params={}, metrics={}, curves={}
        )
    record = {"day": str(DAY), "reason": "by hand", "challenger": version, "sha256": digest, "mlflow_url": page, "metrics": {},
              "verdict": {"is_promoted": True, "reasons": ["champion: better"]}}  # fmt: skip
    context.state.put(RETRAININGS, str(DAY), record)
    return empty_registry / "artifacts" / page.rpartition("/")[2] / "artifacts" / "model"


def champion(context: StepContext) -> str | None:
    with open_registry(context.settings) as registry:
        return registry.champion()


SPOILT: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "truncated": ("sasrec.safetensors", lambda content: content[:-40]),
    "bit-flipped": ("ranker.safetensors", lambda content: content[:-9] + bytes([content[-9] ^ 1]) + content[-8:]),
    "swapped items": (DESCRIPTION, lambda content: content.replace(b'"item-00", "item-01"', b'"item-01", "item-00"')),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")  # of MLflow's own store
@pytest.mark.parametrize("kind", SPOILT)
def test_files_that_are_not_those_that_were_judged_are_refused(
    context: StepContext, empty_registry: Path, kind: str
) -> None:
    kept = registered(context, tiny_model(tiny_world()), empty_registry)
    name, spoil = SPOILT[kind]
    before = (kept / name).read_bytes()
    (kept / name).write_bytes(spoil(before))
    assert (kept / name).read_bytes() != before
    record = context.state.get(RETRAININGS, str(DAY))
    assert record is not None
    for path in (context.settings.home / "models" / record["sha256"]).iterdir():
        path.unlink()  # only MLflow's is left
    with pytest.raises(ModelRefused, match="has digest"):
        promote.run(DAY, context)
    assert champion(context) is None
    assert context.state.all(PROMOTIONS) == {}
    (kept / name).write_bytes(before)
    promote.run(DAY, context)
    assert champion(context) == "1"


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_a_model_that_waited_until_it_was_stale_is_refused(
    context: StepContext, empty_registry: Path
) -> None:
    registered(context, tiny_model(tiny_world()), empty_registry)
    context.state.put(LANDINGS, str(DAY + timedelta(days=15)), {"touched": []})
    with pytest.raises(NothingToDo, match=r"15 days before the newest.*max_age_days"):
        promote.run(DAY, context)
    assert champion(context) is None


def spoilt_description(folder: Path, **changes: Any) -> str:
    description = json.loads((folder / DESCRIPTION).read_text()) | changes
    (folder / DESCRIPTION).write_text(json.dumps(description))
    return digest_of_folder(folder)


def test_a_model_of_another_schema_is_refused(tmp_path: Path) -> None:
    model = tiny_model(tiny_world())
    folder, digest = save_model(model, {}, tmp_path)
    load_model(folder, digest)
    description = json.loads((folder / DESCRIPTION).read_text())
    for wrong in (
        {"features": [*description["features"], "item.unknown"]},
        {"sasrec": description["sasrec"] | {"width": 16}},
        {"item_ids": description["item_ids"][:-1]},
        {"item_ids": description["item_ids"][::-1]},
        {"task": "churn"},
    ):
        with pytest.raises(ModelRefused):
            load_model(folder, spoilt_description(folder, **description | wrong))


def test_a_model_with_a_weight_that_is_no_number_is_refused(tmp_path: Path) -> None:
    model = tiny_model(tiny_world())
    model.sasrec.embedding.weight.data[3, 1] = float("nan")
    folder, digest = save_model(model, {}, tmp_path)
    with pytest.raises(ModelRefused, match="finite"):
        load_model(folder, digest)
