"""Links to MLflow are addresses that people can follow, whatever address the steps use."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from contracts.errors import ServiceUnreachable
from contracts.settings import load_settings
from jobs.io.registry import Registry, open_registry

pytestmark = pytest.mark.contract


@pytest.mark.parametrize(
    ("public", "shown"), [("", "http://mlflow:5000"), ("http://localhost:5000", "http://localhost:5000")]
)
def test_a_run_is_linked_by_the_public_address_where_there_is_one(
    tmp_path: Path, public: str, shown: str
) -> None:
    settings = load_settings(home=tmp_path, mlflow_url="http://mlflow:5000", mlflow_public_url=public)
    with open_registry(settings) as registry:
        assert registry.url == shown


def test_without_an_address_the_registry_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ServiceUnreachable, match="foretaste up"), open_registry(load_settings(home=tmp_path)):
        pass


@pytest.mark.filterwarnings(
    "ignore::DeprecationWarning"
)  # of the server's store, which a server runs elsewhere
def test_everything_that_is_told_of_a_model_is_kept_in_few_requests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    experiment_id = client.create_experiment("next-item", artifact_location=tmp_path.as_uri())
    asked = []
    log_batch = client.log_batch

    def count(*arguments: Any, **named: Any) -> None:
        asked.append(arguments)
        log_batch(*arguments, **named)

    monkeypatch.setattr(client, "log_batch", count)
    run_id = client.create_run(experiment_id).info.run_id
    Registry(client, "next-item", "http://mlflow")._log(
        run_id,
        params={f"setting_{number}": number for number in range(101)},
        metrics={"ndcg_at_10": 0.25},
        curves={"loss": [float(1000 - number) for number in range(1000)]},
    )
    run = client.get_run(run_id).data
    assert (len(run.params), run.params["setting_100"], run.metrics["ndcg_at_10"]) == (101, "100", 0.25)
    history = client.get_metric_history(run_id, "loss")
    assert [(metric.step, metric.value) for metric in history] == [
        (number + 1, 1000 - number) for number in range(1000)
    ]
    assert len(asked) == 4
