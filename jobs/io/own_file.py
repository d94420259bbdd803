"""What makes plain ``dbt build`` work: dbt-duckdb loads this with the target ``own``, and an own file that is new gets a sample."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from dbt.adapters.duckdb.plugins import BasePlugin
from dbt_common.exceptions import DbtRuntimeError

from contracts import names
from contracts.errors import ForetasteError
from contracts.settings import load_settings
from jobs.io.compiled import built_project
from jobs.io.lake import Lake
from jobs.io.sample import Sample, build, draw, last_day_of


class Plugin(BasePlugin):  # type: ignore[misc]
    """Sees to it that there is a sample before dbt looks."""

    def initialize(self, plugin_config: dict[str, Any]) -> None:
        self._settings = load_settings(home=plugin_config["home"])
        (Path(plugin_config["home"]) / "dbt" / "own").mkdir(parents=True, exist_ok=True)

    def configure_connection(self, conn: Any) -> None:
        settings = self._settings
        conn.execute(
            f"set temp_directory = '{str(settings.home / 'dbt' / 'own' / 'spill').replace(chr(39), chr(39) * 2)}'"
        )
        try:
            last_day = last_day_of(conn)
        except ForetasteError as error:
            raise DbtRuntimeError(str(error)) from error
        if last_day is None:
            project = built_project(settings)
            if project is None:
                raise DbtRuntimeError(
                    f"{settings.home} has no tables to take a sample of. After the first day (make demo, or foretaste run) this "
                    "works by itself; with a lake of an older Foretaste: foretaste sample"
                )
            conn.execute("begin")  # all or nothing: what is there counts as a sample
            try:
                told = draw(conn, settings, Sample()).told
                build(conn, project)
            except ForetasteError as error:
                conn.execute("rollback")
                raise DbtRuntimeError(str(error)) from error
            conn.execute("commit")
            self._say(f"A first sample: {told}.")
            return
        newest = Lake.of(settings).days(names.BY_FEATURE_DAY[-1])[-1:]
        if newest and newest[0] > last_day:
            self._say(f"The sample ends on {last_day}, the lake on {newest[0]}. A new one: foretaste sample")

    @staticmethod
    def _say(text: str) -> None:
        sys.stderr.write(f"{text}\n")
