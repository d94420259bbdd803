"""Settings are read once, typed, and every one of them is documented."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from contracts.errors import SettingInvalid
from contracts.settings import RUN_SETTINGS, SETTINGS_BEFORE, Settings, load_settings, settings_table

DOCS = Path(__file__).resolve().parents[3] / "docs"


def test_the_documented_settings_are_the_settings() -> None:
    assert (DOCS / "settings.md").read_text().rstrip().endswith(settings_table())


def test_every_setting_says_what_it_means() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_a_wrong_value_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FORETASTE_JUDGE_DAYS", "soon")
    with pytest.raises(SettingInvalid, match="FORETASTE_JUDGE_DAYS='soon'"):
        load_settings(home=tmp_path)


def test_the_environment_wins_over_the_home_folders_files(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "services.env").write_text(
        "FORETASTE_S3_BUCKET=embedded\nFORETASTE_S3_REGION=embedded\nFORETASTE_SEED=1\n"
    )
    (tmp_path / "settings.env").write_text("FORETASTE_S3_REGION=person\nFORETASTE_SEED=2\n")
    monkeypatch.setenv("FORETASTE_SEED", "3")
    settings = load_settings(home=tmp_path)
    assert (settings.s3_bucket, settings.s3_region, settings.seed) == ("embedded", "person", 3)


def test_what_a_run_computes_with_is_recorded() -> None:
    assert set(RUN_SETTINGS) <= set(Settings.model_fields)
    assert set(Settings().run_settings()) == set(RUN_SETTINGS)
    assert SETTINGS_BEFORE.keys() < set(RUN_SETTINGS)


def test_secrets_are_not_shown() -> None:
    assert "hidden" not in repr(Settings(redis_url="redis://:hidden@localhost/0"))


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"sasrec_inputs": "gaps, hour"}, "'hour' is no input; there are gaps, types"),
        ({"notify": "log, pigeon"}, "'pigeon' is no channel; there are log, webhook, email"),
        ({"notify": "webhook"}, "the channel webhook needs FORETASTE_NOTIFY_WEBHOOK_URL"),
        ({"notify": "email"}, "the channel email needs FORETASTE_NOTIFY_EMAIL_TO"),
        ({"approval": "nobody"}, "FORETASTE_APPROVAL='nobody'"),
        ({"approval_hours": 0}, "FORETASTE_APPROVAL_HOURS=0"),
    ],
)
def test_an_alarm_that_would_reach_nobody_is_refused_at_the_door(
    tmp_path: Path, given: dict[str, Any], told: str
) -> None:
    with pytest.raises(SettingInvalid, match=told):
        load_settings(home=tmp_path, **given)


def test_channels_are_a_list(tmp_path: Path) -> None:
    settings = load_settings(home=tmp_path, notify="log, email,", notify_email_to="ada@shop.example")
    assert settings.channels == ("log", "email")
