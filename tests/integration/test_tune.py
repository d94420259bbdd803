"""A search for settings in a lake, by the command that a person types, with a real MLflow to keep it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from click.testing import CliRunner

from contracts import names
from contracts.errors import PartitionMissing
from contracts.settings import Settings, load_settings
from contracts.tables import SEQUENCES
from jobs.cli import cli
from jobs.io.lake import Lake
from jobs.io.schemas import arrow_schema
from jobs.io.state import State
from jobs.services import down, running
from jobs.tune import tune
from tests.walking_shop import FIRST, begin_retraining, build_lake

pytestmark = pytest.mark.integration

DAY = FIRST + timedelta(days=24)
SMALL = {
    "sasrec_width": 16, "sasrec_blocks": 1, "sasrec_heads": 2, "sasrec_epochs": 4, "history_length": 20,
    "sasrec_horizon": 20,  # of those to come any: the worst that there is, where everybody takes the next
}  # fmt: skip


def environment_of(settings: Settings) -> dict[str, str]:
    given = {name: getattr(settings, name) for name in (*SMALL, "home", "mlflow_url")}
    return {f"FORETASTE_{name.upper()}": str(value) for name, value in given.items()}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    settings = load_settings(home=tmp_path / "home", **SMALL)
    build_lake(settings, DAY, [DAY - timedelta(days=9)])
    begin_retraining(settings, DAY, judge_days=6, rank_days=3)
    return settings


@pytest.fixture
def with_mlflow(settings: Settings) -> Iterator[Settings]:
    try:
        with running(settings, only={"mlflow"}) as connected:
            yield connected
    finally:
        down(settings)


def test_the_command_searches_tells_applies_and_keeps_it_in_mlflow(with_mlflow: Settings) -> None:
    from mlflow.tracking import MlflowClient

    home = with_mlflow.home
    (home / "settings.env").write_text("# mine\nFORETASTE_SEED=7\n")
    environment = environment_of(with_mlflow)
    asked = ["tune", "--day", str(DAY), "--trials", "5", "--minutes", "20"]
    first = CliRunner().invoke(cli, asked, env=environment, catch_exceptions=False)
    assert first.exit_code == 0
    told = re.findall(r"^trial \d+", first.output, re.MULTILINE)
    assert len(told) == 10  # as they end, and in order at the end
    validated = (DAY - timedelta(days=8), DAY - timedelta(days=6))
    assert f"wanted from {validated[0]} to {validated[1]}" in first.output
    assert "surely better" in first.output
    assert (home / "settings.env").read_text() == "# mine\nFORETASTE_SEED=7\n"
    page = first.output.splitlines()[-1]
    client = MlflowClient(with_mlflow.mlflow_url)
    experiment = client.get_experiment_by_name("foretaste/tune")
    again = CliRunner().invoke(cli, [*asked, "--apply"], env=environment, catch_exceptions=False)
    assert re.findall(r"^trial \d+", again.output, re.MULTILINE) == told[5:]  # nothing was tried again
    assert again.output.splitlines()[-2] == page
    (run,) = client.search_runs([experiment.experiment_id])
    assert page.endswith(run.info.run_id)
    assert run.data.metrics["validation.ndcg_at_10"] > run.data.metrics["present.ndcg_at_10"]
    table = Path(client.download_artifacts(run.info.run_id, "trials.csv", str(home))).read_text().splitlines()
    assert len(table) == 6
    written = (home / "settings.env").read_text()
    assert written.startswith("# mine\nFORETASTE_SEED=7\nFORETASTE_SASREC_LEARNING_RATE=")
    assert load_settings(home=home).sasrec_horizon == int(run.data.params["sasrec_horizon"]) != 20


def test_the_days_that_judge_are_never_read(settings: Settings) -> None:
    before = tune(settings, DAY, trials=2, minutes=20)
    assert before.mlflow_url.startswith("not in MLflow")
    end = DAY - timedelta(days=6)
    with State.of(settings).lease("test", "spoil", 60, is_last=True) as lease:
        lake = Lake.of(settings, lease)
        rows = lake.read(names.SEQUENCES, DAY).to_pylist()
        assert sum(row["split"] == "judge" for row in rows) > 100
        spoilt = [{**row, "item_ids": ["i00"] * 9} if row["event_date"] > end else row for row in rows]
        table = pa.Table.from_pylist(spoilt, schema=arrow_schema(SEQUENCES))
        lake.replace(names.SEQUENCES, DAY, table, inputs="spoilt")
    after = tune(settings, DAY, trials=2, minutes=20)
    assert after.trials == before.trials  # the very same search, to the seconds that its trials took


def test_other_days_or_settings_are_another_search(settings: Settings) -> None:
    first = tune(settings, DAY, trials=1, minutes=20)
    other = tune(settings.model_copy(update={"sasrec_epochs": 3}), DAY, trials=1, minutes=20)
    assert len(list((settings.home / "tune").glob("*.sqlite"))) == 2
    assert first.trials[0].epochs > other.trials[0].epochs


def test_a_day_without_a_retraining_says_what_to_do(settings: Settings) -> None:
    with pytest.raises(PartitionMissing, match="foretaste retrain --day"):
        tune(settings, DAY - timedelta(days=1), trials=1, minutes=1)
