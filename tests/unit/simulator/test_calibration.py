"""What a calibration comes to, on results that are written out: each thing can fail alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from simulator import calibration
from simulator.calibration_report import IncidentFound, QuietYear, false_alarms, is_calibrated, write_page

FOUND = IncidentFound(
    "taste shift", 1, "drift", 2, {"2026-02-25": "drift: tastes lost"}, ["2026-02-25"], True
)


def year(num_alarms: int = 0, num_days: int = 365, **called: dict[str, str]) -> QuietYear:
    alarms = {f"2026-03-{day + 1:02d}": ["tastes lost"] for day in range(num_alarms)}
    return QuietYear(1, num_days, alarms, invalid={}, refused=called.get("refused", {}), seconds=1.0)


def test_false_alarms_are_counted_by_the_quarter() -> None:
    rate, half = false_alarms([year(4), year(0)])
    assert rate == 0.5
    assert half == pytest.approx(1.96 * 2 / 8)
    assert false_alarms([year(1, num_days=73)])[0] == 1.25


@pytest.mark.parametrize(
    ("years", "found", "holds"),
    [
        ([year(4)], FOUND, True),
        ([year(5)], FOUND, False),
        ([year(refused={"2026-03-01": "DayRefused: half a file"})], FOUND, False),
        ([year()], IncidentFound("bots", 1, "invalid", None, {}, [], False), False),
    ],
)
def test_it_is_calibrated_when_nothing_is_wrong(
    years: list[QuietYear], found: IncidentFound, holds: bool
) -> None:
    assert is_calibrated(years, [found]) is holds


def test_its_page_tells_every_call(tmp_path: Path) -> None:
    write_page(tmp_path, [year(1)], [FOUND])
    page = (tmp_path / "calibration.md").read_text()
    assert "quiet seed 1 2026-03-01: alarm: tastes lost" in page
    assert "| taste shift | 1 | drift | 2 | yes | 2026-02-25 drift: tastes lost |" in page
    assert "1.00 ± 1.96 false alarms a quarter" not in page
    assert "365 quiet days of 1 worlds: 0.25 ± 0.49 false alarms a quarter (at most 1)" in page.replace(
        "\n", " "
    )


def test_what_is_finished_is_kept_as_long_as_the_code_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[str] = []

    def quiet(folder: Path, seed: int, num_days: int) -> QuietYear:
        measured.append(folder.name)
        return year(num_days=num_days)

    def incident(folder: Path, expected: calibration.Expected, seed: int) -> IncidentFound:
        measured.append(folder.name)
        return FOUND

    monkeypatch.setattr(calibration, "quiet_year", quiet)
    monkeypatch.setattr(calibration, "incident_found", incident)
    monkeypatch.setattr(calibration, "code_digest", lambda: "one")
    first = calibration.calibrate(tmp_path, 90)
    assert len(measured) == len(calibration.QUIET_SEEDS) + len(calibration.EXPECTED)
    assert calibration.calibrate(tmp_path, 90) == first
    assert len(measured) == len(set(measured))  # nothing was measured twice
    monkeypatch.setattr(calibration, "code_digest", lambda: "two")
    calibration.calibrate(tmp_path, 90)
    assert len(measured) == 2 * len(set(measured))
