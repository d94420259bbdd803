"""MLflow: log a challenger, read and move an alias, fetch a registered model by digest.

Importing MLflow takes seconds, so a step that only scores reads the model from the home folder, where it
stands under its digest, and asks MLflow only when it is not there.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from contracts import names
from contracts.errors import ModelRefused, ServiceUnreachable
from contracts.settings import Settings, environment_of_library
from jobs.io.state import Lease

DIGEST_TAG = "foretaste.sha256"
DAY_TAG = "foretaste.day"


class Registry:
    """One task's models in one MLflow server."""

    def __init__(self, client: Any, task: str, url: str) -> None:
        self._client = client
        self._task = task
        self._name = names.registered_model(task)
        self.url = url  # as people reach it

    def log_challenger(
        self,
        folder: Path,
        digest: str,
        *,
        day: str,
        params: Mapping[str, Any],
        metrics: Mapping[str, float],
        curves: Mapping[str, list[float]],
    ) -> tuple[str, str]:
        """Register a model folder as a new version; the same digest is registered once. Returns (version, run's page)."""
        found = self._version_with(digest)
        if found is not None:
            return str(found.version), self._run_page(found.run_id)
        run_id = self._begin(f"{self._task}-{day}")
        self._log(run_id, params, metrics, curves)
        self._client.log_artifacts(run_id, str(folder), "model")
        self._end(run_id)
        try:
            self._client.create_registered_model(self._name)
        except Exception as error:  # MLflow has one class for every refusal; only "exists" is fine
            if getattr(error, "error_code", "") != "RESOURCE_ALREADY_EXISTS":
                raise
        version = self._client.create_model_version(
            self._name, f"runs:/{run_id}/model", run_id=run_id, tags={DIGEST_TAG: digest, DAY_TAG: day}
        )
        self._client.set_registered_model_alias(self._name, names.CHALLENGER, version.version)
        return str(version.version), self._run_page(run_id)

    def log_search(
        self, name: str, *, params: Mapping[str, Any], metrics: Mapping[str, float], table: str
    ) -> str:
        """Keep a search: its best settings and figures, and all its trials as ``trials.csv``. Returns the run's page."""
        run_id = self._begin(name)
        self._log(run_id, params, metrics, {})
        self._client.log_text(run_id, table, "trials.csv")
        self._end(run_id)
        return self._run_page(run_id)

    def _begin(self, name: str) -> str:
        """A new run in the task's experiment."""
        experiment = self._client.get_experiment_by_name(names.experiment(self._task))
        experiment_id = (
            experiment.experiment_id
            if experiment
            else self._client.create_experiment(names.experiment(self._task))
        )
        return str(self._client.create_run(experiment_id, run_name=name).info.run_id)

    def _end(self, run_id: str) -> None:
        with environment_of_library(
            {"MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true"}
        ):  # the run's page is returned
            self._client.set_terminated(run_id)

    def _log(
        self,
        run_id: str,
        params: Mapping[str, Any],
        metrics: Mapping[str, float],
        curves: Mapping[str, list[float]],
    ) -> None:
        """In few requests: one for each figure takes longer than a small model's epoch."""
        from mlflow.entities import Metric, Param
        from mlflow.utils.time import get_current_time_millis
        from mlflow.utils.validation import MAX_METRICS_PER_BATCH, MAX_PARAMS_TAGS_PER_BATCH

        now = get_current_time_millis()
        told = [Metric(key, float(value), now, 0) for key, value in metrics.items()]
        for key, values in curves.items():
            told += [Metric(key, float(value), now, step) for step, value in enumerate(values, start=1)]
        for first in range(0, len(told), MAX_METRICS_PER_BATCH):
            self._client.log_batch(run_id, metrics=told[first : first + MAX_METRICS_PER_BATCH])
        given = [Param(key, str(value)) for key, value in params.items()]
        for first in range(0, len(given), MAX_PARAMS_TAGS_PER_BATCH):
            self._client.log_batch(run_id, params=given[first : first + MAX_PARAMS_TAGS_PER_BATCH])

    def promote(self, version: str, lease: Lease) -> None:
        """Make a version the champion, under our lease: MLflow itself would let two racers both win."""
        with lease.guard():
            self._client.set_registered_model_alias(self._name, names.CHAMPION, version)

    def log_verdict(self, version: str, verdict: Mapping[str, Any], texts: Mapping[str, str]) -> None:
        """Keep the verdict with its reasons, and texts by file name, beside the model."""
        run_id = self._client.get_model_version(self._name, version).run_id
        self._client.log_dict(run_id, dict(verdict), "verdict.json")
        for name, text in texts.items():
            self._client.log_text(run_id, text, name)

    def champion(self) -> str | None:
        """The version that the alias names."""
        aliases = {}
        for model in self._client.search_registered_models(f"name='{self._name}'"):
            aliases = dict(model.aliases)
        return str(aliases[names.CHAMPION]) if names.CHAMPION in aliases else None

    def fetch(self, version: str, digest: str, root: Path) -> Path:
        """A registered model's folder below ``root``, downloaded.

        Raises:
            ModelRefused: what is registered has another digest.
        """
        found = self._client.get_model_version(self._name, version)
        if found.tags.get(DIGEST_TAG) != digest:
            raise ModelRefused(
                f"{self._name} version {version} is registered with digest {found.tags.get(DIGEST_TAG)}, not {digest}. Retrain."
            )
        folder = root / digest
        staged = root / f".fetched-{digest}"
        shutil.rmtree(staged, ignore_errors=True)
        staged.mkdir(parents=True)
        self._client.download_artifacts(found.run_id, "model", str(staged))
        shutil.rmtree(folder, ignore_errors=True)
        (staged / "model").rename(folder)
        shutil.rmtree(staged)
        return folder

    def _version_with(self, digest: str) -> Any:
        versions = self._client.search_model_versions(
            f"name='{self._name}' and tags.`{DIGEST_TAG}`='{digest}'"
        )
        return versions[0] if versions else None

    def _run_page(self, run_id: str) -> str:
        run = self._client.get_run(run_id)
        return f"{self.url}/#/experiments/{run.info.experiment_id}/runs/{run_id}"


@contextmanager
def open_registry(settings: Settings, task: str = names.NEXT_ITEM_TASK) -> Iterator[Registry]:
    """The registry that the settings name.

    Raises:
        ServiceUnreachable: MLflow does not answer.
    """
    with environment_of_library({"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}):
        # MLflow decides at its import whether it calls home, and would leave a file in the user's own.
        from mlflow.exceptions import MlflowException
        from mlflow.tracking import MlflowClient
    logging.getLogger("mlflow").setLevel(logging.WARNING)  # says at INFO that it may wait for five minutes
    from requests.exceptions import RequestException

    if not settings.mlflow_url:
        raise ServiceUnreachable(
            "no MLflow server: set FORETASTE_MLFLOW_URL or start the embedded one with `foretaste up`"
        )
    try:
        yield Registry(
            MlflowClient(settings.mlflow_url, settings.mlflow_url),
            task,
            settings.mlflow_public_url or settings.mlflow_url,
        )
    except (RequestException, MlflowException) as error:
        if isinstance(error, MlflowException) and error.error_code not in (
            "INTERNAL_ERROR",
            "TEMPORARILY_UNAVAILABLE",
        ):
            raise
        raise ServiceUnreachable(
            f"MLflow at {settings.mlflow_url} does not answer: {str(error).splitlines()[0]}"
        ) from error


def model_folder(settings: Settings, version: str, digest: str) -> Path:
    """Where a registered model lies on this machine; fetched from MLflow when it is not there or torn."""
    from jobs.io.model_files import digest_of_folder

    root = settings.home / "models"
    folder = root / digest
    try:
        if digest_of_folder(folder) == digest:
            return folder
    except OSError:
        pass
    with open_registry(settings) as registry:
        return registry.fetch(version, digest, root)
