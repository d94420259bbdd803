"""The proof holds where Foretaste is whole, and fails where its alarm, its gate or its outcomes are sabotaged."""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from simulator.faults import shuffle_people
from simulator.proof import SHORT, SeedResult, prove_seed
from simulator.proof_report import judge_proof, recovery

pytestmark = [pytest.mark.loop, pytest.mark.slow, pytest.mark.timeout(1800)]

SABOTEUR = (sys.executable, str(Path(__file__).with_name("saboteur.py")))
SEED = 311


def told(result: SeedResult) -> str:
    claims = {claim.sentence: str(claim.estimate) for claim in judge_proof([result]).claims}
    verdicts: list[Any] = result.arms["adaptive"].verdicts
    return json.dumps({"claims": claims, "adaptive": verdicts}, indent=1)


def test_a_short_proof_holds(tmp_path: Path) -> None:
    result = prove_seed(tmp_path / "proof", SHORT, SEED)
    assert recovery(result) > 0.5, told(result)
    first, *_ = [verdict for verdict in result.arms["adaptive"].verdicts if verdict["has_rung"]]
    assert first["day"] <= str(SHORT.live[SHORT.shift_on + 1]), told(result)


@pytest.mark.parametrize(
    "sabotage",
    [
        partial(prove_seed, adaptive_when="never"),
        partial(prove_seed, command=SABOTEUR),
        partial(prove_seed, spoil=shuffle_people),
    ],
    ids=["the alarm is cut", "the gate is inverted", "outcomes are shuffled"],
)
def test_a_sabotaged_proof_fails(tmp_path: Path, sabotage: Any) -> None:
    result = sabotage(tmp_path / "proof", SHORT, SEED)
    assert not judge_proof([result]).is_proven, told(result)
    assert recovery(result) < 0.5, told(result)
