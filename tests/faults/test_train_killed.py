"""A retraining that is killed between two epochs and run again gives the model that an undisturbed one gives."""

from __future__ import annotations

import json
import shutil
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from mlflow import MlflowClient

from contracts import names
from contracts.settings import Settings, load_settings
from contracts.tables import TABLES
from jobs.features.cutoffs import cutoffs
from jobs.io.lake import Lake
from jobs.io.schemas import arrow_schema
from jobs.io.state import RETRAININGS, RUNS, State
from tests.faults.conftest import Run

pytestmark = [
    pytest.mark.faults,
    pytest.mark.timeout(400),
    pytest.mark.filterwarnings(
        "ignore::DeprecationWarning", "ignore::ResourceWarning"
    ),  # of MLflow's own store
]

DAY = date(2011, 3, 20)
JUDGE_DAYS, RANK_DAYS, EPOCHS = 2, 1, 3
USERS = [f"u{user:02d}" for user in range(40)]
ITEMS = [f"i{item:02d}" for item in range(24)]


def taken(user: int, day: date) -> list[str]:
    """Everybody walks round a circle of items, two a day."""
    step = 2 * (day - date(2011, 3, 1)).days
    return [ITEMS[(user + step + ahead) % len(ITEMS)] for ahead in (0, 1)]


@pytest.fixture
def shop(tmp_path: Path) -> Settings:
    """What a retraining reads: the training set of its day, the worlds of its cut-offs, and its manifest."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "settings.env").write_text(
        f"FORETASTE_MLFLOW_URL=sqlite:///{tmp_path}/mlflow.db\nFORETASTE_SASREC_EPOCHS={EPOCHS}\nFORETASTE_SASREC_WIDTH=16\n"
    )
    MlflowClient(f"sqlite:///{tmp_path}/mlflow.db").create_experiment(
        names.experiment(names.NEXT_ITEM_TASK), artifact_location=(tmp_path / "artifacts").as_uri()
    )
    settings = load_settings(home=home)
    state = State.of(settings)
    chosen = settings.run_settings() | {"judge_days": JUDGE_DAYS, "rank_days": RANK_DAYS}
    manifest = {
        "champion": None,
        "settings": chosen,
        "feed": {"repeats_allowed": True, "missing_consent": "granted"},
        "day": str(DAY),
    }
    state.put(RUNS, f"retrain/{DAY}", {"manifest": manifest})
    state.put(RETRAININGS, str(DAY), {"day": str(DAY), "reason": "a test"})
    days = [DAY - timedelta(days=ago) for ago in range(12, -1, -1)]
    with state.lease("test", "build", 60, is_last=True) as lease:
        lake = Lake.of(settings, lease)
        steps = [
            {
                "user_id": user,
                "event_date": day,
                "item_ids": taken(number, day),
                "item_depths": [1] * len(taken(number, day)),
            }
            for number, user in enumerate(USERS)
            for day in days
        ]
        replace(lake, names.SEQUENCES, DAY, steps)
        replace(lake, names.TRAINING_IMPRESSIONS, DAY, [])
        for end in set(cutoffs(DAY, JUDGE_DAYS, RANK_DAYS)):
            build_world(lake, end, [day for day in days if day <= end])
    return settings


def build_world(lake: Lake, end: date, days: list[date]) -> None:
    histories = []
    for number, user in enumerate(USERS):
        items = [item for day in days for item in taken(number, day)]
        seen = sorted(set(items))
        told = {
            "item_depths": [2] * len(items),
            "item_days_ago": [1] * len(items),
            "seen_item_ids": seen,
            "seen_depths": [2] * len(seen),
            "seen_days_ago": [1] * len(seen),
        }
        histories.append({"user_id": user, "item_ids": items, **told})
    pairs = [
        {"item_id": item, "neighbour_id": ITEMS[(at + 1) % len(ITEMS)], "weight": 1.0}
        for at, item in enumerate(ITEMS)
    ]
    replace(lake, names.HISTORIES, end, histories)
    replace(lake, names.COVISITATION, end, pairs)
    replace(lake, names.COPURCHASE, end, pairs)
    items = [
        {"item_id": item, "category": f"c{at % 3}", "is_available": True} for at, item in enumerate(ITEMS)
    ]
    replace(lake, names.DIM_ITEMS, end, items)
    replace(lake, names.FEAT_ITEM_DAILY, end, [{"item_id": item, "popularity_7d": 1} for item in ITEMS])
    replace(lake, names.FEAT_USER_DAILY, end, [{"user_id": user} for user in USERS])
    for table in (names.FEAT_USER_CATEGORY_DAILY, names.FEAT_USER_BRAND_DAILY):
        replace(lake, table, end, [])


def replace(lake: Lake, table: str, day: date, rows: list[dict[str, Any]]) -> None:
    schema = arrow_schema(TABLES[table])
    filled = [dict.fromkeys(schema.names) | row for row in rows]
    lake.replace(table, day, pa.Table.from_pylist(filled, schema=schema), inputs="test")


def models_of(settings: Settings) -> dict[str, dict[str, bytes]]:
    """The files of every model that was made, by the digest that names it."""
    return {
        folder.name: {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
        for folder in (settings.home / "models").iterdir()
    }


def test_a_training_killed_between_epochs_goes_on_to_the_same_model(
    shop: Settings, run: Run, tmp_path: Path
) -> None:
    shutil.copytree(shop.home, tmp_path / "undisturbed")
    undisturbed = load_settings(home=tmp_path / "undisturbed")
    told = run(undisturbed, "step", "train", "--day", str(DAY))
    assert told.returncode == 0, told.stderr

    # The first transformer has been fitted; the one that is judged has seen some of its epochs.
    crossed = EPOCHS + 1
    killed = run(shop, "step", "train", "--day", str(DAY), kill_at="checkpoint:kept", number=crossed)
    assert killed.returncode == -9, killed.stderr
    assert len(list((shop.home / "checkpoints").iterdir())) == 2
    again = run(shop, "step", "train", "--day", str(DAY))
    assert again.returncode == 0, again.stderr
    assert again.stderr.count("training_resumed") == 2
    assert f"after_epoch={EPOCHS}" in again.stderr
    assert "after_epoch=1" in again.stderr

    (model,) = models_of(undisturbed)
    assert models_of(shop) == models_of(undisturbed)
    for settings in (shop, undisturbed):
        assert not (settings.home / "checkpoints").exists()
        record = State.of(settings).get(RETRAININGS, str(DAY))
        assert record is not None
        assert record["sha256"] == model
    assert json.loads(models_of(shop)[model]["model.json"])["facts"]["day"] == str(DAY)
