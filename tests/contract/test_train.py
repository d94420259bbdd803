"""A retraining registers the recommender that won, judges its twin against the champion, and tells how it was chosen."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from contracts import names
from contracts.errors import GateRefused
from contracts.settings import load_settings
from contracts.tables import TRAINING_IMPRESSIONS
from jobs import train
from jobs.io.commit import digest_of
from jobs.io.model_files import load_model, save_model
from jobs.io.schemas import arrow_schema
from jobs.io.state import PROMOTIONS, RETRAININGS, RUNS, State
from jobs.ranking.next_item import NextItemModel
from jobs.ranking.score_model import ScoreModel
from jobs.reviewed_file import text_of
from jobs.runs import StepContext, run_key
from jobs.score import rank_everyone
from jobs.training.impressions import Impressions
from jobs.training.recommenders import Recommenders, load_recommenders
from jobs.training.sequences import Sequences
from tests.tiny_world import DAY, NUM_ITEMS, NUM_USERS, tiny_model, tiny_world

pytestmark = pytest.mark.contract

FIT = DAY - timedelta(days=3)  # judge_days 2, rank_days 1


class Registered:
    """An MLflow that remembers what it was told."""

    def __init__(self) -> None:
        self.told: dict[str, Any] = {}

    def log_challenger(self, folder: Path, digest: str, **told: Any) -> tuple[str, str]:
        self.told = {"folder": folder, "digest": digest, **told}
        return "2", "http://mlflow/2"

    def log_verdict(self, version: str, verdict: Mapping[str, Any], artifacts: Mapping[str, str]) -> None:
        self.told |= {"verdict": verdict, "card": artifacts["model_card.md"]}


def sequences() -> Sequences:
    """Histories as the world has them, long before; on each of the last days everybody takes two things more."""
    rng, world = np.random.default_rng(3), tiny_world()
    steps = [(user, int(item), FIT) for user in range(NUM_USERS) for item in world.histories[user]]
    for user in range(NUM_USERS):
        for days in range(3):
            steps += [
                (user, int(item), DAY - timedelta(days=days))
                for item in rng.choice(np.arange(5, NUM_ITEMS), 2)
            ]
    steps.sort(key=lambda step: (step[0], step[2]))
    users, items, days = zip(*steps, strict=True)
    return Sequences(
        world.user_ids,
        np.array(users),
        world.item_ids[list(items)],
        np.arange(len(users), dtype=np.int32) % 3 + 1,
        np.array(days, "datetime64[D]"),
    )


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StepContext]:
    """A shop whose champion, a ranker, was promoted before the days that judge."""
    settings = load_settings(
        home=tmp_path, sasrec_epochs=2, sasrec_width=8, sasrec_heads=1, sasrec_blocks=1, list_length=10,
        num_candidates=10, judge_days=2, promote_min_users=2,
    )  # fmt: skip
    monkeypatch.setattr(train, "read_sequences", lambda lake, day: sequences())
    monkeypatch.setattr(train, "load_world", lambda lake, cutoff: replace(tiny_world(), cutoff=cutoff))
    empty = Impressions(arrow_schema(TRAINING_IMPRESSIONS).empty_table())
    monkeypatch.setattr(train, "read_impressions", lambda lake, day, after: empty)
    monkeypatch.setattr(train, "refuse_mixed", lambda lake, read: None)
    monkeypatch.setattr(train, "_data_digest", lambda context, ends: "data")
    monkeypatch.setattr("jobs.io.lake.Lake.files", lambda lake, table, days: [])
    _, digest = save_model(tiny_model(tiny_world()), {}, settings.home / "models")
    with State.of(settings).lease("test", "train", 60, is_last=True) as lease:
        context = StepContext.of(settings, lease)
        context.state.put(PROMOTIONS, "1", {"day": str(FIT), "sha256": digest})
        manifest = {
            "kind": names.RETRAIN, "day": str(DAY), "champion": "1", "feed": {"repeats_allowed": True, "missing_consent": "granted"},
            "settings": settings.run_settings() | {"rank_days": 1},
        }  # fmt: skip
        context.state.put(
            RUNS, run_key(names.RETRAIN, DAY), {"manifest": manifest, "sha256": digest_of(manifest)}
        )
        yield context


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Registered:
    found = Registered()

    @contextmanager
    def opened(settings: Any) -> Iterator[Registered]:
        yield found

    monkeypatch.setattr(train, "open_registry", opened)
    return found


def let_compete(monkeypatch: pytest.MonkeyPatch, *competitors: str, **changes: Any) -> Recommenders:
    chosen = load_recommenders().model_copy(update={"compete": competitors, **changes})
    monkeypatch.setattr(train, "load_recommenders", lambda: chosen)
    return chosen


def test_a_champion_with_a_ranker_is_challenged_by_another_kind(
    context: StepContext, registry: Registered, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = let_compete(monkeypatch, "blend", "ease", "popularity", tie_errors=99.0)
    monkeypatch.setattr(
        train.Contest, "_caution", lambda self, name, ndcg: f"contest: {name} is not the best"
    )
    told = train.run(DAY, context)
    assert told["recommender"] == "blend"
    record = context.state.get(RETRAININGS, str(DAY))
    assert record is not None
    assert record["recommender"] == "blend"
    assert record["verdict"]["reasons"][-1] == told["reasons"][-1] == "contest: blend is not the best"
    assert sorted(record["validation"]["ndcg_at_10"]) == ["blend", "ease", "popularity"]
    assert record["validation"]["num_users"] > 0
    assert set(record["weights"]) == {"sasrec", "ease", "als", "covisitation", "content", "popularity"}
    assert {"challenger", "champion", "popularity", "ease", "als"} <= set(record["metrics"])
    assert registry.told["params"]["challenger.recommender"] == "blend"
    assert registry.told["params"]["best_epoch"] in (1, 2)
    assert (
        registry.told["metrics"]["validation.ease.ndcg_at_10"] == record["validation"]["ndcg_at_10"]["ease"]
    )
    assert (
        registry.told["metrics"]["judge.challenger.ndcg_at_10"]
        == record["metrics"]["challenger"]["ndcg_at_10"]
    )
    assert len(registry.told["curves"]["fit.loss"]) == 2
    model = load_model(registry.told["folder"], registry.told["digest"])
    assert isinstance(model, ScoreModel)
    has_say = {name for name, weight in record["weights"].items() if weight > 0}
    assert set(model.weights) == (has_say or set(record["weights"]))
    facts = json.loads((registry.told["folder"] / "model.json").read_text())["facts"]
    assert facts["recommenders"] == chosen.model_dump(mode="json")


def test_a_recurrent_network_competes_once_the_file_names_it(
    context: StepContext, registry: Registered, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing but the file is other: it is trained, registered, told of on its card, ranks, and says why."""
    given = text_of("recommenders.toml")
    named = re.sub(r"(?m)^compete = .*$", 'compete = ["gru4rec"]', given)
    named = named.replace("width = 64\n", "width = 8\n").replace("epochs = 30\n", "epochs = 2\n")
    monkeypatch.setattr("jobs.training.recommenders.text_of", lambda name: named)
    told = train.run(DAY, context)
    assert told["recommender"] == "gru4rec"
    assert registry.told["params"]["gru4rec.best_epoch"] in (1, 2)
    assert "best_epoch" not in registry.told["params"]
    assert [len(values) for values in registry.told["curves"].values()] == [2, 2]
    assert {"gap.kept", "validation.gru4rec.ndcg_at_10"} <= set(registry.told["metrics"])
    assert "(GRU4Rec)" in registry.told["card"]
    folder, digest = registry.told["folder"], registry.told["digest"]
    assert {path.name for path in folder.iterdir()} == {"model.json", "gru4rec.safetensors"}
    model, world = load_model(folder, digest), tiny_world()
    assert isinstance(model, ScoreModel)
    lists = rank_everyone(world, model, length=5, num_candidates=10, repeats_allowed=True).to_pylist()
    personal = next(row for row in lists if row["source"] == "personal")
    assert len(personal["item_ids"]) == 5
    assert personal["reason_places"]
    ranking = model.ranking(world, length=5, num_candidates=10, repeats_allowed=True)
    assert ranking.explain(NUM_USERS - 1, 7).falls


def test_what_is_registered_knows_the_newest_day_and_its_twin_did_not(
    context: StepContext, registry: Registered, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worlds that recommenders are fitted up to: compared, judged, taught again, registered."""
    let_compete(monkeypatch, "ease")
    fitted: list[date] = []
    fit = train.Contest.fit
    monkeypatch.setattr(
        train.Contest, "fit", lambda self, parts, world, *more, **named: fitted.append(world.cutoff) or fit(self, parts, world, *more, **named)
    )  # fmt: skip
    train.run(DAY, context)
    assert fitted == [FIT, DAY - timedelta(days=2), DAY - timedelta(days=1), DAY]
    assert "best_epoch" not in registry.told["params"]
    assert registry.told["curves"] == {}


def test_a_ranker_is_registered_where_it_is_chosen(
    context: StepContext, registry: Registered, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_compete(monkeypatch, "ranker")
    first = train.run(DAY, context)
    assert isinstance(load_model(registry.told["folder"], registry.told["digest"]), NextItemModel)
    digest = registry.told["digest"]
    assert train.run(DAY, context) == first
    assert registry.told["digest"] == digest  # the same model, byte by byte


@pytest.mark.parametrize(("ending", "is_kept"), [(GateRefused, False), (KeyboardInterrupt, True)])
def test_a_refusal_leaves_nothing_to_go_on_with_and_an_interruption_does(
    context: StepContext,
    registry: Registered,
    monkeypatch: pytest.MonkeyPatch,
    ending: type[BaseException],
    is_kept: bool,
) -> None:
    let_compete(monkeypatch, "sasrec")
    kept: list[bool] = []

    def end(self: Any, *given: Any) -> Any:
        kept.append((context.settings.home / "checkpoints").exists())
        raise ending("nobody wanted one of the candidates")

    monkeypatch.setattr(train.Contest, "learn", end)
    with pytest.raises(ending):
        train.run(DAY, context)
    assert kept == [True]
    assert (context.settings.home / "checkpoints").exists() is is_kept
