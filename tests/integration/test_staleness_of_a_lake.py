"""A model is trained as of a past day of a lake and judged on each day since, by the command that a person types."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from contracts.feed import days_between
from contracts.settings import load_settings
from jobs.cli import cli
from jobs.io.state import STALENESS, State
from jobs.training.recommenders import load_recommenders
from tests.walking_shop import FIRST, build_lake

pytestmark = pytest.mark.integration

LAST = FIRST + timedelta(days=33)
TURNED = LAST - timedelta(days=5)
SMALL = {
    "SASREC_WIDTH": "16", "SASREC_BLOCKS": "1", "SASREC_HEADS": "1", "SASREC_EPOCHS": "6", "HISTORY_LENGTH": "20",
    "SASREC_HORIZON": "1", "NUM_CANDIDATES": "24", "LIST_LENGTH": "24", "SASREC_LEARNING_RATE": "0.01",
}  # fmt: skip


def foretaste(home: Path, *arguments: str) -> str:
    environment = {
        "FORETASTE_HOME": str(home),
        **{f"FORETASTE_{name}": value for name, value in SMALL.items()},
    }
    result = CliRunner().invoke(cli, list(arguments), env=environment, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    settings = load_settings(home=home)
    start = LAST - timedelta(days=14)
    worlds = [start - timedelta(days=3), *days_between(start, LAST)]
    worlds.remove(LAST - timedelta(days=9))  # a day that was never run
    build_lake(settings, LAST, worlds, turned_on=TURNED)
    return home


def test_when_everybody_walks_another_way_the_advice_is_to_retrain_by_then(home: Path) -> None:
    told = foretaste(home, "staleness", "--day", str(LAST), "--days", "14")
    settings = load_settings(home=home)
    record = State.of(settings).get(STALENESS, str(LAST))
    assert record is not None
    assert record["fitted_on"] == str(LAST - timedelta(days=14))
    assert record["recommender"] in load_recommenders().compete
    ages = {aged["age"]: aged for aged in record["ages"]}
    assert sorted(ages) == [age for age in range(1, 15) if age != 6]  # of whose day before there is no world
    turned = (TURNED - LAST).days + 14
    assert ages[turned - 1]["ndcg"]["mean"] > 0.6  # as known the day before, the next step is easy
    assert ages[turned + 1]["ndcg"]["mean"] < 0.4
    assert turned - 3 <= record["retrain_every"] <= turned
    assert told.splitlines()[-2] == f"Advice: {record['advice']}."
    page = Path(told.splitlines()[-1])
    assert page == settings.reports_path / "staleness.html"
    assert record["advice"] in page.read_text()
    assert len((page.parent / "data" / "staleness.csv").read_text().splitlines()) == 14
    assert json.loads(foretaste(home, "staleness", "--day", str(LAST), "--days", "14", "--json")) == record


def test_days_that_were_only_loaded_cannot_be_judged(home: Path) -> None:
    early = date.fromisoformat(str(LAST - timedelta(days=20)))
    environment = {"FORETASTE_HOME": str(home)}
    result = CliRunner().invoke(cli, ["staleness", "--day", str(early)], env=environment)
    assert "which its own run builds" in str(result.exception)
