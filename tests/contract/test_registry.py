"""Links to MLflow are addresses that people can follow, whatever address the steps use."""

from __future__ import annotations

from pathlib import Path

import pytest

from contracts.errors import ServiceUnreachable
from contracts.settings import load_settings
from jobs.io.registry import open_registry

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
