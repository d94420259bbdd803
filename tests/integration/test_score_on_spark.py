"""Spark's workers rank everybody to the very bytes that processes of one machine give."""

from __future__ import annotations

from pathlib import Path

import pytest

from contracts import names
from contracts.settings import load_settings
from jobs import score
from jobs.io.state import State
from jobs.ranking.shares import SHARE
from jobs.runs import StepContext
from tests.scoring import write_day
from tests.tiny_world import DAY

pytestmark = pytest.mark.integration


def test_a_day_that_spark_has_scored_is_byte_for_byte_that_of_processes(tmp_path: Path) -> None:
    contents, told = [], []
    for how in ("processes", "spark"):
        settings = load_settings(home=tmp_path / how, score_with=how, spark_memory="600m")
        with State.of(settings).lease("test", "score", 600, is_last=True) as lease:
            context = StepContext.of(settings, lease)
            write_day(context, SHARE + 100)  # two shares
            told.append(score.run(DAY, context))
            contents.append(context.lake.verify(names.LISTS, DAY).files)
            assert not list((context.lake.root / "_staging").iterdir())
    assert contents[0] == contents[1]
    assert told[0] == told[1]
    assert told[0]["encoded"] > 1000
    assert min(told[0]["sources"]["personal"], told[0]["sources"]["content"]) > 10
