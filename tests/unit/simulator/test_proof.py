"""What a proof claims, on results that are written out: each claim can fail alone."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from simulator import proof
from simulator.arms import ArmResult, DayOutcome
from simulator.proof import SHORT, Plan, SeedResult
from simulator.proof_report import Estimate, judge_proof, recovery, write_pages

PLAN = Plan(history_days=10, live_days=20, shift_on=10)


def arm(
    name: str, rates: list[float], retrainings: int = 0, coverage: float = 0.5, gini: float = 0.4
) -> ArmResult:
    """An arm with so many clicks a visit on each day; coverage and Gini are those of the last ten days."""
    days = [
        DayOutcome(
            str(PLAN.live[number]), 100, round(100 * rate), 100 * rate,
            coverage if number >= 10 else 0.5, gini if number >= 10 else 0.4,
        )
        for number, rate in enumerate(rates)
    ]  # fmt: skip
    verdicts: list[dict[str, Any]] = [
        {
            "day": str(PLAN.live[number]), "refused": "", "verdict": "drift" if number < retrainings else "ok",
            "reasons": ["tastes lost 50%"] if number < retrainings else [], "has_rung": number < retrainings,
            "retrained": "promoted" if number < retrainings else "", "retraining_reasons": [],
        }
        for number in range(len(rates))
    ]  # fmt: skip
    return ArmResult(name, days, verdicts)


def result(seed: int = 1, after: float = 0.97, **adaptive: Any) -> SeedResult:
    """Daily keeps one click a visit, frozen half of it from the shift on, adaptive ``after``."""
    arms = {
        "adaptive": arm("adaptive", [1.0] * 10 + [after] * 10, **{"retrainings": 3, **adaptive}),
        "frozen": arm("frozen", [1.0] * 10 + [0.5] * 10),
        "daily": arm("daily", [1.0] * 20, retrainings=20),
        "optimum": arm("optimum", [2.0] * 20),
    }
    return SeedResult(seed, PLAN, arms, 1.0, "code")


def failing(**changes: Any) -> list[str]:
    return [claim.sentence for claim in judge_proof([result(**changes)]).claims if not claim.holds]


def test_a_loop_that_closes_is_proven() -> None:
    verdict = judge_proof([result()])
    assert verdict.is_proven
    assert recovery(result()) == pytest.approx(0.94)


@pytest.mark.parametrize(
    ("changes", "claim"),
    [
        ({"after": 0.94}, "won back of what the shift cost"),
        ({"retrainings": 6}, "share of its retrainings"),
        ({"coverage": 0.39}, "coverage kept"),
        ({"gini": 0.46}, "Gini of exposure risen"),
    ],
)
def test_each_claim_can_fail_alone(changes: dict[str, Any], claim: str) -> None:
    (failed,) = failing(**changes)
    assert failed.startswith(claim)


def test_a_claim_holds_on_average_and_tells_on_how_many_seeds_it_does() -> None:
    verdict = judge_proof([result(seed=1, after=0.94), result(seed=2, after=0.99)])
    (won_back,) = (claim for claim in verdict.claims if claim.sentence.startswith("won back"))
    assert won_back.holds
    assert won_back.held == (False, True)


def test_a_loop_that_stays_frozen_wins_back_nothing_and_reaches_less() -> None:
    assert recovery(result(after=0.5)) == 0
    assert [sentence.split(" (")[0] for sentence in failing(after=0.5, retrainings=0)] == [
        "share of daily retraining's clicks",
        "won back of what the shift cost",
    ]


def test_where_daily_retraining_gains_nothing_there_is_nothing_to_win_back() -> None:
    found = result()
    assert recovery(SeedResult(1, PLAN, found.arms | {"daily": found.arms["frozen"]}, 1.0, "code")) == 0


def test_an_estimate_has_an_interval_from_two_seeds_on() -> None:
    assert str(Estimate((0.5,))) == "0.500"
    # Two values one apart: t of one degree of freedom, 12.706, times their standard error, a half.
    assert str(Estimate((1.0, 2.0))) == "1.500 [-4.853, 7.853]"


def test_a_result_is_kept_and_read_again() -> None:
    found = SeedResult(7, SHORT, result().arms, 2.5, "abc")
    assert SeedResult.from_record(json.loads(json.dumps(found.as_record()))) == found


def test_the_pages_say_what_was_measured(tmp_path: Path) -> None:
    results = [result(seed=1), result(seed=2, after=0.98)]
    write_pages(tmp_path, results, judge_proof(results))
    page = (tmp_path / "proof.md").read_text()
    assert "2 seed(s) (1, 2), 20\nlive days" in page
    assert "| won back of what the shift cost (at least 0.9) | 0.950 [0.823, 1.077] | yes | 2 of 2 |" in page
    assert "| 2 | 0.990 | 0.150 | 0.960 | 1.000 | 0.000 | 1 |" in page
    assert "* seed 1 2026-01-15: drift, retraining promoted: tastes lost 50%" in page
    assert "The digest of the code that was measured is code." in page
    assert "<svg" in (tmp_path / "proof.svg").read_text()


def test_the_live_days_follow_the_history() -> None:
    assert PLAN.live[0] - PLAN.history[-1] == timedelta(days=1)
    assert PLAN.shift_day == PLAN.live[10] == date(2026, 1, 25)


def test_what_is_finished_is_kept_as_long_as_plan_and_code_are_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = []

    def measure(folder: Path, plan: Plan, seed: int) -> SeedResult:
        folder.mkdir()
        measured.append((plan.live_days, seed, proof.code_digest()))
        return SeedResult(seed, plan, result().arms, 1.0, proof.code_digest())

    monkeypatch.setattr(proof, "prove_seed", measure)
    for plan, code in ((SHORT, "one"), (SHORT, "one"), (PLAN, "one"), (PLAN, "two"), (PLAN, "two")):
        monkeypatch.setattr(proof, "code_digest", lambda code=code: code)
        (found,) = proof.prove(tmp_path, plan, [7])
        assert (found.plan, found.code) == (plan, code)
    assert measured == [(SHORT.live_days, 7, "one"), (PLAN.live_days, 7, "one"), (PLAN.live_days, 7, "two")]
