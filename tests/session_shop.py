"""A shop whose versions rank sessions, and what its champions say of a history."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix

from contracts.settings import Settings
from contracts.tables import COPURCHASE, COVISITATION, HISTORIES
from jobs.io.lake import Lake
from jobs.io.model_files import save_model
from jobs.io.state import PROMOTIONS, State
from jobs.ranking.score_model import ScoreModel
from models.ease import EASE
from models.sasrec import SASRec, SASRecConfig
from tests.publishing import ITEMS, NUM_ITEMS, NUM_USERS, publish_day, replace_rows, score
from tests.serving_process import Caller

USERS = [f"u{user:04d}" for user in range(NUM_USERS)]
HISTORY = [3, 14, 15]  # everybody's


def transformer() -> ScoreModel:
    network = SASRec(SASRecConfig(NUM_ITEMS, width=8, blocks=1, heads=1, max_length=8), seed=3).eval()
    return ScoreModel(np.array(ITEMS, object), {"sasrec": network}, {"sasrec": 1.0})


def linear() -> ScoreModel:
    taken = csr_matrix(np.random.default_rng(3).random((50, NUM_ITEMS)) < 0.2, dtype=np.float64)
    return ScoreModel(np.array(ITEMS, object), {"ease": EASE(5.0).fit(taken)}, {"ease": 1.0})


def best(model: ScoreModel, history: list[int], count: int = 10) -> list[str]:
    """What the model ranks highest after a history."""
    [recommender] = model.recommenders.values()
    (scores_N,) = recommender.score([np.array(history)])
    return [ITEMS[item] for item in np.argsort(-scores_N, kind="stable")[:count]]


def publish_with(settings: Settings, day: date, champion: str, model: ScoreModel) -> None:
    """A day's lists, with a champion and the histories that it reads."""
    score(settings, day, champion=champion)
    _, digest = save_model(model, {}, settings.home / "models")
    state = State.of(settings)
    state.put(PROMOTIONS, champion, {"day": str(day - timedelta(days=1)), "sha256": digest})
    ids = [ITEMS[item] for item in HISTORY]
    with state.lease(f"histories-{day}", "score", 60, is_last=True) as lease:
        lake = Lake.of(settings, lease)
        numbers = {name: [[1, 1, 1]] * NUM_USERS for name in HISTORIES.columns if "_d" in name}
        replace_rows(
            lake, HISTORIES.name, day,
            user_id=USERS, item_ids=[ids] * NUM_USERS, seen_item_ids=[sorted(ids)] * NUM_USERS, **numbers,
        )  # fmt: skip
        for table in (COVISITATION, COPURCHASE):
            replace_rows(lake, table.name, day, item_id=[])
    told = publish_day(settings, day)
    assert told["sessions"] == NUM_USERS


def viewed(item: int, seconds_ago: float = 30, **more: Any) -> dict[str, Any]:
    at = datetime.now(UTC) - timedelta(seconds=seconds_ago)
    return {"item_id": ITEMS[item], "event_type": "view", "occurred_at": at.isoformat(), **more}


def decided(
    api: Caller, session: list[dict[str, Any]] | None = None, beside: int | None = None, **who: str
) -> dict[str, Any]:
    body: dict[str, Any] = {"surface": "home", **(who or {"user_id": "u0007"})}
    if session:
        body["session"] = session
    if beside is not None:
        body["context"] = {"item_id": ITEMS[beside]}
    status, answer = api.ask("POST", "/v1/decisions", body)
    assert status == 200, answer
    found: dict[str, Any] = json.loads(answer)
    return found


def shown(decision: dict[str, Any]) -> list[str]:
    return [item["item_id"] for item in decision["items"]]
