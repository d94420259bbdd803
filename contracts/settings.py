"""The one typed Settings object, and the only reader of the environment.

Values come, in this order, from the environment (``FORETASTE_…``), from ``settings.env`` in the home
folder (a person's, or the demo's), from ``services.env`` beside it (written by ``foretaste up`` with the
addresses and secrets of the embedded servers) and from the defaults below.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from contracts.errors import SettingInvalid

Share = Annotated[float, Field(ge=0, le=1)]
Days = Annotated[int, Field(ge=1, le=3650)]
Port = Annotated[int, Field(ge=1024, le=65535)]

#: Ways in which an alarm reaches people, and what each needs to be told.
NOTIFY_CHANNELS = {"log": "", "webhook": "notify_webhook_url", "email": "notify_email_to"}

#: What the transformer may read of an event beside its item.
SASREC_INPUTS = ("gaps", "types")

#: The settings that decide what a run computes; they are part of its manifest.
RUN_SETTINGS = (
    "list_length",
    "history_length",
    "history_days",
    "judge_days",
    "half_life_days",
    "seed",
    "sasrec_width",
    "sasrec_blocks",
    "sasrec_heads",
    "sasrec_dropout",
    "sasrec_epochs",
    "sasrec_learning_rate",
    "sasrec_horizon",
    "sasrec_item_words",
    "sasrec_inputs",
    "sasrec_loss",
    "sasrec_max_users",
    "num_candidates",
    "train_device",
    "train_processes",
    "threads",  # sums of a training are rounded in another order with another number
    "train_half_life_days",
    "session_gap_minutes",
)
#: What a run did that was begun before there was a setting: its manifest does not name it.
SETTINGS_BEFORE = {
    "sasrec_item_words": False,
    "sasrec_inputs": "",
    "sasrec_loss": "auto",
    "train_device": "cpu",
    "train_processes": 1,
    "train_half_life_days": 0,
    "session_gap_minutes": 30,
}


class Settings(BaseSettings):
    """Every setting of Foretaste; documented in ``docs/settings.md``."""

    model_config = SettingsConfigDict(env_prefix="FORETASTE_", frozen=True, extra="ignore")

    # Where things lie
    home: Path = Field(
        default=Path(".foretaste"), description="All state: lake, warehouse, servers' data, reports."
    )
    feed: str = Field(
        default="", description="The shop's feed: a folder or s3://bucket/prefix. Default: HOME/feed."
    )
    warehouse_url: SecretStr = Field(
        default=SecretStr(""), description="postgresql://… of the warehouse. Default: a DuckDB file in HOME."
    )
    state_url: SecretStr = Field(
        default=SecretStr(""),
        description="SQLAlchemy URL of the state store. Default: a SQLite file in HOME.",
    )
    redis_url: SecretStr = Field(
        default=SecretStr(""),
        description="redis:// or rediss:// of the online store. Default: the embedded Valkey.",
    )
    s3_endpoint_url: str = Field(
        default="", description="S3 endpoint. Default: the embedded SeaweedFS; 'aws' for AWS."
    )
    s3_bucket: str = Field(default="foretaste", description="Bucket that published lists go to.")
    s3_region: str = Field(default="us-east-1", description="Region of the bucket.")
    s3_access_key: SecretStr = Field(
        default=SecretStr(""), description="S3 access key; generated for the embedded one."
    )
    s3_secret_key: SecretStr = Field(
        default=SecretStr(""), description="S3 secret key; generated for the embedded one."
    )
    mlflow_url: str = Field(default="", description="MLflow's address. Default: the embedded server.")
    mlflow_public_url: str = Field(
        default="", description="MLflow's address as people reach it, for links. Default: MLFLOW_URL."
    )
    mlflow_db_url: SecretStr = Field(
        default=SecretStr(""), description="MLflow's database. Default: SQLite in HOME."
    )
    airflow_url: str = Field(default="", description="Airflow's address, for links. Written by `up`.")
    reports_url: str = Field(
        default="", description="Address of the report pages, for links. Written by `up`."
    )
    airflow_db_url: SecretStr = Field(
        default=SecretStr(""), description="Airflow's database. Default: SQLite in HOME."
    )
    api_url: str = Field(default="", description="Address of the decision API, for links. Written by `up`.")
    spark_master: str = Field(default="local[2]", description="Spark master: local[n] or spark://host:port.")
    spark_memory: str = Field(
        default="2g",
        description="Memory of Spark's JVM (local) or of each executor's. Each task takes its own beside it.",
    )

    # Ports of the embedded servers; a default that is taken is replaced by a free one, a port set by hand is not
    redis_port: Port = Field(default=6379, description="Port of the embedded Valkey.")
    s3_port: Port = Field(default=8333, description="Port of the embedded SeaweedFS' S3 gateway.")
    mlflow_port: Port = Field(default=5000, description="Port of the embedded MLflow server.")
    airflow_port: Port = Field(default=8080, description="Port of Airflow's API server and UI.")
    reports_port: Port = Field(
        default=8088, description="Port of the report and dbt docs pages under `foretaste up`."
    )
    api_port: Port = Field(default=8008, description="Port of the decision API.")

    # Scheduling
    schedule: str = Field(
        default="0 3 * * *", description="Cron (UTC) at which the day that has just ended is run."
    )
    schedule_start: str = Field(
        default="", description="First day that the scheduler runs. Empty: no day is scheduled."
    )
    schedule_end: str = Field(default="", description="Last day that the scheduler runs. Empty: no end.")
    retrain_schedule: str = Field(default="0 6 * * 1", description="Cron (UTC) of the regular retraining.")
    delivery_poll_seconds: Annotated[int, Field(ge=5)] = Field(
        default=300, description="How often a late delivery is looked for; no worker is held in between."
    )
    delivery_timeout_hours: Annotated[int, Field(ge=1)] = Field(
        default=12, description="How long a late delivery is waited for before the day is refused."
    )
    retries: Annotated[int, Field(ge=0, le=10)] = Field(
        default=5, description="Retries of a transient error."
    )
    retry_seconds: Annotated[int, Field(ge=1)] = Field(
        default=30, description="First pause before a retry; it doubles."
    )
    lease_seconds: Annotated[int, Field(ge=5)] = Field(
        default=120, description="How long a silent run keeps the lease between two of its steps."
    )

    # Landing
    max_malformed_share: Share = Field(
        default=0.01, description="A delivery with more malformed rows stops the day."
    )
    volume_low: Annotated[float, Field(ge=0)] = Field(
        default=0.1, description="A day below this multiple of its median volume is refused."
    )
    volume_high: Annotated[float, Field(gt=0)] = Field(
        default=10.0, description="A day above this multiple of its median volume is refused."
    )
    volume_min_days: Days = Field(
        default=5, description="Deliveries that must have been seen before volume is judged."
    )

    # The API's journal
    events_from: Literal["files", "api"] = Field(
        default="files",
        description="Where a day's events come from: `files` of the shop, or the `api`, whose journal the landing ships first. A day has one delivery of events.",
    )
    journal_kept_days: Annotated[int, Field(ge=2, le=3650)] = Field(
        default=7,
        description="Days of the API's journal that are kept after they were shipped, unless they are known to have landed: those go sooner.",
    )

    # What a run computes (part of its manifest)
    list_length: Annotated[int, Field(ge=1, le=1000)] = Field(
        default=100, description="Items kept for each user."
    )
    num_candidates: Annotated[int, Field(ge=10, le=5000)] = Field(
        default=120, description="Candidates that each source proposes to the ranker for a user."
    )
    history_length: Annotated[int, Field(ge=2, le=1000)] = Field(
        default=50, description="Events a history keeps."
    )
    history_days: Days = Field(
        default=180, description="Days that histories, training set, co-visitation and co-purchase look back."
    )
    judge_days: Days = Field(
        default=7, description="Most days at the end on which a challenger is judged (h)."
    )
    judge_users: Annotated[int, Field(ge=2)] = Field(
        default=300,
        description="People that are enough to judge by: the fewest days that hold them are judged, two at least.",
    )
    half_life_days: Days = Field(
        default=14, description="Half-life of item popularity and category affinity."
    )
    session_gap_minutes: Annotated[int, Field(ge=1, le=1440)] = Field(
        default=30,
        description="Minutes without an event after which a session ends, where the feed has no `session_id`.",
    )
    seed: int = Field(default=7, description="Seed of everything random in training.")
    sasrec_width: Annotated[int, Field(ge=8, le=1024)] = Field(
        default=64, description="Width of the transformer."
    )
    sasrec_blocks: Annotated[int, Field(ge=1, le=24)] = Field(
        default=2, description="Blocks of the transformer."
    )
    sasrec_heads: Annotated[int, Field(ge=1, le=16)] = Field(default=2, description="Heads of each block.")
    sasrec_dropout: Share = Field(default=0.2, description="Dropout of the transformer.")
    sasrec_epochs: Annotated[int, Field(ge=1, le=1000)] = Field(
        default=30, description="Most epochs of training."
    )
    sasrec_learning_rate: Annotated[float, Field(gt=0, lt=1)] = Field(
        default=3e-3, description="AdamW's learning rate."
    )
    sasrec_horizon: Annotated[int, Field(ge=1, le=100)] = Field(
        default=10,
        description="Training predicts one of the next so many items: more suits shops that sell by the basket.",
    )
    sasrec_max_users: Annotated[int, Field(ge=100)] = Field(
        default=100_000,
        description="Users that networks, EASE and ALS are trained on; of more, a sample by the seed.",
    )
    sasrec_item_words: bool = Field(
        default=False,
        description="Do the networks know items by their title, category and brand as well, and so new ones too?",
    )
    sasrec_inputs: str = Field(
        default="",
        description="What the transformer reads of an event beside its item: gaps (days since the event before), types (view, cart or purchase); commas between.",
    )
    sasrec_loss: Literal["auto", "full", "sampled", "gbce"] = Field(
        default="auto",
        description="Loss of the transformer: over all items, or over shared negatives; auto: full up to 5,000 items, then sampled.",
    )
    train_half_life_days: Annotated[int, Field(ge=0, le=3650)] = Field(
        default=0,
        description="An item of a training sequence counts half as much every so many days; 0: all count the same.",
    )
    train_device: Literal["cpu", "cuda"] = Field(
        default="cpu",
        description="Where networks are trained; on cuda in bfloat16, with as many accelerators as processes.",
    )
    train_processes: Annotated[int, Field(ge=1, le=64)] = Field(
        default=1,
        description="Processes that train a network together, each on its share of every batch, as torchrun starts them.",
    )
    threads: Annotated[int, Field(ge=1, le=256)] = Field(
        default=1, description="Threads of torch and DuckDB, processes of scoring."
    )

    score_with: Literal["processes", "spark"] = Field(
        default="processes",
        description="Who ranks everybody: processes of this machine, or Spark's workers. The lists are the same.",
    )

    # Promotion and retraining
    promote_min_users: Annotated[int, Field(ge=2)] = Field(
        default=100, description="Users with outcomes that a judgement needs; with fewer the champion stays."
    )
    approval: Literal["automatic", "person"] = Field(
        default="automatic",
        description="Who lets a challenger that has passed its judgement become the champion: automatic, or a person.",
    )
    approval_hours: Annotated[float, Field(gt=0, le=168)] = Field(
        default=24, description="How long a person is waited for before the challenger is not promoted."
    )

    # Alarms
    notify_webhook_url: SecretStr = Field(
        default=SecretStr(""), description="Where the channel `webhook` posts its JSON to."
    )
    notify_email_to: str = Field(
        default="", description="Whom the channel `email` writes to; commas between addresses."
    )
    notify_smtp_url: SecretStr = Field(
        default=SecretStr(""),
        description="smtp://user:password@host:port/?from_email=… for Airflow. Default: its connection smtp_default.",
    )
    notify: str = Field(
        default="log",
        description="Channels that alarms are told through: log, webhook, email; commas between.",
    )
    notify_cooldown_hours: Annotated[float, Field(ge=0)] = Field(
        default=6, description="An alarm of one kind and Dag is told once in so many hours."
    )

    # Publishing, monitoring
    versions_kept: Annotated[int, Field(ge=2, le=20)] = Field(
        default=3, description="Published versions kept."
    )
    list_buckets: Annotated[int, Field(ge=1)] = Field(
        default=256, description="Redis hashes a version is spread on."
    )
    features_max_age_days: Days = Field(
        default=2, description="Published features of a day longer ago than so many days are outdated."
    )
    # Serving
    api_host: str = Field(
        default="127.0.0.1",
        description="Address that the decision API listens on; 0.0.0.0 for every network.",
    )
    api_rate_limit: Annotated[float, Field(gt=0)] = Field(
        default=1000, description="Requests a second that one key may make of one process of the API."
    )
    version_max_age_hours: Annotated[float, Field(gt=0)] = Field(
        default=36, description="The API says it is degraded when what it serves was published longer ago."
    )

    monitor_days: Days = Field(default=7, description="Days of the current window of the drift monitor.")
    reports_kept: Annotated[int, Field(ge=0)] = Field(
        default=60, description="Full drift reports that are kept; with 0 none is drawn."
    )

    pages_after_run: bool = Field(
        default=True,
        description="Pages and marts are brought up to date at the end of every run; otherwise by `foretaste report` alone.",
    )
    annotations: str = Field(
        default="",
        description="Reviewed notes on days and alarms (YAML) for the pages. Default: expectations/annotations.yml.",
    )

    @field_validator("schedule_start", "schedule_end")
    @classmethod
    def _is_a_day(cls, value: str) -> str:
        if value:
            from datetime import date

            date.fromisoformat(value)
        return value

    @field_validator("sasrec_inputs")
    @classmethod
    def _names_inputs(cls, value: str) -> str:
        for name in inputs_of(value):
            if name not in SASREC_INPUTS:
                raise ValueError(f"{name!r} is no input; there are {', '.join(SASREC_INPUTS)}")
        return value

    @field_validator("notify")
    @classmethod
    def _names_channels(cls, value: str, info: ValidationInfo) -> str:
        for channel in _listed(value):
            if channel not in NOTIFY_CHANNELS:
                raise ValueError(f"{channel!r} is no channel; there are {', '.join(NOTIFY_CHANNELS)}")
            needed = NOTIFY_CHANNELS[channel]
            given = info.data.get(needed, "")
            if needed and not (given.get_secret_value() if isinstance(given, SecretStr) else given):
                raise ValueError(f"the channel {channel} needs FORETASTE_{needed.upper()}")
        return value

    @property
    def channels(self) -> tuple[str, ...]:
        """The channels that alarms are told through."""
        return _listed(self.notify)

    @property
    def feed_location(self) -> str:
        return self.feed or str(self.home / "feed")

    @property
    def is_warehouse_embedded(self) -> bool:
        return not self.warehouse_url.get_secret_value()

    @property
    def duckdb_path(self) -> Path:
        return self.home / "warehouse" / "foretaste.duckdb"

    @property
    def lake_path(self) -> Path:
        return self.home / "lake"

    @property
    def reports_path(self) -> Path:
        return self.home / "reports"

    @property
    def states_path(self) -> Path:
        return self.home / "states"

    @property
    def marts_path(self) -> Path:
        return self.home / "marts"

    @property
    def services_env_path(self) -> Path:
        return self.home / "services.env"

    @property
    def resolved_state_url(self) -> str:
        return self.state_url.get_secret_value() or f"sqlite:///{self.home / 'state' / 'state.sqlite'}"

    def run_settings(self) -> dict[str, Any]:
        """The part of the settings that a run's manifest records."""
        return {name: getattr(self, name) for name in RUN_SETTINGS}


def inputs_of(value: str) -> tuple[str, ...]:
    """What a value of ``sasrec_inputs`` names."""
    return _listed(value)


def _listed(value: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in value.split(",") if part.strip())


def load_settings(**overrides: Any) -> Settings:
    """Read the settings, with ``HOME/services.env`` below the environment.

    Raises:
        SettingInvalid: a value cannot work; the message names the variable, the value and the rule.
    """
    home = Path(overrides.pop("home", None) or os.environ.get("FORETASTE_HOME") or ".foretaste").absolute()
    try:
        files = (home / "services.env", home / "settings.env")  # the later one wins
        return Settings(_env_file=files, home=home, **overrides)  # type: ignore[call-arg]
    except ValidationError as error:
        lines = [
            f"FORETASTE_{'_'.join(str(part) for part in issue['loc']).upper()}={issue.get('input')!r}: {issue['msg']}"
            for issue in error.errors()
        ]
        raise SettingInvalid("; ".join(lines) + ". See docs/settings.md.") from error


def settings_table() -> str:
    """Every setting as a Markdown table: what ``foretaste settings`` prints and ``docs/settings.md`` holds."""
    rows = ["| variable | default | meaning |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = field.default.get_secret_value() if isinstance(field.default, SecretStr) else field.default
        shown = f"`{default}`" if str(default) else ""
        rows.append(f"| `FORETASTE_{name.upper()}` | {shown} | {field.description} |")
    return "\n".join(rows)


def inherited_environment(*, drop_prefixes: tuple[str, ...] = ()) -> dict[str, str]:
    """The environment for a child process, without the variables that start with ``drop_prefixes``."""
    return {
        name: value for name, value in os.environ.items() if not name.startswith(drop_prefixes or ("\0",))
    }


@contextmanager
def environment_of_library(values: dict[str, str], *, without: tuple[str, ...] = ()) -> Iterator[None]:
    """Set variables, and hide those that begin with ``without``, while a library runs in this process that
    takes its configuration from nowhere else."""
    before = dict(os.environ)
    for name in before:
        if name.startswith(without or ("\0",)):
            del os.environ[name]
    os.environ.update(values)
    try:
        yield
    finally:
        for name in set(os.environ) - set(before):
            del os.environ[name]
        os.environ.update(before)
